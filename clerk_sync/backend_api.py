"""Clerk's Backend API: the calls the product makes, and each way they fail as one of three errors.

Which remote errors are worth a retry is decided here and nowhere else, closed by default: what is not known to pass
by itself is `Permanent`. Every caller decides how long to wait; nothing here retries.
"""

import os
import re
import threading
import time
from collections.abc import Collection, Mapping
from email.utils import parsedate_to_datetime
from typing import Any

import requests
from django.conf import settings

API_VERSION = "2026-05-12"
USER_AGENT = "ManagerOS"
CONNECT_TIMEOUT = 3.05  # seconds: a little more than a TCP retransmission, as requests' documentation advises
READ_TIMEOUT = 10.0  # seconds without a byte from Clerk
PAGE_SIZE = 500  # Clerk's largest page of users

# 408, 425 and 429 ask for another try; every 5xx may pass by itself.
RETRYABLE_STATUSES = frozenset({408, 425, 429})
ID = re.compile(r"[A-Za-z0-9_-]+")
KEY = re.compile(r"[\x21-\x7e]+")  # checked here, because the error that http.client raises quotes the header


class ClerkError(Exception):
    """A call that did not succeed. Its text is for logs and the admin, and holds no key, token or address."""


class Retryable(ClerkError):  # noqa: N818  the three are named for what a caller does next
    """It may succeed later: not before `retry_after` seconds from now, where Clerk named a time."""

    def __init__(self, message: str, *, retry_after: float | None = None, status: int | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.status = status


class Permanent(ClerkError):  # noqa: N818
    """It fails however often it is repeated. `status` is None where Clerk was not even asked."""

    def __init__(self, message: str, *, status: int | None, code: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


class Misconfigured(ClerkError):  # noqa: N818
    """Clerk refuses the site itself, or its address is wrong: nobody's call succeeds until someone changes that."""


def get_user(clerk_user_id: str, *, timeout: float = READ_TIMEOUT) -> dict[str, Any]:
    return _object(_call("GET", f"/users/{_id(clerk_user_id)}", timeout=timeout))


def list_users(
    *, limit: int = PAGE_SIZE, starting_after: str | None = None, user_ids: Collection[str] = ()
) -> list[dict[str, Any]]:
    """A page of users, newest first: all of them, or the given ones (at most 100). The last page is a short one."""
    query = {"limit": limit, "starting_after": starting_after, "user_id": list(user_ids) or None}
    return _list(_call("GET", "/users", query=query, timeout=3 * READ_TIMEOUT))


def count_users() -> int:
    count = _object(_call("GET", "/users/count")).get("total_count")
    if not isinstance(count, int):
        raise Retryable("Clerk's answer to GET /users/count holds no count.")
    return count


def merge_public_metadata(clerk_user_id: str, metadata: Mapping[str, str | None]) -> dict[str, Any]:
    """Set these keys and no others; None removes a key. Returns the User as it is afterwards."""
    body = {"public_metadata": dict(metadata)}
    timeout = settings.CLERK_SYNC_TIMEOUT
    return _object(_call("PATCH", f"/users/{_id(clerk_user_id)}/metadata", body=body, timeout=timeout))


def refresh_session(
    session_id: str,
    *,
    expired_token: str,
    refresh_token: str,
    request_origin: str,
    request_headers: Mapping[str, list[str]] | None = None,
    request_originating_ip: str | None = None,
    timeout: float = READ_TIMEOUT,
) -> str:
    """A new session token for an expired one. `Permanent` with status 401 means: fall back to the handshake."""
    body = {
        "expired_token": expired_token,
        "refresh_token": refresh_token,
        "request_origin": request_origin,
        "format": "token",
        "request_headers": request_headers,
        "request_originating_ip": request_originating_ip,
    }
    body = {name: value for name, value in body.items() if value is not None}
    token = _object(_call("POST", f"/sessions/{_id(session_id)}/refresh", body=body, timeout=timeout)).get("jwt")
    if not isinstance(token, str):
        raise Retryable("Clerk's answer to a session refresh holds no token.")
    return token


def create_invitation(email: str, *, valid_days: int, ignore_existing: bool = False) -> dict[str, Any]:
    """Have Clerk send an invitation. `Permanent` where it knows the address already, but for `ignore_existing`."""
    body = {"email_address": email, "expires_in_days": valid_days, "ignore_existing": ignore_existing, "notify": True}
    return _object(_call("POST", "/invitations", body=body))


def revoke_session(session_id: str) -> None:
    """End a session, with every token that it could still mint."""
    _call("POST", f"/sessions/{_id(session_id)}/revoke")


def get_jwks(*, timeout: float = READ_TIMEOUT) -> dict[str, Any]:
    return _object(_call("GET", "/jwks", timeout=timeout))


def list_jwt_templates(*, timeout: float = READ_TIMEOUT) -> list[dict[str, Any]]:
    return _list(_call("GET", "/jwt_templates", timeout=timeout))


class BearerKey(requests.auth.AuthBase):
    """The secret key. As an `auth` and not a header, because requests lets a .netrc file overrule the header."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {settings.CLERK_SECRET_KEY}"
        return request


_connections = threading.local()


def _forget_connections() -> None:
    global _connections
    _connections = threading.local()


# A forked worker (gunicorn with preload, each job of rq) must not write into its parent's sockets.
os.register_at_fork(after_in_child=_forget_connections)


def _session() -> requests.Session:
    """This thread's kept-alive connections: requests does not promise that threads may share a session."""
    session: requests.Session | None = getattr(_connections, "session", None)
    if session is None:
        session = _connections.session = requests.Session()
        session.auth = BearerKey()
        session.headers.update({"Clerk-API-Version": API_VERSION, "User-Agent": USER_AGENT})
    return session


def _call(
    method: str,
    path: str,
    *,
    query: Mapping[str, Any] | None = None,
    body: Mapping[str, Any] | None = None,
    timeout: float = READ_TIMEOUT,
) -> Any:
    if not KEY.fullmatch(settings.CLERK_SECRET_KEY):
        raise Misconfigured("CLERK_SECRET_KEY is not set, or holds what no header can carry.")
    try:
        response = _session().request(
            method,
            settings.CLERK_API_URL + path,
            params=query,
            json=body,
            timeout=(CONNECT_TIMEOUT, timeout),
            allow_redirects=False,
        )
    except ValueError as error:
        raise Misconfigured("CLERK_API_URL is malformed.") from error
    except requests.RequestException as error:
        raise Retryable(f"{method} at Clerk failed: {type(error).__name__}.") from error
    return _answer(method, response)


def _answer(method: str, response: requests.Response) -> Any:
    status = response.status_code
    if 200 <= status < 300:
        try:
            return response.json()
        except requests.JSONDecodeError as error:
            raise Retryable(f"Clerk's answer to a {method} is not JSON.", status=status) from error
    code, text = _first_error(response)
    trace = response.headers.get("cf-ray", "")
    message = f"Clerk answered {status} {text or response.reason}" + (f" (trace {trace})" if trace else "")
    if status in RETRYABLE_STATUSES or status >= 500:
        raise Retryable(message, retry_after=_seconds(response.headers.get("Retry-After")), status=status)
    if status == 401 and method == "POST" and code != "clerk_key_invalid":
        # A session refresh answers 401 for the session's own sake: the key is good, the refresh token is not.
        raise Permanent(message, status=status, code=code)
    if status in {401, 403} or 300 <= status < 400:
        raise Misconfigured(message)
    raise Permanent(message, status=status, code=code)


def _first_error(response: requests.Response) -> tuple[str, str]:
    """Code and message of the first of Clerk's errors; empty where the body is another, as an edge server's may be."""
    try:
        errors = response.json()["errors"]
        return str(errors[0]["code"]), str(errors[0]["message"])
    except (ValueError, KeyError, TypeError, IndexError):
        return "", ""


def _seconds(retry_after: str | None) -> float | None:
    """The header's delay in seconds, which RFC 9110 (10.2.3) lets a server write as a number or as a date."""
    if retry_after is None:
        return None
    if retry_after.strip().isdecimal():
        return float(retry_after)
    try:
        return max(0.0, parsedate_to_datetime(retry_after).timestamp() - time.time())
    except ValueError:
        return None


def _id(value: str) -> str:
    """The id as a path segment. Ids come from tokens and forms: one with a dot or slash would name another resource."""
    if not ID.fullmatch(value):
        raise Permanent("The id is not one of Clerk's.", status=None, code="malformed_id")
    return value


def _object(answer: Any) -> dict[str, Any]:
    if not isinstance(answer, dict):
        raise Retryable("Clerk's answer is not an object.")
    return answer


def _list(answer: Any) -> list[dict[str, Any]]:
    if not (isinstance(answer, list) and all(isinstance(item, dict) for item in answer)):
        raise Retryable("Clerk's answer is not a list.")
    return answer
