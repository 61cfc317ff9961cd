"""The Backend API's sessions and clients: https://clerk.com/docs/reference/backend-api/tag/sessions"""

import hmac

from werkzeug.wrappers import Request, Response

from clerk_sync.emulator import shapes
from clerk_sync.emulator.answers import json_response
from clerk_sync.emulator.clerk import LocalClerk
from clerk_sync.emulator.errors import Refusal, not_found, parameter
from clerk_sync.emulator.fields import TEXT, WHOLE, json_body, page
from clerk_sync.emulator.handshake import directives
from clerk_sync.emulator.routing import Routes
from clerk_sync.emulator.state import Client, Session

STATUSES = {"abandoned", "active", "ended", "expired", "removed", "replaced", "revoked"}


def register(routes: Routes) -> None:
    routes.add("GET", "/sessions")(list_sessions)
    routes.add("POST", "/sessions")(create_session)
    routes.add("GET", "/sessions/<session_id>")(get_session)
    routes.add("POST", "/sessions/<session_id>/revoke")(revoke_session)
    routes.add("POST", "/sessions/<session_id>/tokens")(create_token)
    routes.add("POST", "/sessions/<session_id>/tokens/<name>")(create_template_token)
    routes.add("POST", "/sessions/<session_id>/refresh")(refresh_session)
    routes.add("GET", "/clients/handshake_payload")(handshake_payload)
    routes.add("GET", "/clients/<client_id>")(get_client)
    routes.add("POST", "/clients/verify")(verify_client)


def list_sessions(clerk: LocalClerk, request: Request) -> Response:
    user_id, client_id = request.args.get("user_id"), request.args.get("client_id")
    if not user_id and not client_id:
        raise parameter("form_param_missing", "user_id", "or client_id must be included")
    status = request.args.get("status")
    if status is not None and status not in STATUSES:
        raise parameter("form_param_value_invalid", "status", f"must be one of {', '.join(sorted(STATUSES))}")
    with clerk.store.lock:
        found = [
            clerk.store.session(session.id)
            for session in clerk.store.sessions.values()
            if user_id in (None, session.user_id) and client_id in (None, session.client_id)
        ]
        found = [session for session in reversed(found) if status in (None, session.status)]
        return page(request, found, shapes.session)


def create_session(clerk: LocalClerk, request: Request) -> Response:
    """For tests, without a browser; refused by a live instance as Clerk refuses it."""
    if clerk.instance.is_live:
        raise Refusal(403, "production_instance_forbidden", "Sessions cannot be created in production instances")
    body = json_body(request, {"user_id": (str,), "active_organization_id": TEXT}, required=("user_id",))
    with clerk.store.lock:
        session = clerk.store.sign_in(clerk.store.create_client(), clerk.store.user(body["user_id"]))
        return json_response(shapes.session(session))


def get_session(clerk: LocalClerk, request: Request, session_id: str) -> Response:
    with clerk.store.lock:
        return json_response(shapes.session(clerk.store.session(session_id)))


def revoke_session(clerk: LocalClerk, request: Request, session_id: str) -> Response:
    with clerk.store.lock:
        if clerk.store.session(session_id).status != "active":
            raise Refusal(400, "session_not_active", "Only an active session can be revoked")
        return json_response(shapes.session(clerk.store.end_session(session_id, "revoked")))


def active(clerk: LocalClerk, session_id: str) -> Session:
    session = clerk.store.session(session_id)
    if session.status != "active":
        raise not_found("active session")
    return session


def lifetime(request: Request) -> int | None:
    body = json_body(request, {"expires_in_seconds": WHOLE})
    seconds: int | None = body.get("expires_in_seconds")
    if seconds is not None and not 30 <= seconds <= 315_360_000:
        raise parameter("form_param_value_invalid", "expires_in_seconds", "must be from 30 to 315360000")
    return seconds


def create_token(clerk: LocalClerk, request: Request, session_id: str) -> Response:
    seconds = lifetime(request)
    with clerk.store.lock:
        session = active(clerk, session_id)
        jwt = clerk.session_token(session, lifetime=seconds)
    return json_response({"object": "token", "jwt": jwt})


def create_template_token(clerk: LocalClerk, request: Request, session_id: str, name: str) -> Response:
    lifetime(request)
    with clerk.store.lock:
        session = active(clerk, session_id)
        return json_response({"object": "token", "jwt": clerk.template_token(name, session)})


def refresh_session(clerk: LocalClerk, request: Request, session_id: str) -> Response:
    """A new token for a server that holds an expired one and the refresh cookie; 401 sends it to the handshake."""
    fields = {
        "expired_token": (str,),
        "refresh_token": (str,),
        "request_origin": (str,),
        "request_headers": (dict, type(None)),
        "format": TEXT,
        "request_originating_ip": TEXT,
    }
    body = json_body(request, fields, required=("expired_token", "refresh_token", "request_origin"))
    form = body.get("format") or "token"
    if form not in {"token", "cookie"}:
        raise parameter("form_param_value_invalid", "format", "must be token or cookie")
    with clerk.store.lock:
        claims = clerk.signer.claims_of_expired(body["expired_token"]) or {}
        session = clerk.store.sessions.get(session_id)
        genuine = (
            session is not None
            and claims.get("sid") == session_id
            and hmac.compare_digest(session.refresh_token, body["refresh_token"])
            and clerk.store.session(session_id).status == "active"
        )
        if session is None or not genuine:
            raise Refusal(401, "refresh_token_invalid", "The session cannot be refreshed")
        if form == "cookie":
            client = clerk.store.clients[session.client_id]
            secure = body["request_origin"].startswith("https://")
            cookies = directives(clerk, client, session, suffixed=True, secure=secure)
            return json_response({"object": "cookies", "cookies": cookies})
        return json_response({"object": "token", "jwt": clerk.session_token(session, origin=body["request_origin"])})


def handshake_payload(clerk: LocalClerk, request: Request) -> Response:
    held = clerk.handshakes.pop(request.args.get("nonce", ""), None)
    if held is None:
        raise not_found("handshake")
    return json_response({"directives": held})


def get_client(clerk: LocalClerk, request: Request, client_id: str) -> Response:
    with clerk.store.lock:
        if client_id not in clerk.store.clients:
            raise not_found("client")
        return json_response(client_body(clerk, clerk.store.clients[client_id]))


def verify_client(clerk: LocalClerk, request: Request) -> Response:
    body = json_body(request, {"token": (str,)}, required=("token",))
    with clerk.store.lock:
        client = clerk.store.client_by_token(body["token"])
        if client is None:
            raise not_found("client")
        return json_response(client_body(clerk, client))


def client_body(clerk: LocalClerk, client: Client) -> dict[str, object]:
    return shapes.client(client, [clerk.store.session(session_id) for session_id in client.session_ids])
