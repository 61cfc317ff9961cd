"""Clerk's tokens in Django REST framework."""

from typing import Any

from django.http import HttpRequest
from rest_framework import exceptions
from rest_framework.authentication import BaseAuthentication, CSRFCheck
from rest_framework.request import Request

from accounts.identity import ManagerOSUser
from clerk_sync.identification import Identification
from clerk_sync.refusals import CHALLENGE, Reason
from clerk_sync.tokens import Place


class ClerkAuthentication(BaseAuthentication):
    """`request.auth` is the ManagerOSUser, and `request.user` its row, read when touched.

    Needs `ClerkSessionMiddleware`. A refused token is a 401 with its reason as the code. DRF exempts its views from
    Django's CSRF protection; what a cookie authenticates is checked here, for a browser sends those by itself.
    """

    def authenticate(self, request: Request) -> tuple[Any, ManagerOSUser] | None:
        django_request: Any = request._request
        identification: Identification = django_request.identification
        identification.accepts_templates = True
        user = identification.user
        if not user.is_authenticated:
            refusal = identification.refusal
            if refusal is None or refusal.reason is Reason.SIGNED_OUT:
                return None
            raise exceptions.AuthenticationFailed(refusal.reason.text, code=refusal.reason.value)
        if identification.place is Place.COOKIE:
            enforce_csrf(django_request)
        return django_request.user, user

    def authenticate_header(self, request: Request) -> str:
        return CHALLENGE


def enforce_csrf(request: HttpRequest) -> None:
    check = CSRFCheck(lambda request: None)  # type: ignore[arg-type]
    check.process_request(request)
    failure = check.process_view(request, None, (), {})  # type: ignore[arg-type]
    if failure:
        raise exceptions.PermissionDenied(f"The CSRF check failed: {failure}", code="csrf_failed")
