"""Reading what a request carries: what Clerk does not know of, it refuses by name."""

import json
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from werkzeug.wrappers import Request, Response

from clerk_sync.emulator.answers import Json, json_response
from clerk_sync.emulator.errors import Refusal, parameter

TEXT = (str, type(None))
FLAG = (bool, type(None))
WHOLE = (int, type(None))

T = TypeVar("T")
Types = Mapping[str, tuple[type, ...]]


def json_body(request: Request, allowed: Types, *, required: tuple[str, ...] = ()) -> Json:
    """The JSON object of the body; `allowed` maps each known field to its types."""
    text = request.get_data()
    if text and request.mimetype != "application/json":
        raise Refusal(415, "unsupported_content_type", "Content-Type must be application/json")
    try:
        body = json.loads(text or b"{}")
    except ValueError:
        raise Refusal(400, "request_body_invalid", "Request body invalid", "The request body is not JSON.") from None
    if not isinstance(body, dict):
        raise Refusal(400, "request_body_invalid", "Request body invalid", "The request body must be a JSON object.")
    return checked(body, allowed, required)


def checked(body: Json, allowed: Types, required: tuple[str, ...]) -> Json:
    for name, value in body.items():
        if name not in allowed:
            raise parameter("form_param_unknown", name, "is not a valid parameter for this request")
        # bool is an int to Python, not to JSON.
        if not isinstance(value, allowed[name]) or (isinstance(value, bool) and bool not in allowed[name]):
            raise parameter("form_param_type_invalid", name, "has the wrong type")
    for name in required:
        if body.get(name) in (None, ""):
            raise parameter("form_param_missing", name, "must be included")
    return body


def form(request: Request, *allowed: str, required: tuple[str, ...] = ()) -> dict[str, str]:
    """The form fields of a Frontend API call; unknown ones are passed over, as its schemas allow them."""
    values = {name: request.form[name] for name in allowed if request.form.get(name)}
    for name in required:
        if name not in values:
            raise parameter("form_param_missing", name, "must be included")
    return values


def number(request: Request, name: str, default: int, *, minimum: int, maximum: int | None = None) -> int:
    text = request.args.get(name)
    if text is None:
        return default
    try:
        value = int(text)
    except ValueError:
        raise parameter("form_param_format_invalid", name, "must be a whole number") from None
    if value < minimum or (maximum is not None and value > maximum):
        bounds = f"must be at least {minimum}" + (f" and at most {maximum}" if maximum is not None else "")
        raise parameter("form_param_value_invalid", name, bounds)
    return value


def timestamp(request: Request, name: str) -> int | None:
    return number(request, name, -1, minimum=0) if name in request.args else None


def flag(request: Request, name: str) -> bool | None:
    text = request.args.get(name)
    if text not in {None, "true", "false"}:
        raise parameter("form_param_format_invalid", name, "must be true or false")
    return None if text is None else text == "true"


def listed(request: Request, name: str, *, maximum: int = 100) -> list[str]:
    values = request.args.getlist(name)
    if len(values) > maximum:
        raise parameter("form_param_value_invalid", name, f"may be given at most {maximum} times")
    return values


def page(request: Request, records: list[T], shape: Callable[[T], Json]) -> Response:
    """The part of a list that `limit` and `offset` name; with `paginated=true` beside the length of the whole."""
    limit = number(request, "limit", 10, minimum=1, maximum=500)
    offset = number(request, "offset", 0, minimum=0)
    data = [shape(record) for record in records[offset : offset + limit]]
    return json_response({"data": data, "total_count": len(records)} if flag(request, "paginated") else data)


def metadata(body: Json, kinds: tuple[str, ...]) -> dict[str, dict[str, Any]]:
    return {kind: body[kind] for kind in kinds if kind in body}
