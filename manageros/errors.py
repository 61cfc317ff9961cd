"""What answers where no view does: problem+json under /api/, a page elsewhere.

A page names who is signed in where that can be told; it is no reason to send anybody to Clerk.
"""

from typing import Any

from django.http import HttpResponse
from django.views import defaults

from accounts.api.errors import problem

API = "/api/"


def bad_request(request: Any, exception: Exception) -> HttpResponse:
    if request.path.startswith(API):
        return problem(400, code="bad_request")
    return defaults.bad_request(request, exception)


def permission_denied(request: Any, exception: Exception) -> HttpResponse:
    if request.path.startswith(API):
        return problem(403, code="permission_denied", detail=str(exception))
    ask_nobody(request)
    return defaults.permission_denied(request, exception)


def page_not_found(request: Any, exception: Exception) -> HttpResponse:
    if request.path.startswith(API):
        return problem(404, code="not_found")
    ask_nobody(request)
    return defaults.page_not_found(request, exception)


def server_error(request: Any) -> HttpResponse:
    if request.path.startswith(API):
        return problem(500, code="error")
    return defaults.server_error(request)


def ask_nobody(request: Any) -> None:
    """Let nobody be named rather than have Clerk asked; the request may not even have come as far as the middleware."""
    if hasattr(request, "identification"):
        request.identification.may_interrupt = False
