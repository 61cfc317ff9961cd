import uuid
from datetime import timedelta
from typing import ClassVar

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models, transaction
from django.db.models import F, Q
from django.db.models.functions import Lower
from django.utils import timezone

from accounts.models.change import Change, change
from accounts.models.membership import Membership
from accounts.models.organization import Organization
from accounts.models.role import Role
from accounts.models.user import User

# As long as Clerk's own invitations by default.
VALID_FOR = timedelta(days=30)


class InvitationQuerySet(models.QuerySet["Invitation"]):
    def unanswered(self) -> "InvitationQuerySet":
        """Neither accepted nor revoked, though perhaps expired: an organization and email have one at most."""
        return self.filter(accepted_at=None, revoked_at=None)

    def open(self) -> "InvitationQuerySet":
        """Those that can be accepted now."""
        return self.unanswered().filter(expires_at__gt=timezone.now())

    def open_for(self, user_id: uuid.UUID | str) -> "InvitationQuerySet":
        """What the user, by their verified primary email, is invited to."""
        return self.open().filter(email=models.Subquery(User.objects.filter(pk=user_id).values("email")))

    def invite(self, organization: Organization, email: str, role: Role, *, by_id: uuid.UUID | str) -> "Invitation":
        """Invite an address, or renew the invitation it has. Raises ValidationError for who is a member already."""
        email = email.strip().lower()
        with transaction.atomic():
            Organization.objects.filter(pk=organization.pk).locked()
            if organization.memberships.filter(user__email=email).exists():
                raise ValidationError({"email": ValidationError(f"{email} is a member already.", code="member")})
            renewed = {"role": role, "invited_by_id": by_id, "expires_at": timezone.now() + VALID_FOR}
            unanswered = {"accepted_at": None, "revoked_at": None}
            invitation, _ = self.update_or_create(renewed, organization=organization, email=email, **unanswered)
            Change.objects.record([change(organization.pk, Change.Kind.INVITED, email, Role(role).label)])
            return invitation


class Invitation(models.Model):
    """That whoever proves to own an email address may become a member."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    organization = models.ForeignKey(Organization, models.CASCADE, related_name="invitations")
    email = models.EmailField()
    role = models.CharField(max_length=16, choices=Role, default=Role.MEMBER)
    invited_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField()
    accepted_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    objects: ClassVar[InvitationQuerySet] = InvitationQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "email"],
                condition=Q(accepted_at=None, revoked_at=None),
                name="invitation_one_open_per_email",
                violation_error_message="This address has an open invitation already.",
            ),
            models.CheckConstraint(condition=Q(email=Lower(F("email"))), name="invitation_email_lower_case"),
            models.CheckConstraint(condition=Q(role__in=["owner", "admin", "member"]), name="invitation_role_known"),
        ]

    def __str__(self) -> str:
        return f"{self.email} · {self.organization} · {self.get_role_display()}"

    @property
    def is_expired(self) -> bool:
        return self.expires_at <= timezone.now()

    def accept(self, user: User) -> Membership:
        """Make the user a member, once. Raises ValidationError where the invitation is not theirs, or not open now."""
        with transaction.atomic():
            invitation = Invitation.objects.select_for_update().open().filter(pk=self.pk, email=user.email).first()
            if invitation is None:
                raise ValidationError("This invitation is no longer open.", code="not_open")
            membership, _ = Membership.objects.get_or_create(
                user=user, organization_id=invitation.organization_id, defaults={"role": invitation.role}
            )
            invitation.accepted_at = timezone.now()
            invitation.save(update_fields=["accepted_at"])
            return membership

    def revoke(self) -> None:
        """Close the invitation. Nothing happens to one that was accepted or revoked meanwhile."""
        with transaction.atomic():
            if Invitation.objects.unanswered().filter(pk=self.pk).update(revoked_at=timezone.now()):
                Change.objects.record([change(self.organization_id, Change.Kind.REVOKED, self.email)])
