from django.http import HttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from accounts.access import signed_in
from accounts.identity import IdentifiedRequest


@require_safe
@never_cache
@signed_in
def freshness(request: IdentifiedRequest) -> HttpResponse:
    """Nothing but the header that says whether the claims of the browser's token hold (see session.js)."""
    return HttpResponse(status=204)
