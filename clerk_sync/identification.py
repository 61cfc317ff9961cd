"""Who one request is: found once, when first asked for, from its header or its cookies."""

import logging
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any
from urllib.parse import quote

from asgiref.sync import sync_to_async
from django.contrib.auth.models import AnonymousUser
from django.db import connection
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.cache import add_never_cache_headers, patch_vary_headers

from accounts.identity import ANONYMOUS, ManagerOSUser
from accounts.impersonation import current_actor
from accounts.models import User
from clerk_sync import backend_api, cookies, handshake, tally
from clerk_sync.handshake import Action, Need, Situation
from clerk_sync.handshake_payload import CookieToSet, handshake_cookies, is_leftover, shared_domain, with_cookies_set
from clerk_sync.instance import ClerkInstance, clerk_instance
from clerk_sync.refusals import IdentityUnavailable, Reason, Refusal, TokenRefused
from clerk_sync.session_claims import SessionClaims
from clerk_sync.strict_jwt import unverified_payload
from clerk_sync.tokens import Place, admit, site_verifier, verify
from clerk_sync.users import RENEWABLE, Identity, identified

logger = logging.getLogger(__name__)

# Tells the page's script that a newer token would carry claims that hold.
CLAIMS_HEADER = "X-ManagerOS-Claims"
VARY = "Authorization, Cookie"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
# Clerk keeps the cookie this long and renews the token inside it every minute.
SESSION_COOKIE_AGE = 365 * 24 * 3600
# Seconds. Someone is waiting for a page, and the handshake is there if this fails.
REFRESH_TIMEOUT = 3.0


class GoToClerk(Exception):  # noqa: N818  how a lazy value makes its view end in a redirect
    """The browser has to go to Clerk, or back from it to a clean address, before its request can be answered."""

    def __init__(self, url: str, *, status: str, reason: str) -> None:
        super().__init__(url)
        self.url = url
        self.status = status
        self.reason = reason


class Identification:
    """Finds out who a request is, and keeps what else came of that.

    `refusal` says why nobody is signed in. `queries` counts what the answer cost. `account` is the user's row where
    the database was asked. `place` is where the token came from, None where there was none.
    """

    # For the API, which says so before it asks: tokens of JWT templates count too.
    accepts_templates = False
    # Whether a redirect or a 503 may be raised: while the view runs. Error pages name the user too, and are made before
    # there is a view (no such address, no CSRF token) or after it failed.
    may_interrupt = False
    refusal: Refusal | None = None
    place: Place | None = None
    account: User | None = None
    queries = 0
    _user: ManagerOSUser | None = None
    _interruption: GoToClerk | IdentityUnavailable | None = None

    def __init__(self, request: HttpRequest, password_user: Any) -> None:
        """`password_user` is whoever signed in with a password, as `request.user` was until now."""
        self.request = request
        self.password_user = password_user
        self.cookies_to_set: dict[str, CookieToSet] = {}

    def find(self) -> ManagerOSUser:
        """The user, found when first asked for. Raises what the middleware answers: GoToClerk, IdentityUnavailable."""
        if self._user is not None:
            return self._user
        if self._interruption is None:
            try:
                identity = self._identity()
            except TokenRefused as refused:
                self.refusal = refused.refusal
                tally.tokens.count(refused.refusal.reason.value)
                return self._found(ANONYMOUS)
            except (GoToClerk, IdentityUnavailable) as interruption:
                tally.tokens.count("handshake" if isinstance(interruption, GoToClerk) else "unavailable")
                # Kept, because the page that says so asks again, and Clerk need not be.
                self._interruption = interruption
            else:
                self.account = identity.account
                if identity.user.actor is not None:
                    current_actor.set(identity.user.actor)
                tally.tokens.count("accepted")
                if identity.user.fallback_reason is not None:
                    tally.fallbacks.count(identity.user.fallback_reason)
                return self._found(identity.user)
        if self.may_interrupt:
            raise self._interruption
        return ANONYMOUS

    user = property(find)

    async def auser(self) -> ManagerOSUser:
        """The same for code in an event loop, which neither the cache nor the database may block."""
        if self._user is None:
            return await sync_to_async(self.find)()
        return self._user

    def request_user(self) -> Any:
        """`request.user`: the identified person, else whoever signed in with a password.

        A bearer header speaks for itself: where it is refused, no cookie answers in its place.
        """
        row = self.row()
        if row is not None:
            return row
        if self.user.is_authenticated or self.place is Place.HEADER:
            return AnonymousUser()
        return self.password_user

    async def arequest_user(self) -> Any:
        return await sync_to_async(self.request_user)()

    def row(self) -> User | None:
        """The row behind the identity, whose `sub` the token proves; None where it is gone or may not sign in."""
        user = self.user
        if not user.is_authenticated:
            return None
        if self.account is None:
            self.account = User.objects.filter(clerk_user_id=user.clerk_user_id, is_active=True).first()
        return self.account

    def _counting(self) -> AbstractContextManager[None]:
        """Not around the whole, because a request that needs no connection should not make one."""
        return connection.execute_wrapper(self._count)

    def _count(self, execute: Callable[..., Any], *args: Any) -> Any:
        self.queries += 1
        return execute(*args)

    def _found(self, user: ManagerOSUser) -> ManagerOSUser:
        self._user = user
        # From here on the value itself, which templates read in half the time of the lazy one.
        self.request.manageros_user = user  # type: ignore[attr-defined]
        self.request.identity_queries = self.queries  # type: ignore[attr-defined]
        return user

    def _identity(self) -> Identity:
        meta = self.request.META
        token = credentials(meta["HTTP_AUTHORIZATION"]) if "HTTP_AUTHORIZATION" in meta else None
        if token is None:
            # While the token lives, only what Clerk adds to an address changes what the same cookies come to.
            known = site_verifier().recall(meta.get("HTTP_COOKIE", ""))
            if known is None or "__clerk_" in meta.get("QUERY_STRING", ""):
                return identified(self._claims_from_cookies(), watching=self._counting)
            self.place = Place.COOKIE
            return identified(known, watching=self._counting)
        self.place = Place.HEADER
        if not token:
            raise TokenRefused(Reason.AUTHORIZATION_MALFORMED)
        claims = verify(token)
        admit(claims, Place.HEADER, accept_templates=self.accepts_templates)
        return identified(claims, watching=self._counting)

    # --- Cookies: the decision is handshake.decide's; here are its request and its network

    def _claims_from_cookies(self) -> SessionClaims:
        instance = clerk_instance()
        present: Mapping[str, str] = self.request.COOKIES
        payload = self._handshake_payload(instance)
        if payload is not None and (taken := self._taken_handshake(payload, instance)):
            present = with_cookies_set(present, taken)
            self.cookies_to_set |= taken
        return self._decided(present, instance)

    def _decided(self, present: Mapping[str, str], instance: ClerkInstance) -> SessionClaims:
        chosen = cookies.chosen_cookies(present, instance)
        if chosen.session is not None:
            self.place = Place.COOKIE
        situation = Situation(
            is_production=instance.is_production,
            is_document=handshake.is_document(self.request.method, self.request.META),
            session=chosen.session,
            client_uat=chosen.client_uat,
            has_refresh=chosen.refresh is not None,
            has_dev_browser=chosen.dev_browser is not None,
            has_dev_browser_query=has_query(self.request, cookies.DEV_BROWSER),
            redirects=handshake.redirects_so_far(present.get(cookies.REDIRECT_COUNT)),
        )
        outcome = handshake.decide(situation, verified_from_cookie)
        if outcome.action is Action.REFRESH and chosen.session and chosen.refresh:
            token = self._refreshed(chosen.session, chosen.refresh)
            if token is not None:
                claims = verified_from_cookie(token)
                self._keep_session(token, instance)
                return claims
        if outcome.claims is not None:
            if chosen.session is not None and not self.cookies_to_set:
                site_verifier().remember(self.request.META.get("HTTP_COOKIE", ""), chosen.session, outcome.claims)
            return outcome.claims
        if outcome.need is not None:
            raise self._to_clerk(outcome.need, chosen, situation, instance)
        refusal = outcome.refusal or Refusal(Reason.SIGNED_OUT)
        raise TokenRefused(refusal.reason, refusal.detail)

    def _handshake_payload(self, instance: ClerkInstance) -> str | None:
        """Production takes the cookie alone: in a link, a payload could sign someone in as somebody else."""
        if instance.is_production:
            return self.request.COOKIES.get(cookies.HANDSHAKE) or None
        if self.request.method != "GET" or not has_query(self.request, cookies.HANDSHAKE):
            return None
        return self.request.GET[cookies.HANDSHAKE] or None

    def _taken_handshake(self, payload: str, instance: ClerkInstance) -> dict[str, CookieToSet]:
        """The cookies that Clerk sent back. In development they are set on a redirect to an address without it."""
        host = self.request.get_host()
        try:
            taken = handshake_cookies(payload, site_verifier(), instance, host=host)
        except TokenRefused as refused:
            if not instance.is_production:
                raise TokenRefused(Reason.HANDSHAKE_INVALID, str(refused)) from None
            # It may be another site's of this domain. The loop guard bounds what comes of it.
            logger.warning("A handshake cookie was not accepted: %s", refused)
            taken = {}
        if instance.is_production:
            self.cookies_to_set[cookies.HANDSHAKE] = CookieToSet(
                cookies.HANDSHAKE, "", max_age=0, domain=shared_domain(instance, host)
            )
            return {} if is_leftover(taken, self.request.COOKIES) else taken
        self.cookies_to_set |= taken
        here = handshake.without_clerk_query(self.request.build_absolute_uri())
        raise GoToClerk(here, status="handshake", reason="handshake-taken")

    def _to_clerk(
        self, need: Need, chosen: cookies.ClerkCookies, situation: Situation, instance: ClerkInstance
    ) -> GoToClerk:
        self.cookies_to_set[cookies.REDIRECT_COUNT] = CookieToSet(
            cookies.REDIRECT_COUNT,
            str(situation.redirects + 1),
            max_age=handshake.REDIRECT_COUNT_LIFE,
            httponly=True,
        )
        url = handshake.handshake_url(
            instance,
            here=self.request.build_absolute_uri(),
            need=need,
            suffixed_cookies=chosen.suffixed,
            dev_browser=self.request.GET.get(cookies.DEV_BROWSER) or chosen.dev_browser,
        )
        return GoToClerk(url, status="handshake", reason=need.value)

    def _refreshed(self, expired: str, refresh: str) -> str | None:
        """A new token through the Backend API; None where the handshake has to do it."""
        session_id = (unverified_payload(expired) or {}).get("sid")
        if not isinstance(session_id, str):
            return None
        try:
            return backend_api.refresh_session(
                session_id,
                expired_token=expired,
                refresh_token=refresh,
                request_origin=f"{self.request.scheme}://{self.request.get_host()}",
                timeout=REFRESH_TIMEOUT,
            )
        except backend_api.ClerkError as error:
            logger.info("A session was not refreshed through the Backend API: %s", error)
            return None

    def _keep_session(self, token: str, instance: ClerkInstance) -> None:
        for name in (cookies.SESSION, f"{cookies.SESSION}_{instance.cookie_suffix}"):
            self.cookies_to_set[name] = CookieToSet(
                name, token, max_age=SESSION_COOKIE_AGE, secure=self.request.is_secure()
            )

    # --- On the way out

    def answer(self, going: GoToClerk) -> HttpResponse:
        response = HttpResponseRedirect(going.url, preserve_request=True)
        response.headers["X-Clerk-Auth-Status"] = going.status
        response.headers["X-Clerk-Auth-Reason"] = going.reason
        add_never_cache_headers(response)
        return response

    def finish(self, response: Any) -> None:
        """Set Clerk's cookies, and keep caches from giving one person's page to another."""
        for cookie in self.cookies_to_set.values():
            response.set_cookie(
                cookie.name,
                cookie.value,
                max_age=cookie.max_age,
                expires=None if cookie.max_age is not None else cookie.expires,
                domain=cookie.domain,
                secure=cookie.secure or self.request.is_secure(),
                httponly=cookie.httponly,
                samesite=cookie.samesite,
            )
        if self._user is None:
            return
        if response.headers.get("Vary", "Cookie") == "Cookie":
            response.headers["Vary"] = VARY
        else:
            patch_vary_headers(response, VARY.split(", "))
        if self._user.is_authenticated and "Cache-Control" not in response.headers:
            # A shared cache may store what does not forbid it, and not every one heeds Vary: Cookie.
            response.headers["Cache-Control"] = "private"
        if self._user.fallback_reason in RENEWABLE:
            response.headers[CLAIMS_HEADER] = "stale"
        if self._user.is_authenticated and self.request.method not in SAFE_METHODS:
            logger.info(
                "%s %s was answered with %d, for %s.",
                self.request.method,
                quote(self.request.path),  # a line break in it would forge a line
                response.status_code,
                self._user.clerk_user_id,
            )


def has_query(request: HttpRequest, name: str) -> bool:
    return name in request.META.get("QUERY_STRING", "") and name in request.GET


def credentials(authorization: str) -> str | None:
    """The token of an Authorization header; None where the header is absent or of another scheme, as a proxy's Basic.

    Empty where there is no telling: a bearer header without exactly one token, a value without a scheme. A header that
    fails is an error and never falls back to the cookie.
    """
    scheme, _, token = authorization.strip().partition(" ")
    if not scheme or (token and scheme.lower() != "bearer"):
        return None
    token = token.strip()
    return "" if " " in token else token


def verified_from_cookie(token: str) -> SessionClaims:
    claims = verify(token)
    admit(claims, Place.COOKIE)
    return claims


def session_to_end(request: Any) -> str | None:
    """The session that a request to sign out speaks of, proved by its token, though that may have expired.

    A page that slept for a minute sends an expired one, and would else be told that it is signed out while Clerk,
    never asked to end anything, signs it in again at the next page.
    """
    user: ManagerOSUser = request.manageros_user
    identification: Identification = request.identification
    token = cookies.chosen_cookies(request.COOKIES, clerk_instance()).session
    if user.is_authenticated or identification.place is not Place.COOKIE or token is None:
        return user.session_id
    try:
        verify(token)
    except TokenRefused as refused:
        if refused.refusal.reason is not Reason.TOKEN_EXPIRED:  # said of what is signed and sound alone
            return None
    session_id = (unverified_payload(token) or {}).get("sid")
    return session_id if isinstance(session_id, str) else None
