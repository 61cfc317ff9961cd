"""The Backend API: who may call it, in which version, how often."""

import hmac

from werkzeug.wrappers import Request, Response

from clerk_sync.emulator import backend_instance, backend_sessions, backend_users
from clerk_sync.emulator.clerk import LocalClerk
from clerk_sync.emulator.errors import Refusal
from clerk_sync.emulator.routing import Routes
from clerk_sync.emulator.versions import api_version

routes = Routes(prefix="/v1")
backend_users.register(routes)
backend_sessions.register(routes)
backend_instance.register(routes)


def answer(clerk: LocalClerk, request: Request) -> Response:
    authenticate(clerk, request)
    api_version(request)
    if request.path != "/v1/jwks":
        clerk.limiter.admit(("instance", clerk.limits.instance))
    return routes.answer(clerk, request)


def authenticate(clerk: LocalClerk, request: Request) -> None:
    scheme, _, key = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not key:
        raise Refusal(
            401,
            "authorization_header_format_invalid",
            "Invalid Authorization header format",
            'Invalid Authorization header format. Must be "Bearer <YOUR_API_KEY>"',
        )
    if not hmac.compare_digest(key.strip().encode(), clerk.instance.secret_key.encode()):
        raise Refusal(
            401,
            "clerk_key_invalid",
            "The provided Clerk Secret Key is invalid. Make sure that your Clerk Secret Key is correct.",
        )
