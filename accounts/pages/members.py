"""Who belongs to the organization, and in what role."""

from uuid import UUID

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models import OuterRef, Q, Subquery
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts import scope
from accounts.access import member, not_impersonated, role_at_least
from accounts.authority import grantable_roles, may_end, may_grant, may_manage
from accounts.identity import IdentifiedRequest, ManagerOSUser
from accounts.models import Person, Role
from accounts.pages.lists import page_of
from accounts.pages.refusals import tell_refusals, tell_refusals_at


class RoleForm(forms.Form):
    """Offers the roles that the one who asks may give."""

    role = forms.ChoiceField(
        help_text="Members see everything. Admins change people, members and the name. Owners may do everything."
    )

    def __init__(self, *args: object, who: ManagerOSUser, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self.fields["role"].choices = [(role.value, role.label) for role in grantable_roles(who)]  # type: ignore[attr-defined]


@require_safe
@member
def members(request: IdentifiedRequest) -> HttpResponse:
    who = request.manageros_user
    query = request.GET.get("q", "").replace("\0", "").strip()  # PostgreSQL's text holds no NUL
    person = Person.objects.filter(user=OuterRef("user"), organization=OuterRef("organization"))
    found = (
        scope.memberships(who)
        .filter(Q(user__name__icontains=query) | Q(user__email__icontains=query))
        .select_related("user")
        .annotate(person_name=Subquery(person.values("name")[:1]), person_id=Subquery(person.values("pk")[:1]))
        .order_by("user__name", "user__email", "pk")
    )
    return render(request, "accounts/members.html", {"page": page_of(request, found), "query": query})


@require_http_methods(["GET", "HEAD", "POST"])
@role_at_least(Role.ADMIN)
@tell_refusals
def change(request: IdentifiedRequest, pk: UUID) -> HttpResponse:
    """Give a member another role."""
    who = request.manageros_user
    membership = get_object_or_404(scope.memberships(who).select_related("user", "organization"), pk=pk)
    if not may_manage(who, membership):
        raise PermissionDenied("Only an owner may change an owner.")
    form = RoleForm(request.POST or None, who=who, initial={"role": membership.role})
    if form.is_valid():
        role = Role(form.cleaned_data["role"])
        if not may_grant(who, role):
            raise PermissionDenied("Nobody gives a role above their own.")
        membership.role = role
        membership.save(update_fields=["role"])
        messages.success(request, f"{membership.user} is {role.label.lower()} now.")
        return redirect("members")
    return render(request, "accounts/member.html", {"form": form, "membership": membership})


@require_POST
@member
@not_impersonated
@tell_refusals_at("members")
def remove(request: IdentifiedRequest, pk: UUID) -> HttpResponse:
    who = request.manageros_user
    membership = get_object_or_404(scope.memberships(who).select_related("user"), pk=pk)
    if not may_end(who, membership):
        raise PermissionDenied("Only an admin removes members, and only an owner removes an owner.")
    membership.delete()
    messages.success(request, f"{membership.user} is no longer a member.")
    return redirect("members" if str(membership.user_id) != who.id else "dashboard")
