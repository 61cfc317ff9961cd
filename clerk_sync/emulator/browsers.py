"""Which browser is calling the Frontend API, and from which site."""

from werkzeug.wrappers import Request, Response

from clerk_sync.emulator.clerk import LocalClerk
from clerk_sync.emulator.errors import Refusal
from clerk_sync.emulator.state import Client

DEV_BROWSER = "__clerk_db_jwt"
CLIENT_COOKIE = "__client"
YEAR = 365 * 24 * 3600


def browser_token(clerk: LocalClerk, request: Request) -> str | None:
    """A test instance knows browsers by the dev browser's token, a live one by its own cookie alone."""
    if clerk.instance.is_live:
        return request.cookies.get(CLIENT_COOKIE)
    return request.args.get(DEV_BROWSER) or request.cookies.get(DEV_BROWSER)


def find_client(clerk: LocalClerk, request: Request) -> Client | None:
    return clerk.store.client_by_token(browser_token(clerk, request))


def require_browser(clerk: LocalClerk, request: Request) -> Client:
    """The client of a script on a page: in a test instance it must name its dev browser."""
    client = find_client(clerk, request)
    if client is not None:
        return client
    if clerk.instance.is_live:
        return clerk.store.create_client()
    raise Refusal(
        401,
        "dev_browser_unauthenticated",
        "Browser unauthenticated",
        "Unable to authenticate this browser for your development instance.",
    )


def visiting_client(clerk: LocalClerk, request: Request) -> Client:
    """The client of a page visit: a browser that is not known yet becomes one."""
    return find_client(clerk, request) or clerk.store.create_client()


def remember(clerk: LocalClerk, response: Response, client: Client) -> Response:
    """Set the cookies by which this Clerk knows the browser again, on its own host and, live, for the site."""
    name = CLIENT_COOKIE if clerk.instance.is_live else DEV_BROWSER
    secure = clerk.instance.is_live
    response.set_cookie(name, client.token, max_age=YEAR, httponly=True, samesite="Lax", secure=secure)
    if clerk.instance.is_live:
        response.set_cookie(
            "__client_uat",
            str(client.signed_at),
            max_age=YEAR,
            samesite="Lax",
            secure=True,
            domain=clerk.instance.cookie_domain,
        )
        response.set_cookie(
            f"__client_uat_{clerk.instance.cookie_suffix}",
            str(client.signed_at),
            max_age=YEAR,
            samesite="Lax",
            secure=True,
            domain=clerk.instance.cookie_domain,
        )
    return response


def requesting_origin(clerk: LocalClerk, request: Request) -> str | None:
    """The site whose script is calling; one that the instance does not serve is refused."""
    origin = request.headers.get("Origin")
    if origin is not None and not clerk.instance.serves(origin):
        raise Refusal(
            400,
            "origin_invalid",
            "Invalid HTTP Origin header",
            "The Request HTTP Origin header must be equal to or a subdomain of the requesting URL.",
        )
    return origin
