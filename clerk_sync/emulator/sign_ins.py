"""Signing in and up through the Frontend API: by a code sent to an email address, or by a ticket."""

from werkzeug.wrappers import Request, Response

from clerk_sync.emulator import client_shapes
from clerk_sync.emulator.answers import json_response
from clerk_sync.emulator.backend_users import require_email
from clerk_sync.emulator.browsers import remember, require_browser
from clerk_sync.emulator.clerk import LocalClerk
from clerk_sync.emulator.errors import Refusal, not_found, parameter
from clerk_sync.emulator.fields import form
from clerk_sync.emulator.routing import Routes
from clerk_sync.emulator.state import Client, Session, SignIn, SignUp
from clerk_sync.emulator.tickets import accept

# What Clerk takes for its test addresses (https://clerk.com/docs/guides/development/testing/test-emails-and-phones);
# here it is every address's code, because no mail is sent.
CODE = "424242"
ABANDONED_AFTER = 24 * 3600 * 1000  # milliseconds


def register(routes: Routes) -> None:
    routes.add("POST", "/v1/client/sign_ins")(create_sign_in)
    routes.add("GET", "/v1/client/sign_ins/<attempt_id>")(get_sign_in)
    routes.add("POST", "/v1/client/sign_ins/<attempt_id>/prepare_first_factor")(prepare_sign_in)
    routes.add("POST", "/v1/client/sign_ins/<attempt_id>/attempt_first_factor")(attempt_sign_in)
    routes.add("POST", "/v1/client/sign_ups")(create_sign_up)
    routes.add("GET", "/v1/client/sign_ups/<attempt_id>")(get_sign_up)
    routes.add("POST", "/v1/client/sign_ups/<attempt_id>/prepare_verification")(prepare_sign_up)
    routes.add("POST", "/v1/client/sign_ups/<attempt_id>/attempt_verification")(attempt_sign_up)


def create_sign_in(clerk: LocalClerk, request: Request) -> Response:
    clerk.limiter.admit((f"sign-ins:{request.remote_addr}", clerk.limits.sign_ins))
    values = form(request, "identifier", "strategy", "ticket")
    with clerk.store.lock:
        client = require_browser(clerk, request)
        attempt = SignIn(user_id=None, identifier=None, abandon_at=clerk.store.now() + ABANDONED_AFTER)
        client.sign_in = attempt
        if values.get("strategy") == "ticket":
            session = accept(clerk, client, values.get("ticket", ""))
            attempt.user_id, attempt.created_session_id = session.user_id, session.id
        elif "identifier" in values:
            user = clerk.store.user_by_email(values["identifier"])
            if user is None:
                raise parameter("form_identifier_not_found", "identifier", "Couldn't find your account")
            attempt.user_id, attempt.identifier = user.id, values["identifier"]
            attempt.code_sent = values.get("strategy") == "email_code"
        return sign_in_answer(clerk, request, client)


def own_sign_in(clerk: LocalClerk, request: Request, attempt_id: str) -> tuple[Client, SignIn]:
    client = require_browser(clerk, request)
    if client.sign_in is None or client.sign_in.id != attempt_id:
        raise not_found("sign-in attempt")
    return client, client.sign_in


def get_sign_in(clerk: LocalClerk, request: Request, attempt_id: str) -> Response:
    with clerk.store.lock:
        client, _attempt = own_sign_in(clerk, request, attempt_id)
        return sign_in_answer(clerk, request, client)


def prepare_sign_in(clerk: LocalClerk, request: Request, attempt_id: str) -> Response:
    require_email_code(request)
    with clerk.store.lock:
        client, attempt = own_sign_in(clerk, request, attempt_id)
        attempt.code_sent = True
        return sign_in_answer(clerk, request, client)


def attempt_sign_in(clerk: LocalClerk, request: Request, attempt_id: str) -> Response:
    clerk.limiter.admit((f"attempts:{request.remote_addr}", clerk.limits.attempts))
    require_email_code(request)
    with clerk.store.lock:
        client, attempt = own_sign_in(clerk, request, attempt_id)
        if not attempt.code_sent or attempt.created_session_id or attempt.user_id is None:
            raise Refusal(400, "verification_not_prepared", "No code is expected for this attempt")
        check_code(request)
        session = clerk.store.sign_in(client, clerk.store.user(attempt.user_id))
        attempt.created_session_id = session.id
        return sign_in_answer(clerk, request, client)


def sign_in_answer(clerk: LocalClerk, request: Request, client: Client) -> Response:
    if client.sign_in is None:
        raise not_found("sign-in attempt")
    body = client_shapes.client(clerk, client, origin=request.headers.get("Origin"))
    answer = json_response({"response": client_shapes.sign_in(clerk, client.sign_in), "client": body})
    return remember(clerk, answer, client)


def create_sign_up(clerk: LocalClerk, request: Request) -> Response:
    clerk.limiter.admit((f"sign-ins:{request.remote_addr}", clerk.limits.sign_ins))
    values = form(request, "email_address", "first_name", "last_name", required=("email_address",))
    require_email(values["email_address"])
    with clerk.store.lock:
        client = require_browser(clerk, request)
        clerk.store.refuse_taken_email(values["email_address"])
        client.sign_up = SignUp(
            email_address=values["email_address"],
            first_name=values.get("first_name"),
            last_name=values.get("last_name"),
            abandon_at=clerk.store.now() + ABANDONED_AFTER,
        )
        return sign_up_answer(clerk, request, client)


def own_sign_up(clerk: LocalClerk, request: Request, attempt_id: str) -> tuple[Client, SignUp]:
    client = require_browser(clerk, request)
    if client.sign_up is None or client.sign_up.id != attempt_id:
        raise not_found("sign-up attempt")
    return client, client.sign_up


def get_sign_up(clerk: LocalClerk, request: Request, attempt_id: str) -> Response:
    with clerk.store.lock:
        client, _attempt = own_sign_up(clerk, request, attempt_id)
        return sign_up_answer(clerk, request, client)


def prepare_sign_up(clerk: LocalClerk, request: Request, attempt_id: str) -> Response:
    require_email_code(request)
    with clerk.store.lock:
        client, attempt = own_sign_up(clerk, request, attempt_id)
        attempt.code_sent = True
        return sign_up_answer(clerk, request, client)


def attempt_sign_up(clerk: LocalClerk, request: Request, attempt_id: str) -> Response:
    clerk.limiter.admit((f"attempts:{request.remote_addr}", clerk.limits.attempts))
    require_email_code(request)
    with clerk.store.lock:
        client, attempt = own_sign_up(clerk, request, attempt_id)
        if not attempt.code_sent or attempt.created_session_id or attempt.email_address is None:
            raise Refusal(400, "verification_not_prepared", "No code is expected for this attempt")
        check_code(request)
        session = register_user(clerk, client, attempt.email_address, attempt.first_name, attempt.last_name)
        attempt.created_user_id, attempt.created_session_id = session.user_id, session.id
        return sign_up_answer(clerk, request, client)


def register_user(
    clerk: LocalClerk, client: Client, email: str, first_name: str | None, last_name: str | None
) -> Session:
    user = clerk.store.create_user(emails=[(email, True)], first_name=first_name, last_name=last_name)
    return clerk.store.sign_in(client, user)


def sign_up_answer(clerk: LocalClerk, request: Request, client: Client) -> Response:
    if client.sign_up is None:
        raise not_found("sign-up attempt")
    body = client_shapes.client(clerk, client, origin=request.headers.get("Origin"))
    answer = json_response({"response": client_shapes.sign_up(client.sign_up), "client": body})
    return remember(clerk, answer, client)


def require_email_code(request: Request) -> None:
    if form(request, "strategy", required=("strategy",))["strategy"] != "email_code":
        raise parameter("form_param_value_invalid", "strategy", "must be email_code")


def check_code(request: Request) -> None:
    if form(request, "code", required=("code",))["code"] != CODE:
        raise parameter("form_code_incorrect", "code", "Incorrect code")
