"""Signing in, up and out. Clerk asks for the credentials, on its own pages; the site sends people there and back."""

import logging
from urllib.parse import urlencode

from django.contrib import messages
from django.contrib.auth import logout
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, resolve_url
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from accounts.identity import IdentifiedRequest
from clerk_sync import backend_api
from clerk_sync.freshness import end_session
from clerk_sync.identification import session_to_end
from clerk_sync.instance import clerk_instance

logger = logging.getLogger(__name__)


@require_safe
@never_cache
def sign_in(request: IdentifiedRequest) -> HttpResponse:
    return to_hosted_page(request, clerk_instance().sign_in_url)


@require_safe
@never_cache
def sign_up(request: IdentifiedRequest) -> HttpResponse:
    return to_hosted_page(request, clerk_instance().sign_up_url)


def to_hosted_page(request: IdentifiedRequest, page: str) -> HttpResponse:
    back = next_url(request)
    if request.manageros_user.is_authenticated:
        return redirect(back)
    return HttpResponseRedirect(f"{page}?{urlencode({'redirect_url': request.build_absolute_uri(back)})}")


def next_url(request: HttpRequest) -> str:
    """Where to go after signing in: `next` if it is on this site, else the dashboard. Never somebody else's site."""
    wanted = request.GET.get("next", "")
    safe = url_has_allowed_host_and_scheme(wanted, {request.get_host()}, require_https=request.is_secure())
    return wanted if safe else resolve_url("dashboard")


@require_POST
@never_cache
def sign_out(request: IdentifiedRequest) -> HttpResponse:
    """End the session here at once, and at Clerk, so that Clerk does not sign the browser in again by itself."""
    session_id = session_to_end(request)
    if session_id is not None:
        end_session(session_id)
        try:
            backend_api.revoke_session(session_id)
        except backend_api.ClerkError as error:
            logger.warning("A session was ended here but not at Clerk: %s", error)
            messages.warning(request, "You are signed out here. Clerk could not be told: sign out there as well.")
    logout(request)  # a staff user's password session
    response = redirect("home")
    suffix = clerk_instance().cookie_suffix
    for name in ("__session", "__client_uat", "__refresh"):
        response.delete_cookie(name)
        response.delete_cookie(f"{name}_{suffix}")
    return response
