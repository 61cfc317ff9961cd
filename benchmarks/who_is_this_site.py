"""A site of this project that answers one question, "who is this?": asked by benchmarks.who_is_this.

    python -m benchmarks.who_is_this_site KIND

Each kind has the middleware that it needs and no other.
"""

import os
import sys
from dataclasses import dataclass
from functools import partial
from typing import Any

os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
os.environ["LOG_LEVEL"] = "WARNING"

import django

django.setup()

from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore
from django.core.cache import cache
from django.core.management import call_command
from django.core.wsgi import get_wsgi_application
from django.db import connection
from django.http import HttpRequest, HttpResponseBase, JsonResponse
from django.test import override_settings
from django.test.utils import CaptureQueriesContext
from django.urls import URLPattern, path
from rest_framework.authentication import BaseAuthentication, SessionAuthentication
from rest_framework.permissions import AllowAny, BasePermission, IsAuthenticated
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.access import IsSignedIn, signed_in
from accounts.identity import IdentifiedRequest
from accounts.models import User
from benchmarks.serving import Browser, serve
from clerk_sync.authentication import ClerkAuthentication

CLERK_USER_ID = "user_1"
IDENTIFYING = ["clerk_sync.middleware.ClerkSessionMiddleware"]
SESSIONS = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
]


def bare(request: HttpRequest) -> HttpResponseBase:
    return JsonResponse({"who": CLERK_USER_ID})


@signed_in
def identified(request: IdentifiedRequest) -> HttpResponseBase:
    return JsonResponse({"who": request.manageros_user.clerk_user_id})


class BareAPI(APIView):
    authentication_classes: list[type[BaseAuthentication]] = []
    permission_classes: list[type[BasePermission]] = [AllowAny]
    renderer_classes = [JSONRenderer]
    throttle_classes = []

    def get(self, request: Request) -> Response:
        return Response({"who": self.who(request)})

    def who(self, request: Request) -> str:
        return CLERK_USER_ID


class IdentifiedAPI(BareAPI):
    authentication_classes = [ClerkAuthentication]
    permission_classes = [IsSignedIn]

    def who(self, request: Any) -> str:
        return str(request.auth.clerk_user_id)


class SessionAPI(BareAPI):
    authentication_classes = [SessionAuthentication]
    permission_classes = [IsAuthenticated]

    def who(self, request: Any) -> str:
        return str(request.user.clerk_user_id)


@dataclass(frozen=True)
class Kind:
    """`delivered`: Clerk holds what the database says, so that the claims hold; else they are stale."""

    view: Any
    middleware: list[str]
    delivered: bool = True


KINDS = {
    "bare": Kind(bare, []),
    "identified": Kind(identified, IDENTIFYING),
    "stale": Kind(identified, IDENTIFYING, delivered=False),
    "bare_api": Kind(BareAPI.as_view(), []),
    "identified_api": Kind(IdentifiedAPI.as_view(), IDENTIFYING),
    "session_api": Kind(SessionAPI.as_view(), SESSIONS),
}
urlpatterns: list[URLPattern] = []


def main(kind: Kind) -> None:
    urlpatterns.append(path("", kind.view))
    # No peer asks the connection whether it is well before each request.
    connection.settings_dict["CONN_HEALTH_CHECKS"] = False
    with override_settings(
        CLERK_JWT_KEY=os.environ["BENCHMARK_JWT_KEY"], ROOT_URLCONF=__name__, MIDDLEWARE=kind.middleware
    ):
        browser = Browser(get_wsgi_application(), expect=CLERK_USER_ID.encode())
        if kind.middleware:
            call_command("migrate", verbosity=0)
            user = User.objects.create(clerk_user_id=CLERK_USER_ID, email="owner@example.com")
            if kind.delivered:
                cache.clear()  # the creation's stamp
            browser.cookies = {"sessionid": signed_in_session(user)} if kind.middleware is SESSIONS else {}
        serve(browser.get, partial(CaptureQueriesContext, connection))


def signed_in_session(user: User) -> str:
    """The key of a session such as Django's own login makes."""
    session = SessionStore()
    session[SESSION_KEY] = str(user.pk)
    session[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session.create()
    return str(session.session_key)


if __name__ == "__main__":
    main(KINDS[sys.argv[1]])
