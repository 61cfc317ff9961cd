"""The organization one works in, and the ways to another one."""

from uuid import UUID

from django import forms
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts import scope
from accounts.access import member, not_impersonated, role_at_least, signed_in
from accounts.identity import IdentifiedRequest
from accounts.models import Membership, Organization, Role, User
from accounts.pages.refusals import tell_refusals

form_page = require_http_methods(["GET", "HEAD", "POST"])


class OrganizationForm(forms.ModelForm[Organization]):
    class Meta:
        model = Organization
        fields = ["name"]
        help_texts = {"name": "At most 100 characters: it travels in every member's session token."}


class HeirForm(forms.Form):
    """Takes the email address of the member who becomes an owner."""

    email = forms.EmailField(label="Email address of the new owner", help_text="They must be a member already.")

    def __init__(self, *args: object, organization: Organization, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self.organization = organization

    def clean_email(self) -> Membership:
        email = self.cleaned_data["email"].lower()
        heir = self.organization.memberships.filter(user__email=email).first()
        if heir is None:
            raise ValidationError("No member of this organization has that email address.")
        return heir


class ConfirmationForm(forms.Form):
    slug = forms.CharField(label="Type the organization's slug to confirm")

    def __init__(self, *args: object, organization: Organization, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self.organization = organization

    def clean_slug(self) -> str:
        slug: str = self.cleaned_data["slug"]
        if slug.strip() != self.organization.slug:
            raise ValidationError(f"That is not {self.organization.slug}.")
        return slug


def working_organization(request: IdentifiedRequest) -> Organization:
    return get_object_or_404(scope.organizations(request.manageros_user))


@require_safe
@member
def overview(request: IdentifiedRequest) -> HttpResponse:
    organization = working_organization(request)
    numbers = {
        "members": scope.memberships(request.manageros_user).count(),
        "people": scope.people(request.manageros_user).filter(status="active").count(),
    }
    return render(request, "accounts/organization.html", {"organization": organization, **numbers})


@form_page
@signed_in
def create(request: IdentifiedRequest) -> HttpResponse:
    form = OrganizationForm(request.POST or None)
    if form.is_valid():
        owner = get_object_or_404(User, pk=request.manageros_user.id)
        organization = Organization.objects.create_with_owner(name=form.cleaned_data["name"], owner=owner)
        messages.success(request, f"{organization.name} is yours, and you work in it now.")
        return redirect("organization")
    return render(request, "accounts/organization_create.html", {"form": form})


@form_page
@role_at_least(Role.ADMIN)
def rename(request: IdentifiedRequest) -> HttpResponse:
    form = OrganizationForm(request.POST or None, instance=working_organization(request))
    if form.is_valid():
        # Only the name: whatever else was changed meanwhile is not written back.
        form.instance.save(update_fields=["name"])
        messages.success(request, f"The organization is called {form.instance.name} now.")
        return redirect("organization")
    return render(request, "accounts/organization_rename.html", {"form": form})


@require_safe
@signed_in
def choose(request: IdentifiedRequest) -> HttpResponse:
    """The user's own organizations, to switch between."""
    memberships = scope.own_memberships(request.manageros_user).order_by("organization__name")
    return render(request, "accounts/organization_choose.html", {"memberships": memberships})


@require_POST
@signed_in
def switch(request: IdentifiedRequest, pk: UUID) -> HttpResponse:
    membership = get_object_or_404(scope.own_memberships(request.manageros_user), pk=pk)
    membership.activate()
    messages.success(request, f"You work in {membership.organization.name} now.")
    return redirect("dashboard")


@form_page
@member
@not_impersonated
@tell_refusals
def leave(request: IdentifiedRequest) -> HttpResponse:
    who = request.manageros_user
    membership = get_object_or_404(scope.own_memberships(who), organization_id=who.organization_id)
    if request.method == "POST":
        membership.delete()
        messages.success(request, f"You have left {membership.organization.name}.")
        return redirect("dashboard")
    return render(request, "accounts/organization_leave.html", {"organization": membership.organization})


@form_page
@role_at_least(Role.OWNER)
@not_impersonated
@tell_refusals
def transfer(request: IdentifiedRequest) -> HttpResponse:
    organization = working_organization(request)
    form = HeirForm(request.POST or None, organization=organization)
    if form.is_valid():
        owner = get_object_or_404(organization.memberships, user_id=request.manageros_user.id)
        heir: Membership = form.cleaned_data["email"]
        owner.transfer_ownership_to(heir)
        messages.success(request, f"{heir.user} is an owner now, and you are an admin.")
        return redirect("organization")
    return render(request, "accounts/organization_transfer.html", {"form": form, "organization": organization})


@form_page
@role_at_least(Role.OWNER)
@not_impersonated
def delete(request: IdentifiedRequest) -> HttpResponse:
    organization = working_organization(request)
    form = ConfirmationForm(request.POST or None, organization=organization)
    if form.is_valid():
        organization.delete()
        messages.success(request, f"{organization.name} and everything in it has been deleted.")
        return redirect("dashboard")
    return render(request, "accounts/organization_delete.html", {"form": form, "organization": organization})
