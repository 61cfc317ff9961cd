"""The API's representations. Related ids are looked up in `accounts.scope`: another organization's are not found."""

from typing import Any

from rest_framework import serializers

from accounts import scope
from accounts.authority import may_grant
from accounts.identity import ManagerOSUser
from accounts.models import Membership, Organization, Person, Role, User


def asking(field: serializers.Field[Any, Any, Any, Any]) -> ManagerOSUser:
    who: ManagerOSUser = field.context["request"].manageros_user
    return who


class ColleagueField(serializers.PrimaryKeyRelatedField[Person]):
    """A person of the organization the caller works in."""

    def get_queryset(self) -> Any:
        return scope.people(asking(self))


class MemberUserField(serializers.PrimaryKeyRelatedField[User]):
    """The user of a member of the organization the caller works in."""

    def get_queryset(self) -> Any:
        return User.objects.filter(memberships__in=scope.memberships(asking(self)))


class MeSerializer(serializers.Serializer[ManagerOSUser]):
    """Who the site takes the caller for. Ids are UUIDs; null where there is none."""

    is_authenticated = serializers.BooleanField()
    clerk_user_id = serializers.CharField(allow_null=True)
    session_id = serializers.CharField(allow_null=True)
    id = serializers.UUIDField()
    organization_id = serializers.UUIDField(allow_null=True)
    organization_name = serializers.CharField(allow_null=True)
    organization_slug = serializers.CharField(allow_null=True)
    person_id = serializers.UUIDField(allow_null=True)
    role = serializers.ChoiceField(choices=Role.choices, allow_null=True)
    source = serializers.ChoiceField(choices=["session_claims", "database"])  # type: ignore[assignment]
    fallback_reason = serializers.ChoiceField(
        choices=["claims_not_configured", "metadata_not_synced", "claims_stale", "claims_invalid"],
        allow_null=True,
        help_text="Why the database was asked instead of the claims.",
    )
    actor = serializers.CharField(allow_null=True, help_text="The Clerk id of an impersonator.")


class OrganizationSerializer(serializers.ModelSerializer[Organization]):
    class Meta:
        model = Organization
        fields = ["id", "name", "slug", "created_at"]
        read_only_fields = ["slug", "created_at"]


class MemberSerializer(serializers.ModelSerializer[User]):
    class Meta:
        model = User
        fields = ["id", "name", "email"]
        read_only_fields = fields


class MembershipSerializer(serializers.ModelSerializer[Membership]):
    user = MemberSerializer(read_only=True)
    person = serializers.UUIDField(
        source="person_id", read_only=True, allow_null=True, help_text="Who of the people the user is."
    )

    class Meta:
        model = Membership
        fields = ["id", "user", "person", "role", "created_at"]
        read_only_fields = ["created_at"]

    def validate_role(self, role: str) -> str:
        if not may_grant(asking(self), Role(role)):
            raise serializers.ValidationError("Nobody gives a role above their own.")
        return role


class PersonSerializer(serializers.ModelSerializer[Person]):
    manager = ColleagueField(allow_null=True, required=False, help_text="A person of the same organization.")
    user = MemberUserField(allow_null=True, required=False, help_text="The user of a member: who the person is.")

    class Meta:
        model = Person
        fields = ["id", "name", "email", "title", "status", "manager", "user", "created_at"]
        read_only_fields = ["created_at"]
