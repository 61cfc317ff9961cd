import uuid
from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from accounts.changes import ObservedModel, ObservedQuerySet
from accounts.models.organization import Organization


class Role(models.TextChoices):
    """What a member may do, least first; each role may do all that the ones before it may."""

    MEMBER = "member", "Member"
    ADMIN = "admin", "Admin"
    OWNER = "owner", "Owner"

    def includes(self, other: "Role") -> bool:
        ranks = list(Role)
        return ranks.index(self) >= ranks.index(other)


class Membership(ObservedModel):
    """A user's place in an organization. The active one is where the user works now, and what the claims speak of."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="memberships")
    organization = models.ForeignKey(Organization, models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=16, choices=Role, default=Role.MEMBER)
    is_active = models.BooleanField("active", default=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects: ClassVar[ObservedQuerySet["Membership"]] = ObservedQuerySet["Membership"].as_manager()  # type: ignore[assignment]

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
