"""The site that `benchmarks.read_path` asks for a page: gunicorn serves it twice, with the read path and without."""

import json
import os
import time
from collections.abc import Callable

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

# In whose place `given["middleware"]` stands.
OURS = "clerk_sync.middleware.ClerkSessionMiddleware"
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


urlpatterns = [path("page/", page), path("", include("manageros.urls"))]
override_settings(
    CLERK_JWT_KEY=given["jwt_key"],
    ROOT_URLCONF=__name__,
    MIDDLEWARE=[name if name != OURS else given["middleware"] for name in settings.MIDDLEWARE],
).enable()
application = get_wsgi_application()
