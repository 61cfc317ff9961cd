"""A peer's site that answers one question, "who is this?", in its own environment: asked by benchmarks.who_is_this.

    python benchmarks/peers/who_is_this_site.py KIND

Each verifies Clerk's tokens with a public key that it is given, and has the middleware that it needs and no other.
"""

import logging
import os
import sys
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import django
from django.conf import settings
from serving import Browser, postgresql, serve

CLERK_USER_ID = "user_1"
PARTY = "http://testserver"
JWT_KEY = os.environ["BENCHMARK_JWT_KEY"]
urlpatterns = []


def main(kind: str) -> None:
    settings.configure(
        SECRET_KEY="benchmark-0123456789-0123456789-0123456789-0123456789",
        ALLOWED_HOSTS=["testserver"],
        ROOT_URLCONF=__name__,
        # Kept open, as ManagerOS' is.
        DATABASES={"default": postgresql(os.environ["TEST_DATABASE_URL"]) | {"CONN_MAX_AGE": 60}},
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        USE_TZ=True,
        **SETTINGS[kind],
    )
    django.setup()
    logging.disable(logging.INFO)

    from django.core.management import call_command
    from django.core.wsgi import get_wsgi_application
    from django.db import connection
    from django.test.utils import CaptureQueriesContext
    from django.urls import path

    if settings.INSTALLED_APPS:
        call_command("migrate", verbosity=0)
    urlpatterns.append(path("", VIEWS[kind]()))
    application = get_wsgi_application()
    browser = Browser(application, expect=CLERK_USER_ID.encode(), keeps_cookies=kind.endswith("_session"))
    serve(browser.get, partial(CaptureQueriesContext, connection))


def simplejwt() -> Any:
    """JWTAuthentication, which reads the user's row."""
    from django.contrib.auth.models import User
    from rest_framework.permissions import IsAuthenticated
    from rest_framework.renderers import JSONRenderer
    from rest_framework.response import Response
    from rest_framework.views import APIView
    from rest_framework_simplejwt.authentication import JWTAuthentication

    class WhoIsThis(APIView):
        authentication_classes = [JWTAuthentication]
        permission_classes = [IsAuthenticated]
        renderer_classes = [JSONRenderer]

        def get(self, request: Any) -> Response:
            return Response({"who": request.user.username})

    User.objects.create(username=CLERK_USER_ID)
    return WhoIsThis.as_view()


def django_clerk_users() -> Any:
    """Its middleware, which makes a session of the first token and asks the token again after five minutes."""
    from django.http import HttpResponse, JsonResponse
    from django_clerk_users.models import ClerkUser

    def who_is_this(request: Any) -> HttpResponse:
        if not request.user.is_authenticated:
            return HttpResponse(status=401)
        return JsonResponse({"who": request.user.clerk_id})

    ClerkUser.objects.create(clerk_id=CLERK_USER_ID, email="owner@example.com")
    return who_is_this


def clerk_backend_api() -> Any:
    """Its authenticate_request, which knows of no user's row."""
    from clerk_backend_api.security import AuthenticateRequestOptions, authenticate_request
    from django.http import HttpResponse, JsonResponse

    options = AuthenticateRequestOptions(jwt_key=JWT_KEY, authorized_parties=[PARTY])

    def who_is_this(request: Any) -> HttpResponse:
        state = authenticate_request(request, options)
        if not state.is_signed_in:
            return HttpResponse(status=401)
        return JsonResponse({"who": state.payload["sub"]})

    return who_is_this


DJANGO_CLERK_USERS = {
    "INSTALLED_APPS": [
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.sessions",
        "django_clerk_users",
    ],
    "MIDDLEWARE": [
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "django_clerk_users.middleware.ClerkAuthMiddleware",
    ],
    "AUTH_USER_MODEL": "django_clerk_users.ClerkUser",
    "AUTHENTICATION_BACKENDS": ["django_clerk_users.authentication.ClerkBackend"],
    "CLERK_SECRET_KEY": "sk_test_benchmark",
    "CLERK_JWT_KEY": JWT_KEY,
    "CLERK_AUTH_PARTIES": [PARTY],
}
SETTINGS: dict[str, dict[str, Any]] = {
    "simplejwt": {
        "INSTALLED_APPS": ["django.contrib.auth", "django.contrib.contenttypes", "rest_framework"],
        # Clerk's tokens name the user in `sub`, and have no type.
        "SIMPLE_JWT": {
            "ALGORITHM": "RS256",
            "VERIFYING_KEY": JWT_KEY,
            "USER_ID_CLAIM": "sub",
            "USER_ID_FIELD": "username",
            "TOKEN_TYPE_CLAIM": None,
        },
    },
    "django_clerk_users": DJANGO_CLERK_USERS,
    "django_clerk_users_session": DJANGO_CLERK_USERS,
    "clerk_backend_api": {},
}
VIEWS = {
    "simplejwt": simplejwt,
    "django_clerk_users": django_clerk_users,
    "django_clerk_users_session": django_clerk_users,
    "clerk_backend_api": clerk_backend_api,
}


if __name__ == "__main__":
    main(sys.argv[1])
