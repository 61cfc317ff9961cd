"""Invitations: the organization's, to send and revoke; and one's own, to accept."""

from uuid import UUID

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from accounts import scope
from accounts.access import role_at_least, signed_in
from accounts.authority import grantable_roles, may_grant
from accounts.identity import IdentifiedRequest, ManagerOSUser
from accounts.models import Invitation, Role, User
from accounts.pages.lists import page_of
from accounts.pages.refusals import tell_refusals_at


class InvitationForm(forms.Form):
    email = forms.EmailField(label="Email address")
    role = forms.ChoiceField()

    def __init__(self, *args: object, who: ManagerOSUser, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self.fields["role"].choices = [(role.value, role.label) for role in grantable_roles(who)]  # type: ignore[attr-defined]


@require_http_methods(["GET", "HEAD", "POST"])
@role_at_least(Role.ADMIN)
def invitations(request: IdentifiedRequest) -> HttpResponse:
    """Those that were neither accepted nor revoked, and a form for another; inviting again renews.

    Of the emails that Clerk is asked for, those alone are told of that were given up: more would tell whoever invites
    which addresses have an account.
    """
    who = request.manageros_user
    form = InvitationForm(request.POST or None, who=who)
    if form.is_valid():
        organization = get_object_or_404(scope.organizations(who))
        email, role = form.cleaned_data["email"], Role(form.cleaned_data["role"])
        try:
            Invitation.objects.invite(organization, email, role, by_id=str(who.id))
        except ValidationError as refusal:
            form.add_error(None, refusal.messages)
        else:
            messages.success(request, f"{email} is invited. They can accept when they sign in with that address.")
            return redirect("invitations")
    # clerk_email by its name alone: clerk_sync queues the email, and nothing here imports it
    found = scope.invitations(who).unanswered().select_related("invited_by", "clerk_email")
    return render(request, "accounts/invitations.html", {"form": form, "page": page_of(request, found)})


@require_POST
@role_at_least(Role.ADMIN)
@tell_refusals_at("invitations")
def renew(request: IdentifiedRequest, pk: UUID) -> HttpResponse:
    """Invite once more, from now on."""
    who = request.manageros_user
    invitation = get_object_or_404(scope.invitations(who).unanswered().select_related("organization"), pk=pk)
    role = Role(invitation.role)
    if not may_grant(who, role):
        raise PermissionDenied("Nobody gives a role above their own.")
    Invitation.objects.invite(invitation.organization, invitation.email, role, by_id=str(who.id))
    messages.success(request, f"{invitation.email} is invited once more.")
    return redirect("invitations")


@require_POST
@role_at_least(Role.ADMIN)
def revoke(request: IdentifiedRequest, pk: UUID) -> HttpResponse:
    invitation = get_object_or_404(scope.invitations(request.manageros_user), pk=pk)
    invitation.revoke()
    messages.success(request, f"{invitation.email} is no longer invited.")
    return redirect("invitations")


@require_POST
@signed_in
@tell_refusals_at("dashboard")
def accept(request: IdentifiedRequest, pk: UUID) -> HttpResponse:
    """Become a member, and work there from now on."""
    user = get_object_or_404(User, pk=request.manageros_user.id)
    invitation = get_object_or_404(scope.own_invitations(request.manageros_user), pk=pk)
    invitation.accept(user).activate()
    messages.success(request, f"Welcome to {invitation.organization.name}.")
    return redirect("dashboard")
