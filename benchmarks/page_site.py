"""The site that `benchmarks.read_path` asks for a page, with the read path and, at another address, without.

One process serves both: two of the same code differ by several percent for as long as they live, by where their memory
happens to lie.
"""

import gc
import json
import os
import time
from collections.abc import Callable
from typing import Any

os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"

import django
from django.conf import settings

django.setup()

from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.test import override_settings
from django.urls import include, path

from accounts.access import signed_in
from accounts.identity import ManagerOSUser

OURS = "clerk_sync.middleware.ClerkSessionMiddleware"
NOBODY_READS = f"{__name__}.SomebodyMiddleware"
given = json.loads(os.environ["BENCHMARK"])
somebody = ManagerOSUser(is_authenticated=True, source="session_claims", **given["identity"])


@signed_in
def page(request: HttpRequest) -> HttpResponse:
    """A page of the site's own layout, which names the user and asks for nothing else."""
    response = render(request, "403.html")
    response.headers["X-Processor-Seconds"] = str(time.process_time())
    return response


class SomebodyMiddleware:
    """In place of the read path: everybody is the same person."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        request.manageros_user = somebody  # type: ignore[attr-defined]
        return self.get_response(request)


urlpatterns = [path("with/", page), path("without/", page), path("", include("manageros.urls"))]
override_settings(CLERK_JWT_KEY=given["jwt_key"], ROOT_URLCONF=__name__).enable()
with_it = get_wsgi_application()
with override_settings(MIDDLEWARE=[NOBODY_READS if name == OURS else name for name in settings.MIDDLEWARE]):
    without_it = get_wsgi_application()
gc.freeze()  # as manageros.wsgi does


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
    return (without_it if environ["PATH_INFO"] == "/without/" else with_it)(environ, start_response)
