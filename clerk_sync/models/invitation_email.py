from datetime import datetime, timedelta
from typing import ClassVar

from django.conf import settings
from django.db import connection, models, transaction
from django.db.models import Q
from django.utils import timezone

from accounts.models import Invitation

HOUR = timedelta(hours=1)
# Longer than any call: a row comes back when its worker was stopped or cut off.
LEASE = timedelta(minutes=2)


class InvitationEmailQuerySet(models.QuerySet["InvitationEmail"]):
    def wanted(self) -> "InvitationEmailQuerySet":
        """Those still to be sent: not for an invitation that was accepted, revoked or has expired meanwhile."""
        return self.filter(state=InvitationEmail.State.PENDING, invitation__in=Invitation.objects.open().values("pk"))

    def deliverable(self, now: datetime) -> "InvitationEmailQuerySet":
        free = Q(leased_until=None) | Q(leased_until__lte=now)
        return self.wanted().filter(free, due_at__lte=now)

    def allowed(self, now: datetime) -> int:
        """How many Clerk takes now, of what it takes in an hour."""
        recent = self.filter(sent_at__gt=now - HOUR).count()
        return max(0, settings.CLERK_INVITATIONS_PER_HOUR - recent)

    def claim(self) -> "InvitationEmail | None":
        """The next one, leased to the caller; None where nothing is due or the hour's share is spent."""
        now = timezone.now()
        with transaction.atomic():
            if not self.allowed(now):
                return None
            skip = connection.features.has_select_for_update_skip_locked
            rows = self.deliverable(now).select_for_update(skip_locked=skip, of=("self",) if skip else ())
            email = rows.order_by("due_at").first()
            if email is not None:
                email.leased_until = now + LEASE
                email.save(update_fields=["leased_until"])
            return email

    def next_at(self) -> datetime | None:
        """When the next one may be sent, None where none is wanted."""
        earliest: datetime | None = self.wanted().aggregate(earliest=models.Min("due_at"))["earliest"]
        now = timezone.now()
        if earliest is None or self.allowed(now):
            return earliest
        oldest: datetime | None = self.filter(sent_at__gt=now - HOUR).aggregate(oldest=models.Min("sent_at"))["oldest"]
        return max(earliest, (oldest or now) + HOUR)


class InvitationEmail(models.Model):
    """That Clerk is to send its own invitation to an address which has no user here yet."""

    class State(models.TextChoices):
        PENDING = "pending", "Pending"
        SENT = "sent", "Sent"
        FAILED = "failed", "Failed"

    invitation = models.OneToOneField(Invitation, models.CASCADE, related_name="clerk_email")
    state = models.CharField(max_length=16, choices=State, default=State.PENDING)
    due_at = models.DateTimeField(default=timezone.now, help_text="Not sent before this.")
    leased_until = models.DateTimeField(null=True, blank=True)
    attempts = models.PositiveIntegerField(default=0)
    sent_at = models.DateTimeField(null=True, blank=True, db_index=True)
    error = models.TextField(blank=True)

    objects: ClassVar[InvitationEmailQuerySet] = InvitationEmailQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        indexes = [models.Index(fields=["due_at"], condition=Q(state="pending"), name="invitation_email_deliverable")]

    def __str__(self) -> str:
        return f"{self.invitation} · {self.get_state_display()}"
