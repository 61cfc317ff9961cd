"""What every operation of the OpenAPI document has in common: how it refuses."""

from http import HTTPStatus
from typing import Any

PROBLEM = {
    "type": "object",
    "description": "What went wrong (RFC 9457). `code` is the reason that programs may rely on.",
    "required": ["type", "title", "status", "code"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string"},
        "detail": {"type": "string"},
        "errors": {"type": "object", "description": "Messages by field, for refused values."},
    },
    "example": {
        "type": "about:blank",
        "title": "Not Found",
        "status": 404,
        "code": "not_found",
    },
}
EVERYWHERE = (400, 401, 403, 404, 406, 429, 503)
FOR_CHANGES = (409, 415)


def document_problems(result: Any, **kwargs: Any) -> Any:
    """drf-spectacular's hook: add the refusals to each operation."""
    result["components"]["schemas"]["Problem"] = PROBLEM
    for path in result["paths"].values():
        for method, operation in path.items():
            statuses = [*EVERYWHERE, *(FOR_CHANGES if method in {"post", "patch", "delete"} else ())]
            for status in statuses:
                operation["responses"].setdefault(str(status), refusal(status))
            if method == "get":
                operation["responses"].setdefault("304", {"description": "You have it already."})
    return result


def refusal(status: int) -> dict[str, Any]:
    content = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {"description": HTTPStatus(status).phrase, "content": content}
