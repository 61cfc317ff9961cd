"""The claims: whether the tokens that come in carry them, and whether they fit."""

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from django.db.models import Sum
from django.db.models.functions import Length
from django.utils import timezone

from accounts.models import Organization, Role
from clerk_sync import backend_api
from clerk_sync.backend_api import ClerkError
from clerk_sync.claims import CLAIMS
from clerk_sync.doctor.findings import Finding, error, fine, note, warning
from clerk_sync.models import Activity

DAY = timedelta(days=1)
# Bytes. Browsers drop a cookie that is longer; Clerk keeps that much of it for its own claims, and leaves the rest.
# https://clerk.com/docs/guides/sessions/session-tokens
COOKIE_BUDGET = 4096
CLAIMS_BUDGET = 1200
LARGEST = 5

CUSTOMIZE = (
    "`python manage.py clerk_claims` prints what to paste in Clerk's dashboard under Sessions, Customize session token."
)
UUID_LENGTH = 36


def examine_claims() -> Iterator[Finding]:
    """What the tokens of the last day were like, as the site's own figures tell."""
    fallbacks = Activity.objects.since(timezone.now() - DAY).filter(figure=Activity.Figure.FALLBACK)
    counts = dict(fallbacks.order_by().values_list("label").annotate(Sum("value")))
    if unconfigured := counts.get("claims_not_configured", 0):
        yield _unconfigured(unconfigured)
    if invalid := counts.get("claims_invalid", 0):
        yield warning(
            "claims-invalid",
            f"{invalid} requests of the last day brought claims of the wrong type, such as a number for a text.",
            "Is something else writing to these keys of the users' public metadata, or is a shortcode inside a text? "
            f"`clerk_doctor --token` explains one of them. {CUSTOMIZE}",
        )
    if not (unconfigured or invalid):
        yield fine("claims", "No token of the last day lacked the claims, or brought them in a wrong form.")


def _unconfigured(count: int) -> Finding:
    text = f"{count} requests of the last day brought session tokens without the claims: each cost a query. "
    try:
        names = [str(template.get("name")) for template in backend_api.list_jwt_templates() if _carries(template)]
    except ClerkError:
        names = []
    if names:
        text += f"The JWT template {', '.join(names)} has them, but changes only what getToken({{template}}) fetches."
        return warning("only-jwt-template", text, CUSTOMIZE)
    text += "The session token was not customized, or under other names (`clerk_doctor --token` tells)."
    return warning("session-token-not-customized", text, CUSTOMIZE)


def _carries(template: dict[str, Any]) -> bool:
    claims = template.get("claims")
    return isinstance(claims, dict) and not CLAIMS.keys().isdisjoint(claims)


def examine_size() -> Iterator[Finding]:
    """The cookie of a member of the organization with the longest name and slug."""
    largest = Organization.objects.annotate(length=Length("name") + Length("slug")).order_by("-length")[:LARGEST]
    sizes = {organization: claims_size(organization) for organization in largest}
    if not sizes:
        yield note("cookie-size", "There is no organization yet whose claims could be measured.")
        return
    organization, size = max(sizes.items(), key=lambda item: item[1])
    if size > CLAIMS_BUDGET:
        yield error(
            "claims-too-large",
            f"The claims of {organization.slug} have {size} bytes; Clerk leaves {CLAIMS_BUDGET} of a cookie for them. "
            "Browsers drop a cookie that is too large: its members cannot stay signed in.",
            "Shorten its name. Other claims in the session token's JSON count too: `clerk_doctor --token` adds up.",
        )
    else:
        yield fine("cookie-size", f"The largest claims have {size} bytes, of {CLAIMS_BUDGET} at most.")


def claims_size(organization: Organization) -> int:
    """Bytes of the six claims of a member, as Clerk's encoder writes them."""
    an_id = "0" * UUID_LENGTH
    values = {
        "managerOSUserId": an_id,
        "organizationId": an_id,
        "organizationName": organization.name,
        "organizationSlug": organization.slug,
        "personId": an_id,
        "role": max(Role.values, key=len),
    }
    return json_size(values)


def json_size(value: Any) -> int:
    """Bytes of JSON as Go writes it: UTF-8, but `<`, `>` and `&` as six characters each."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=dict)
    return len(text.encode()) + 5 * sum(map(text.count, "<>&"))
