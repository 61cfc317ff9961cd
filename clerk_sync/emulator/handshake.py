"""The handshake: a navigation to Clerk and back that brings a server-rendered site its cookies.

https://clerk.com/docs/guides/how-clerk-works/overview and clerk/javascript, packages/backend/src/tokens/handshake.ts
"""

import secrets
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from werkzeug.wrappers import Request, Response

from clerk_sync.emulator.answers import redirect
from clerk_sync.emulator.browsers import DEV_BROWSER, YEAR, remember, visiting_client
from clerk_sync.emulator.clerk import LocalClerk
from clerk_sync.emulator.errors import parameter
from clerk_sync.emulator.state import Client, Session

EXPIRED = "Expires=Thu, 01 Jan 1970 00:00:00 GMT"


def handshake(clerk: LocalClerk, request: Request) -> Response:
    target = request.args.get("redirect_url", "")
    if not clerk.instance.serves(target):
        raise parameter("form_param_value_invalid", "redirect_url", "must be an address of the site", status=400)
    form = request.args.get("format", "token")
    if form not in {"token", "nonce"}:
        raise parameter("form_param_value_invalid", "format", "must be token or nonce")
    suffixed = request.args.get("suffixed_cookies") == "true"
    with clerk.store.lock:
        client = visiting_client(clerk, request)
        session = clerk.store.active_session(client)
        secure = target.startswith("https://")
        cookies = directives(clerk, client, session, suffixed=suffixed, secure=secure)
    name, value = "__clerk_handshake", clerk.signer.handshake_token(cookies, now=clerk.store.clock())
    if form == "nonce":
        name, value = "__clerk_handshake_nonce", secrets.token_urlsafe(24)
        clerk.handshakes[value] = cookies
    if not clerk.instance.is_live:
        return remember(clerk, redirect(with_query(target, {name: value})), client)
    response = redirect(target)
    response.set_cookie(
        name, value, max_age=60, domain=clerk.instance.cookie_domain, secure=True, httponly=True, samesite="Lax"
    )
    return remember(clerk, response, client)


def directives(
    clerk: LocalClerk, client: Client, session: Session | None, *, suffixed: bool, secure: bool
) -> list[str]:
    """The Set-Cookie lines that put the site in step with this browser's session, or clear it away."""
    attributes = "Path=/; SameSite=Lax" + ("; Secure" if secure else "")
    suffix = f"_{clerk.instance.cookie_suffix}"
    suffixes = ["", suffix] if suffixed else [""]
    lines = []
    if session is None:
        lines += [f"__session{each}=; {attributes}; {EXPIRED}" for each in suffixes]
        lines += [f"__client_uat{each}=0; {attributes}; Max-Age={YEAR}" for each in suffixes]
        lines += [f"__refresh{suffix}=; {attributes}; HttpOnly; {EXPIRED}"]
    else:
        token = clerk.session_token(session)
        lines += [f"__session{each}={token}; {attributes}; Max-Age={YEAR}" for each in suffixes]
        lines += [f"__client_uat{each}={client.signed_at}; {attributes}; Max-Age={YEAR}" for each in suffixes]
        lines += [f"__refresh{suffix}={session.refresh_token}; {attributes}; HttpOnly; Max-Age={YEAR}"]
    if not clerk.instance.is_live:
        lines += [f"{DEV_BROWSER}{each}={client.token}; {attributes}; Max-Age={YEAR}" for each in suffixes]
    return lines


def with_query(url: str, values: dict[str, str]) -> str:
    """The address with these parameters, each in place of one of its name."""
    parts = urlsplit(url)
    kept = [(name, value) for name, value in parse_qsl(parts.query, keep_blank_values=True) if name not in values]
    return urlunsplit(parts._replace(query=urlencode([*kept, *values.items()])))
