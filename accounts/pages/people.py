"""The directory: finding people, and keeping what is known of them."""

from uuid import UUID

from django.contrib import messages
from django.db.models import Count, QuerySet
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts import scope
from accounts.access import member, role_at_least
from accounts.identity import IdentifiedRequest
from accounts.models import Organization, Person, Role
from accounts.pages.lists import page_of
from accounts.pages.people_forms import LinkForm, PersonForm
from accounts.pages.refusals import tell_refusals, tell_refusals_at

form_page = require_http_methods(["GET", "HEAD", "POST"])

SORTS = {
    "name": ("name", "id"),
    "-name": ("-name", "-id"),
    "title": ("title", "name", "id"),
    "-title": ("-title", "name", "id"),
    "-created": ("-created_at", "id"),
}
# Rows. A manager's own page lists the first ones; the directory, filtered by manager, has them all.
REPORTS_SHOWN = 100


@require_safe
@member
def people(request: IdentifiedRequest) -> HttpResponse:
    """Search, filters, sort and page, all in the query string: a view of the directory is a link."""
    sort = request.GET.get("sort", "name")
    found = chosen_people(request).select_related("manager").order_by(*SORTS.get(sort, SORTS["name"]))
    context = {
        "page": page_of(request, found.defer("search_text")),
        "query": request.GET.get("q", ""),
        "status": request.GET.get("status", "active"),
        "linked": request.GET.get("linked", ""),
        "sort": sort,
    }
    return render(request, "accounts/people.html", context)


def chosen_people(request: IdentifiedRequest) -> QuerySet[Person]:
    """What the directory's search and filters leave: of the list, and of its export."""
    found = scope.people(request.manageros_user).search(request.GET.get("q", ""))
    status = request.GET.get("status", "active")
    if status in Person.Status:
        found = found.filter(status=status)
    if request.GET.get("linked") in {"yes", "no"}:
        found = found.filter(user__isnull=request.GET["linked"] == "no")
    return found


@require_safe
@member
def person(request: IdentifiedRequest, pk: UUID) -> HttpResponse:
    """One person, with the reporting line up and down."""
    found = get_object_or_404(scope.people(request.manageros_user).select_related("user"), pk=pk)
    reports = scope.people(request.manageros_user).filter(manager=found).annotate(report_count=Count("reports"))
    context = {
        "person": found,
        "line": found.managers()[::-1],
        "reports": reports[: REPORTS_SHOWN + 1],
        "shown": REPORTS_SHOWN,
    }
    return render(request, "accounts/person.html", context)


@form_page
@role_at_least(Role.ADMIN)
@tell_refusals
def create(request: IdentifiedRequest) -> HttpResponse:
    organization = get_object_or_404(scope.organizations(request.manageros_user))
    form = person_form(request, Person(organization=organization), organization)
    if form.is_valid():
        form.save()
        messages.success(request, f"{form.instance.name} is in the directory now.")
        return redirect("person", form.instance.pk)
    return render(request, "accounts/person_create.html", {"form": form})


@form_page
@role_at_least(Role.ADMIN)
@tell_refusals
def edit(request: IdentifiedRequest, pk: UUID) -> HttpResponse:
    found = get_object_or_404(scope.people(request.manageros_user).select_related("organization", "manager"), pk=pk)
    form = person_form(request, found, found.organization)
    if form.is_valid():
        # Only what the form changed: a link made or ended meanwhile is not written back.
        form.instance.save(update_fields=form.changed_data)
        messages.success(request, "Saved.")
        return redirect("person", pk)
    return render(request, "accounts/person_edit.html", {"form": form, "person": found})


def person_form(request: IdentifiedRequest, person: Person, organization: Organization) -> PersonForm:
    return PersonForm(request.POST or None, instance=person, colleagues=organization.people.exclude(pk=person.pk))


@require_POST
@role_at_least(Role.ADMIN)
@tell_refusals_at("person", "pk")
def set_status(request: IdentifiedRequest, pk: UUID, status: str) -> HttpResponse:
    found = get_object_or_404(scope.people(request.manageros_user), pk=pk)
    found.status = status
    found.save(update_fields=["status"])
    messages.success(request, f"{found.name} is {found.get_status_display().lower()} now.")
    return redirect("person", pk)


@form_page
@role_at_least(Role.ADMIN)
@tell_refusals
def link(request: IdentifiedRequest, pk: UUID) -> HttpResponse:
    """Say which member this person is."""
    found = get_object_or_404(scope.people(request.manageros_user).select_related("user"), pk=pk)
    memberships = scope.memberships(request.manageros_user)
    form = LinkForm(request.POST or None, memberships=memberships, initial={"email": found.email})
    if form.is_valid():
        found.user = form.cleaned_data["email"]
        found.full_clean()
        found.save(update_fields=["user"])
        messages.success(request, f"{found.name} is linked to {found.user} now.")
        return redirect("person", pk)
    return render(request, "accounts/person_link.html", {"form": form, "person": found})


@require_POST
@role_at_least(Role.ADMIN)
def unlink(request: IdentifiedRequest, pk: UUID) -> HttpResponse:
    found = get_object_or_404(scope.people(request.manageros_user), pk=pk)
    found.user = None
    found.save(update_fields=["user"])
    messages.success(request, f"{found.name} is linked to nobody now.")
    return redirect("person", pk)
