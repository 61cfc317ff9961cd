import json
from collections.abc import Mapping
from typing import Any

from werkzeug.wrappers import Response


def json_response(body: object, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    text = json.dumps(body, separators=(",", ":"), ensure_ascii=False)
    return Response(text, status=status, headers=dict(headers or {}), content_type="application/json")


def redirect(location: str, *, status: int = 307) -> Response:
    """A redirect that no cache keeps: what it carries is one browser's."""
    return Response(status=status, headers={"Location": location, "Cache-Control": "no-store"})


Json = dict[str, Any]
