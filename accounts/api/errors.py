"""Every error of the API in one form: problem+json (RFC 9457), with `code` as the reason that programs may rely on."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from django.core.exceptions import ValidationError as RuleBroken
from django.db import IntegrityError
from django.http import JsonResponse
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import exception_handler

PROBLEM_JSON = "application/problem+json"


class ChangedAtOnceError(exceptions.APIException):
    """A constraint of the database refused what the checks before it had let pass: somebody else was quicker."""

    status_code = HTTPStatus.CONFLICT
    default_code = "changed_at_once"
    default_detail = "Somebody else changed the same thing at the same moment. Read it again, then repeat your change."


def problem_details(status: int, *, code: str, detail: str = "", **members: Any) -> dict[str, Any]:
    # "about:blank" says that the problem is what its status says (RFC 9457, section 4.2.1).
    details = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "code": code}
    return details | ({"detail": detail} if detail else {}) | members


def problem(status: int, *, code: str, detail: str = "") -> JsonResponse:
    """A problem where no API view answers."""
    return JsonResponse(problem_details(status, code=code, detail=detail), status=status, content_type=PROBLEM_JSON)


def handle(error: Exception, context: Mapping[str, Any]) -> Response | None:
    """REST framework's EXCEPTION_HANDLER; None for what is none of the client's business, a 500."""
    if isinstance(error, RuleBroken):
        error = exceptions.ValidationError(rule_messages(error), code=error_code(error))
    if isinstance(error, IntegrityError):
        error = ChangedAtOnceError()
    response = exception_handler(error, dict(context))
    if response is None:
        return None
    response.data = describe(error, response)
    renderer = getattr(context["request"], "accepted_renderer", None)
    if renderer is None or renderer.format == "json":
        response.content_type = PROBLEM_JSON
    return response


def describe(error: Exception, response: Response) -> dict[str, Any]:
    status = response.status_code
    if isinstance(error, exceptions.ValidationError):
        errors = error.detail if isinstance(error.detail, dict) else {"non_field_errors": error.detail}
        return problem_details(status, code="invalid", detail="Some values were refused; see errors.", errors=errors)
    if isinstance(error, exceptions.APIException):
        codes = error.get_codes()
        code = codes if isinstance(codes, str) else error.default_code
        return problem_details(status, code=code, detail=str(error.detail))
    code = "not_found" if status == HTTPStatus.NOT_FOUND else "permission_denied"  # Django's Http404, PermissionDenied
    return problem_details(status, code=code, detail=str(error) if code == "permission_denied" else "")


def rule_messages(error: RuleBroken) -> Any:
    return error.message_dict if hasattr(error, "error_dict") else error.messages


def error_code(error: RuleBroken) -> str:
    return getattr(error, "code", None) or "invalid"
