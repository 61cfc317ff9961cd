"""The one form in which Clerk refuses."""

import secrets
from collections.abc import Mapping
from typing import Any

from werkzeug.wrappers import Response

from clerk_sync.emulator.answers import json_response


class Refusal(Exception):  # noqa: N818  an answer of Clerk, not a failure of this program
    """A request that Clerk would refuse. `retry_after` is in seconds."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        long_message: str = "",
        *,
        meta: Mapping[str, Any] | None = None,
        retry_after: int | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after = retry_after
        self.error = {"message": message, "long_message": long_message or message, "code": code}
        if meta:
            self.error["meta"] = dict(meta)  # type: ignore[assignment]

    def response(self) -> Response:
        headers = {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}
        body = {"errors": [self.error], "clerk_trace_id": secrets.token_hex(16)}
        return json_response(body, status=self.status, headers=headers)


def not_found(what: str = "resource") -> Refusal:
    return Refusal(404, "resource_not_found", "not found", f"No {what} was found with this id.")


def parameter(code: str, name: str, message: str, *, status: int = 422) -> Refusal:
    """One parameter is at fault; Clerk names it in `meta`."""
    return Refusal(status, code, message, f"{name} {message}.", meta={"param_name": name})
