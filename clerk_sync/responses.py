"""What someone gets who is signed out: a page that says why and leads back, JSON for a program, never a lost form."""

from typing import Any
from urllib.parse import urlencode, urlsplit

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.cache import add_never_cache_headers

from accounts.api.errors import problem
from clerk_sync.handshake import without_clerk_query
from clerk_sync.refusals import CHALLENGE, IdentityUnavailable, Reason, Refusal

# Of a form that is kept while its sender signs in again; what is larger was not typed.
MAX_KEPT_FIELDS = 200
MAX_KEPT_CHARACTERS = 100_000


def unauthorized(request: Any) -> HttpResponse:
    """401 with the reason, in the form that the sender can use."""
    refusal: Refusal = request.identification.refusal or Refusal(Reason.SIGNED_OUT)
    response: HttpResponse
    if "HX-Request" in request.headers:
        response = HttpResponse(status=401)
        response.headers["HX-Redirect"] = sign_in_url(_htmx_page(request))
    elif wants_json(request):
        response = problem(401, code=refusal.reason.value, detail=refusal.reason.text)
    else:
        context = {
            "reason": refusal.reason.value,
            "reason_text": refusal.reason.text,
            "detail": refusal.detail,
            "sign_in_url": sign_in_url(_page_to_return_to(request)),
            "kept_fields": kept_fields(request),
        }
        response = render(request, "401.html", context, status=401)
    response.headers["WWW-Authenticate"] = CHALLENGE
    response.headers["X-Clerk-Auth-Status"] = "signed-out"
    response.headers["X-Clerk-Auth-Reason"] = refusal.reason.value
    add_never_cache_headers(response)
    return response


def unavailable(request: Any, error: IdentityUnavailable) -> HttpResponse:
    """503: who is asking could not be found out, and nothing was done."""
    detail = "Clerk, which knows who you are, could not be reached. Nothing was changed."
    response: HttpResponse
    if wants_json(request):
        response = problem(503, code="identity_unavailable", detail=detail)
    else:
        response = render(request, "503.html", {"detail": detail}, status=503)
    response.headers["Retry-After"] = str(error.retry_after)
    add_never_cache_headers(response)
    return response


def wants_json(request: HttpRequest) -> bool:
    """Whether a program reads the answer: the API's clients, and scripts on a page."""
    return (
        request.path.startswith("/api/")
        or request.headers.get("Sec-Fetch-Dest") == "empty"
        or request.headers.get("X-Requested-With") == "XMLHttpRequest"
        or not request.accepts("text/html")
    )


def kept_fields(request: HttpRequest) -> list[tuple[str, str]]:
    """The fields of a refused form, for the page to send again once its sender is signed in. Files are not kept."""
    if request.method != "POST":
        return []
    fields = [
        (name, value) for name, values in request.POST.lists() if name != "csrfmiddlewaretoken" for value in values
    ]
    size = sum(len(name) + len(value) for name, value in fields)
    return fields if len(fields) <= MAX_KEPT_FIELDS and size <= MAX_KEPT_CHARACTERS else []


def sign_in_url(page: str) -> str:
    return f"{reverse('sign-in')}?{urlencode({'next': page})}"


def _page_to_return_to(request: HttpRequest) -> str:
    """The page itself, or, for a form that was posted, the page that it was on."""
    if request.method in {"GET", "HEAD"}:
        return without_clerk_query(request.get_full_path())
    return _own_path(request, request.headers.get("Referer", "")) or "/"


def _htmx_page(request: HttpRequest) -> str:
    return _own_path(request, request.headers.get("HX-Current-URL", "")) or "/"


def _own_path(request: HttpRequest, url: str) -> str:
    """Path and query of an address on this host; empty for any other."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    if parts.netloc != request.get_host() or not parts.path.startswith("/") or parts.path.startswith("//"):
        return ""
    return without_clerk_query(parts.path + (f"?{parts.query}" if parts.query else ""))
