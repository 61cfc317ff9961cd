"""The domain in Django's admin: lists that stay quick at 100,000 rows, and refusals as messages, not as errors."""

from typing import Any

from django.contrib import admin, messages
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.forms import AdminUserCreationForm
from django.core.exceptions import ValidationError
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect

from accounts.models import Change, Invitation, Membership, Organization, Person, Role, User


class RuledAdmin(admin.ModelAdmin[Any]):
    """Says why a rule of the domain refuses a deletion or a bulk change; Django expects refusals of forms alone."""

    show_full_result_count = False
    list_per_page = 50

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            return super().changeform_view(request, *args, **kwargs)
        except ValidationError as refusal:
            return refused(request, refusal)

    def delete_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            return super().delete_view(request, *args, **kwargs)
        except ValidationError as refusal:
            return refused(request, refusal)

    def changelist_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            return super().changelist_view(request, *args, **kwargs)
        except ValidationError as refusal:
            return refused(request, refusal)


def refused(request: HttpRequest, refusal: ValidationError) -> HttpResponse:
    for message in refusal.messages:
        messages.error(request, message)
    return HttpResponseRedirect(request.get_full_path())


class EmailUserCreationForm(AdminUserCreationForm[User]):
    class Meta:
        model = User
        fields = ("email",)


@admin.register(User)
class UserAdmin(RuledAdmin, DjangoUserAdmin[User]):
    list_display = ["__str__", "email", "clerk_user_id", "is_active", "is_staff", "created_at"]
    list_filter = ["is_active", "is_staff", "is_superuser"]
    search_fields = ["email", "name", "clerk_user_id"]
    ordering = ["-created_at"]
    readonly_fields = ["created_at", "last_login", "deactivated_by_clerk"]
    add_form = EmailUserCreationForm
    fieldsets = [
        (None, {"fields": ["name", "email", "clerk_user_id", "password"]}),
        (
            "Permissions",
            {"fields": ["is_active", "deactivated_by_clerk", "is_staff", "is_superuser", "groups", "user_permissions"]},
        ),
        ("Dates", {"fields": ["created_at", "last_login"]}),
    ]
    add_fieldsets = [(None, {"fields": ["email", "name", "usable_password", "password1", "password2"]})]

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        if "clerk_user_id" in form.changed_data:
            # What was the last word about the former account, its deletion included, says nothing about this one.
            obj.clerk_updated_at = None
            obj.deactivated_by_clerk = False
        super().save_model(request, obj, form, change)


class OwnedFilter(admin.SimpleListFilter):
    """Finds the organizations whose last owner was deleted at Clerk."""

    title = "owner"
    parameter_name = "owner"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("none", "No owner"), ("some", "Has an owner")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Organization]) -> QuerySet[Organization]:
        match self.value():
            case "none":
                return queryset.exclude(memberships__role=Role.OWNER)
            case "some":
                return queryset.filter(pk__in=Membership.objects.filter(role=Role.OWNER).values("organization"))
            case _:
                return queryset


@admin.register(Organization)
class OrganizationAdmin(RuledAdmin):
    list_display = ["name", "slug", "owners", "created_at"]
    list_filter = [OwnedFilter]
    search_fields = ["name", "slug"]
    readonly_fields = ["created_at"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Organization]:
        owners = Count("memberships", filter=Q(memberships__role=Role.OWNER))
        return Organization.objects.annotate(owner_count=owners)

    def get_deleted_objects(
        self, objs: Any, request: HttpRequest
    ) -> tuple[list[str], dict[str, int], set[str], list[str]]:
        """Numbers of what goes with the organizations; Django would list it, all 100,000 of it."""
        organizations = [organization.pk for organization in objs]
        counts = {
            str(model._meta.verbose_name_plural): model._default_manager.filter(organization__in=organizations).count()
            for model in (Membership, Person, Invitation, Change)
        }
        missing = set() if self.has_delete_permission(request) else {"organization"}
        return (
            [str(organization) for organization in objs],
            {"organizations": len(organizations), **counts},
            missing,
            [],
        )

    @admin.display(description="owners", ordering="owner_count")
    def owners(self, organization: Any) -> str:
        return str(organization.owner_count or "none: the last one was deleted at Clerk")


@admin.register(Membership)
class MembershipAdmin(RuledAdmin):
    list_display = ["user", "organization", "role", "is_active", "created_at"]
    list_filter = ["role", "is_active"]
    list_select_related = ["user", "organization"]
    search_fields = ["user__email", "user__name", "organization__name", "organization__slug"]
    autocomplete_fields = ["user", "organization"]
    readonly_fields = ["is_active", "created_at"]
    actions = ["make_active"]

    @admin.action(description="Make this the organization the user works in")
    def make_active(self, request: HttpRequest, memberships: QuerySet[Membership]) -> None:
        for membership in memberships:
            membership.activate()
        self.message_user(request, "Done.", messages.SUCCESS)

    def get_readonly_fields(self, request: HttpRequest, obj: Membership | None = None) -> list[str]:
        # Who and where say which membership it is: end this one and make another instead.
        return [*self.readonly_fields, *(["user", "organization"] if obj else [])]


@admin.register(Person)
class PersonAdmin(RuledAdmin):
    list_display = ["name", "title", "email", "organization", "user", "manager", "status"]
    list_filter = ["status"]
    list_select_related = ["organization", "user", "manager"]
    search_fields = ["name", "email", "title"]
    autocomplete_fields = ["organization", "user", "manager"]
    readonly_fields = ["created_at"]


@admin.register(Invitation)
class InvitationAdmin(RuledAdmin):
    list_display = ["email", "organization", "role", "invited_by", "expires_at", "accepted_at", "revoked_at"]
    list_filter = ["role", ("accepted_at", admin.EmptyFieldListFilter), ("revoked_at", admin.EmptyFieldListFilter)]
    list_select_related = ["organization", "invited_by"]
    search_fields = ["email", "organization__name", "organization__slug"]
    autocomplete_fields = ["organization"]
    readonly_fields = ["organization", "email", "invited_by", "created_at", "accepted_at", "revoked_at"]
    actions = ["revoke"]

    @admin.action(description="Revoke")
    def revoke(self, request: HttpRequest, invitations: QuerySet[Invitation]) -> None:
        for invitation in invitations:
            invitation.revoke()
        self.message_user(request, "Revoked.", messages.SUCCESS)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Whoever invites does so on the site, where the rules about it are."""
        return False


@admin.register(Change)
class ChangeAdmin(RuledAdmin):
    """The history of every organization, to be read."""

    list_display = ["at", "organization", "kind", "subject", "detail", "by", "impersonator"]
    list_filter = ["kind", "at"]
    list_select_related = ["organization", "by"]
    search_fields = ["subject", "organization__name", "by__email"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Change | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Change | None = None) -> bool:
        return False
