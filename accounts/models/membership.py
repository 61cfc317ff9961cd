import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar, NamedTuple

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models, transaction
from django.db.models import F, Q
from django.utils import timezone

from accounts.changes import ObservedModel, ObservedQuerySet
from accounts.models.change import Change, change
from accounts.models.organization import Organization
from accounts.models.role import Role


class MembershipQuerySet(ObservedQuerySet["Membership"]):
    def update(self, **values: Any) -> int:
        if not self.model.ruled_fields(values):
            return super().update(**values)
        with kept_rules(self):
            return super().update(**values)

    def delete(self) -> tuple[int, dict[str, int]]:
        with kept_rules(self):
            return super().delete()

    delete.alters_data = True  # type: ignore[attr-defined]
    delete.queryset_only = True  # type: ignore[attr-defined]

    def delete_even_last_owners(self) -> tuple[int, dict[str, int]]:
        """End memberships of users who no longer exist at Clerk: such an organization is left without an owner."""
        with kept_rules(self, last_owners=False):
            return super().delete()

    def bulk_create(self, objs: Any, *args: Any, **kwargs: Any) -> list["Membership"]:
        with transaction.atomic():
            memberships = list(objs)
            decide_active(memberships)
            created = super().bulk_create(memberships, *args, **kwargs)
            record_joined(created)
            return created


class Membership(ObservedModel):
    """A user's place in an organization. The active one is where the user works now, and what the claims speak of.

    Created with `is_active` left out, a membership is the active one if its user has no other.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="memberships")
    organization = models.ForeignKey(Organization, models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=16, choices=Role, default=Role.MEMBER)
    is_active = models.BooleanField("active", default=None, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects: ClassVar[MembershipQuerySet] = MembershipQuerySet.as_manager()  # type: ignore[assignment]

    class Meta(ObservedModel.Meta):
        abstract = False
        constraints = [
            models.UniqueConstraint(
                fields=["user", "organization"],
                name="membership_once_per_organization",
                violation_error_message="This user is a member of the organization already.",
            ),
            models.UniqueConstraint(
                fields=["user"],
                condition=Q(is_active=True),
                name="membership_one_active_per_user",
                violation_error_message="A user works in one organization at a time.",
            ),
            models.CheckConstraint(condition=Q(role__in=["owner", "admin", "member"]), name="membership_role_known"),
        ]

    def __str__(self) -> str:
        return f"{self.user} · {self.organization} · {self.get_role_display()}"

    @classmethod
    def ruled_fields(cls, names: Any) -> bool:
        """Whether a change of these fields could break a rule about the whole organization."""
        return bool({"role", "user", "organization"} & {cls._meta.get_field(name).name for name in names})

    def clean(self) -> None:
        if self._state.adding or self.role == Role.OWNER:
            return
        others = Membership.objects.filter(organization=self.organization_id, role=Role.OWNER).exclude(pk=self.pk)
        if Membership.objects.filter(pk=self.pk, role=Role.OWNER).exists() and not others.exists():
            raise ValidationError({"role": last_owner_error(self.organization)})

    def save(self, *args: Any, **kwargs: Any) -> None:
        with transaction.atomic():
            if self._state.adding:
                decide_active([self])
                super().save(*args, **kwargs)
                record_joined([self])
            elif kwargs.get("update_fields") is not None and not self.ruled_fields(kwargs["update_fields"]):
                super().save(*args, **kwargs)
            else:
                with kept_rules(Membership.objects.filter(pk=self.pk)):
                    super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        pk = self.pk
        try:
            with kept_rules(Membership.objects.filter(pk=pk)):
                return super().delete(*args, **kwargs)
        except ValidationError:
            self.pk = pk  # which a deletion, though rolled back, has cleared
            raise

    def activate(self) -> None:
        """Make this the organization the user works in. Raises Membership.DoesNotExist where it ended meanwhile."""
        with transaction.atomic():
            lock_users([self.user_id])
            theirs = Membership.objects.filter(user=self.user_id)
            theirs.filter(is_active=True).exclude(pk=self.pk).update(is_active=False)
            if not theirs.filter(pk=self.pk).update(is_active=True):
                raise Membership.DoesNotExist("This membership has ended.")
            self.is_active = True

    def transfer_ownership_to(self, heir: "Membership") -> None:
        """Make another member an owner, and this one an admin."""
        if heir.organization_id != self.organization_id:
            raise ValidationError("Ownership goes to a member of the same organization.", code="not_a_member")
        with transaction.atomic():
            for membership, role in ((heir, Role.OWNER), (self, Role.ADMIN)):
                membership.role = role
                membership.save(update_fields=["role"])


def last_owner_error(organization: Organization) -> ValidationError:
    return ValidationError(
        "%(name)s would lose its last owner: make someone else an owner first.",
        code="last_owner",
        params={"name": organization.name},
    )


@contextmanager
def kept_rules(memberships: MembershipQuerySet, *, last_owners: bool = True) -> Iterator[None]:
    """Change, move or end these memberships inside: afterwards every rule about their organizations holds.

    An organization that had an owner among them still has one, else ValidationError rolls everything back; a Person
    linked to a user who is no longer a member is unlinked.
    """
    with transaction.atomic():
        organizations = Organization.objects.filter(pk__in=memberships.order_by().values("organization")).locked()
        before = [Held(*row) for row in memberships.order_by().values_list(*HELD)]
        yield
        owned = {held.organization for held in before if held.role == Role.OWNER}
        ownerless = Organization.objects.filter(pk__in=owned).without_owner().first() if owned and last_owners else None
        if ownerless:
            raise last_owner_error(ownerless)
        kept = Membership.objects.filter(pk__in=[held.pk for held in before])
        after = {pk: (organization, role) for pk, organization, role in kept.values_list("pk", "organization", "role")}
        for organization in organizations:
            here = [held for held in before if held.organization == organization.pk]
            gone = [held for held in here if after.get(held.pk, (None,))[0] != organization.pk]
            left = organization.people.filter(user__in=[held.user for held in gone])
            left.exclude(organization__memberships__user=F("user")).update(user=None)
            roles = [
                change(organization.pk, Change.Kind.ROLE, held.subject, f"{Role(held.role).label} → {Role(now).label}")
                for held in here
                if held not in gone and (now := after[held.pk][1]) != held.role
            ]
            ends = [change(organization.pk, Change.Kind.LEFT, held.subject) for held in gone]
            Change.objects.record([*roles, *ends])


class Held(NamedTuple):
    """What a membership was before a change, and its user in words: the change may end both."""

    pk: uuid.UUID
    organization: uuid.UUID
    user: uuid.UUID
    role: str
    name: str
    email: str | None

    @property
    def subject(self) -> str:
        return self.name or self.email or str(self.user)


HELD = ("pk", "organization", "user", "role", "user__name", "user__email")


def lock_users(user_ids: list[uuid.UUID]) -> None:
    """Make those who decide a user's active membership take turns."""
    users = Membership._meta.get_field("user").related_model._base_manager
    list(users.filter(pk__in=user_ids).order_by("pk").select_for_update(no_key=True).values_list("pk"))


def decide_active(memberships: list[Membership]) -> None:
    """Make each the active one, where that was left open and its user has no other."""
    memberships = [membership for membership in memberships if membership.is_active is None]
    if not memberships:
        return
    users = [membership.user_id for membership in memberships]
    lock_users(users)
    busy = set(Membership.objects.filter(user__in=users, is_active=True).values_list("user", flat=True))
    for membership in memberships:
        membership.is_active = membership.user_id not in busy
        busy.add(membership.user_id)


def record_joined(memberships: list[Membership]) -> None:
    joined = Membership.objects.filter(pk__in=[membership.pk for membership in memberships])
    Change.objects.record(
        change(held.organization, Change.Kind.JOINED, held.subject, Role(held.role).label)
        for held in (Held(*row) for row in joined.values_list(*HELD))
    )
