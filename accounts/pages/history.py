from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from accounts import scope
from accounts.access import role_at_least
from accounts.identity import IdentifiedRequest
from accounts.models import Role
from accounts.pages.lists import page_of


@require_safe
@role_at_least(Role.OWNER)
def history(request: IdentifiedRequest) -> HttpResponse:
    """Who did what when to whom, the latest first."""
    changes = scope.changes(request.manageros_user).select_related("by").order_by("-at", "-pk")
    return render(request, "accounts/history.html", {"page": page_of(request, changes)})
