from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from accounts.identity import ANONYMOUS
from clerk_sync.instance import clerk_instance, frontend_api_host
from clerk_sync.users import claims_are_stale


def clerk(request: HttpRequest) -> dict[str, Any]:
    """`clerk`, what its script's tags need, and `csp_nonce`, which each script tag of a page carries."""
    return {
        "clerk": SimpleLazyObject(lambda: script_settings(request)),
        "csp_nonce": getattr(request, "csp_nonce", ""),
    }


def script_settings(request: Any) -> dict[str, Any]:
    instance = clerk_instance()
    url = instance.frontend_api_url
    return {
        "publishable_key": instance.publishable_key,
        "script_url": f"{url}/npm/@clerk/clerk-js@{settings.CLERK_JS_VERSION}/dist/clerk.browser.js" if url else "",
        # Only where the Frontend API is not at the host that the key names.
        "proxy_url": url if url != f"https://{frontend_api_host(instance.publishable_key)}" else "",
        "claims_are_stale": claims_are_stale(getattr(request, "manageros_user", ANONYMOUS)),
    }
