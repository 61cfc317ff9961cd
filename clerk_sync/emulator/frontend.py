"""The Frontend API: what ClerkJS on a page of the site asks for, in the name of one browser."""

from werkzeug.wrappers import Request, Response

from clerk_sync.emulator import client_shapes, sign_ins
from clerk_sync.emulator.answers import Json, json_response
from clerk_sync.emulator.browsers import find_client, remember, requesting_origin, require_browser
from clerk_sync.emulator.clerk import LocalClerk
from clerk_sync.emulator.environment import environment
from clerk_sync.emulator.errors import Refusal, not_found
from clerk_sync.emulator.handshake import handshake
from clerk_sync.emulator.routing import Routes
from clerk_sync.emulator.state import Client, Session, SessionStatus

routes = Routes()
sign_ins.register(routes)
routes.add("GET", "/v1/client/handshake")(handshake)


def answer(clerk: LocalClerk, request: Request) -> Response:
    origin = requesting_origin(clerk, request)
    if request.method == "OPTIONS":
        return allow(Response(status=204), origin, preflight=True)
    try:
        return allow(routes.answer(clerk, request, method=meant_method(request)), origin)
    except Refusal as refusal:
        return allow(refusal.response(), origin)


def meant_method(request: Request) -> str:
    """ClerkJS posts whatever changes something, and names the method that it means: a POST needs no preflight."""
    meant = request.args.get("_method", "")
    return meant if request.method == "POST" and meant in {"DELETE", "PATCH", "PUT"} else request.method


def allow(response: Response, origin: str | None, *, preflight: bool = False) -> Response:
    """Let the script of that site read the answer, and send the browser's cookies along."""
    if origin is None:
        return response
    response.headers["Access-Control-Allow-Origin"] = origin
    response.headers["Access-Control-Allow-Credentials"] = "true"
    response.headers["Vary"] = "Origin"
    if preflight:
        response.headers["Access-Control-Allow-Methods"] = "GET, POST, PUT, PATCH, DELETE"
        response.headers["Access-Control-Allow-Headers"] = "Authorization, Content-Type"
    return response


def wrapped(clerk: LocalClerk, request: Request, response: Json | None, client: Client | None) -> Response:
    """Every answer carries the client beside what was asked for, so that the page is never behind."""
    origin = request.headers.get("Origin")
    body = client_shapes.client(clerk, client, origin=origin) if client else None
    answer = json_response({"response": response, "client": body})
    return remember(clerk, answer, client) if client else answer


@routes.add("GET", "/.well-known/jwks.json")
def jwks(clerk: LocalClerk, request: Request) -> Response:
    return json_response(clerk.signer.jwks)


@routes.add("GET", "/npm/@clerk/clerk-js@<version>/dist/<name>")
def clerk_js(clerk: LocalClerk, request: Request, version: str, name: str) -> Response:
    """A stand-in of ours, whatever version is asked for: the real one is not to be had without a network."""
    files = {file.name: file for file in clerk.clerk_js.glob("*.js")}
    if name not in files:
        raise not_found("script")
    headers = {"Cache-Control": "no-cache"}
    return Response(files[name].read_bytes(), headers=headers, content_type="text/javascript; charset=utf-8")


@routes.add("GET", "/v1/environment")
@routes.add("PATCH", "/v1/environment")
def get_environment(clerk: LocalClerk, request: Request) -> Response:
    return json_response(environment(clerk.instance))


@routes.add("POST", "/v1/dev_browser")
def create_dev_browser(clerk: LocalClerk, request: Request) -> Response:
    if clerk.instance.is_live:
        raise Refusal(400, "dev_browser_not_supported", "A live instance has no dev browsers")
    client = clerk.store.create_client()
    return remember(clerk, json_response({"id": client.token}), client)


@routes.add("GET", "/v1/client")
@routes.add("PUT", "/v1/client")
@routes.add("POST", "/v1/client")
def get_client(clerk: LocalClerk, request: Request) -> Response:
    with clerk.store.lock:
        client = require_browser(clerk, request)
        body = client_shapes.client(clerk, client, origin=request.headers.get("Origin"))
        return remember(clerk, json_response({"response": body, "client": None}), client)


@routes.add("DELETE", "/v1/client")
@routes.add("DELETE", "/v1/client/sessions")
def remove_sessions(clerk: LocalClerk, request: Request) -> Response:
    with clerk.store.lock:
        client = require_browser(clerk, request)
        for session_id in client.session_ids:
            clerk.store.end_session(session_id, "removed")
        body = client_shapes.client(clerk, client, origin=None)
        return remember(clerk, json_response({"response": body, "client": None}), client)


def own_session(clerk: LocalClerk, request: Request, session_id: str) -> tuple[Client, Session]:
    """Another browser's session is as unknown as one that never was."""
    client = require_browser(clerk, request)
    if session_id not in client.session_ids:
        raise not_found("session")
    return client, clerk.store.session(session_id)


def active_session(clerk: LocalClerk, request: Request, session_id: str) -> tuple[Client, Session]:
    client, session = own_session(clerk, request, session_id)
    if session.status != "active":
        raise Refusal(401, "authentication_invalid", "Invalid authentication", "The session is not active any more.")
    return client, session


@routes.add("GET", "/v1/client/sessions/<session_id>")
def get_session(clerk: LocalClerk, request: Request, session_id: str) -> Response:
    with clerk.store.lock:
        client, session = own_session(clerk, request, session_id)
        body = client_shapes.session(clerk, session, origin=request.headers.get("Origin"))
        return wrapped(clerk, request, body, client)


@routes.add("POST", "/v1/client/sessions/<session_id>/touch")
def touch_session(clerk: LocalClerk, request: Request, session_id: str) -> Response:
    with clerk.store.lock:
        client, session = active_session(clerk, request, session_id)
        client.last_active_session_id = session.id
        session.last_active_at = clerk.store.now()
        body = client_shapes.session(clerk, session, origin=request.headers.get("Origin"))
        return wrapped(clerk, request, body, client)


@routes.add("POST", "/v1/client/sessions/<session_id>/end")
def end_session(clerk: LocalClerk, request: Request, session_id: str) -> Response:
    return finish(clerk, request, session_id, "ended")


@routes.add("POST", "/v1/client/sessions/<session_id>/remove")
def remove_session(clerk: LocalClerk, request: Request, session_id: str) -> Response:
    return finish(clerk, request, session_id, "removed")


def finish(clerk: LocalClerk, request: Request, session_id: str, status: SessionStatus) -> Response:
    with clerk.store.lock:
        client, session = active_session(clerk, request, session_id)
        clerk.store.end_session(session.id, status)
        return wrapped(clerk, request, client_shapes.session(clerk, session, origin=None), client)


@routes.add("POST", "/v1/client/sessions/<session_id>/tokens")
def create_token(clerk: LocalClerk, request: Request, session_id: str) -> Response:
    with clerk.store.lock:
        client, session = active_session(clerk, request, session_id)
        jwt = clerk.session_token(session, origin=request.headers.get("Origin"))
    return remember(clerk, json_response({"object": "token", "jwt": jwt}), client)


@routes.add("POST", "/v1/client/sessions/<session_id>/tokens/<name>")
def create_template_token(clerk: LocalClerk, request: Request, session_id: str, name: str) -> Response:
    with clerk.store.lock:
        _client, session = active_session(clerk, request, session_id)
        jwt = clerk.template_token(name, session, origin=request.headers.get("Origin"))
    return json_response({"object": "token", "jwt": jwt})


@routes.add("GET", "/v1/me")
def get_me(clerk: LocalClerk, request: Request) -> Response:
    with clerk.store.lock:
        client = find_client(clerk, request)
        session = clerk.store.active_session(client) if client else None
        if client is None or session is None:
            raise Refusal(401, "signed_out", "Signed out", "You are signed out.")
        return wrapped(clerk, request, client_shapes.user(clerk.store.user(session.user_id)), client)
