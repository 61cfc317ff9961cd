"""The first pages: the public one, and the dashboard."""

from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_safe

from accounts import scope
from accounts.access import signed_in
from accounts.identity import IdentifiedRequest
from accounts.models import Change, Person, Role

SHOWN = 50
LATEST = 8
# Who is invited is for those who may invite.
FOR_ADMINS = [Change.Kind.INVITED, Change.Kind.REVOKED]


@require_safe
def home(request: IdentifiedRequest) -> HttpResponse:
    if request.manageros_user.is_authenticated:
        return redirect("dashboard")
    return render(request, "accounts/home.html")


@require_safe
@signed_in
def dashboard(request: IdentifiedRequest) -> HttpResponse:
    """Who you are, your organization, your person, your manager and your reports."""
    who = request.manageros_user
    invitations = scope.own_invitations(who)
    if who.organization_id is None:
        memberships = scope.own_memberships(who).order_by("organization__name")
        own = {"memberships": memberships, "invitations": invitations}
        return render(request, "accounts/no_organization.html", own)
    person = None
    if who.person_id is not None:
        person = scope.people(who).select_related("manager").filter(pk=who.person_id).first()
    reports = scope.people(who).filter(manager=person, status="active") if person else Person.objects.none()
    changes = scope.changes(who).select_related("by")
    if not who.has_role(Role.ADMIN):
        changes = changes.exclude(kind__in=FOR_ADMINS)
    context = {
        "invitations": invitations,
        "person": person,
        "reports": reports[:SHOWN],
        "changes": changes.order_by("-at", "-pk")[:LATEST],
    }
    return render(request, "accounts/dashboard.html", context)
