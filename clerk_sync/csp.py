"""The Content-Security-Policy of every page: this site's own files, Clerk's, and scripts that carry the page's nonce.

What Clerk's own front end needs is as its documentation lists it (clerk.com/docs, Content Security Policy headers).
"""

import secrets
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.http import HttpRequest, HttpResponseBase
from django.utils.functional import SimpleLazyObject

from clerk_sync.instance import clerk_instance

HEADER = "Content-Security-Policy"
PROTECT = "https://*.protect.clerk.com"
CHALLENGES = "https://challenges.cloudflare.com"


class ContentSecurityPolicyMiddleware:
    """Sets the header where the view did not, and `request.csp_nonce`, which is made when a template asks for it."""

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self.get_response = get_response
        if iscoroutinefunction(get_response):
            markcoroutinefunction(self)

    def __call__(self, request: Any) -> Any:
        nonces = with_nonce(request)
        if iscoroutinefunction(self):
            return self._answer_async(request, nonces)
        return with_policy(self.get_response(request), nonces)

    async def _answer_async(self, request: Any, nonces: list[str]) -> HttpResponseBase:
        return with_policy(await self.get_response(request), nonces)


def with_nonce(request: Any) -> list[str]:
    """The list that will hold the nonce of this request once a template has asked for it."""
    nonces: list[str] = []

    def make() -> str:
        nonces.append(secrets.token_urlsafe(18))
        return nonces[0]

    request.csp_nonce = SimpleLazyObject(make)
    return nonces


def with_policy(response: HttpResponseBase, nonces: list[str]) -> HttpResponseBase:
    if HEADER not in response.headers:
        fixed = policy(clerk_instance().frontend_api_url)
        scripts = "".join(f" 'nonce-{nonce}'" for nonce in nonces)
        response.headers[HEADER] = fixed.replace("script-src 'self'", f"script-src 'self'{scripts}", 1)
    return response


@lru_cache(maxsize=8)
def policy(frontend_api_url: str) -> str:
    directives = {
        "default-src": ["'self'"],
        "script-src": ["'self'", frontend_api_url, CHALLENGES, PROTECT],
        "connect-src": ["'self'", frontend_api_url, f"{PROTECT}:*"],
        "img-src": ["'self'", "data:", "https://img.clerk.com", frontend_api_url],
        # Clerk's components style themselves at run time. A style runs no script.
        "style-src": ["'self'", "'unsafe-inline'"],
        "worker-src": ["'self'", "blob:"],
        "frame-src": [CHALLENGES, PROTECT],
        # A form's answer may redirect to a page, and that to Clerk's handshake: browsers judge the whole way.
        "form-action": ["'self'", frontend_api_url],
        "base-uri": ["'none'"],
        "object-src": ["'none'"],
        "frame-ancestors": ["'none'"],
    }
    return "; ".join(" ".join([name, *filter(None, sources)]) for name, sources in directives.items())
