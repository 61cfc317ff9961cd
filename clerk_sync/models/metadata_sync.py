from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone


class MetadataSync(models.Model):
    """That a Clerk user's public metadata is, or is not yet, what the database says: one row for each Clerk user.

    The metadata itself is computed when it is delivered and never stored here, so what arrives is the latest state,
    and ten changes cost one call. The row outlives its user: `user` None means that our keys are to be removed.
    """

    class State(models.TextChoices):
        PENDING = "pending", "Pending"
        SYNCED = "synced", "Synced"
        FAILED = "failed", "Failed"

    clerk_user_id = models.CharField("Clerk user id", max_length=64, unique=True)
    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="metadata_sync"
    )
    state = models.CharField(max_length=16, choices=State, default=State.PENDING)
    # Raised by every mark. A delivery that began at one version may finish only at the same one.
    version = models.PositiveBigIntegerField(default=1)
    # 0 for a person's own change, 1 for bulk work: lower goes first.
    priority = models.PositiveSmallIntegerField(default=0)
    pending_since = models.DateTimeField(default=timezone.now)
    due_at = models.DateTimeField(default=timezone.now, help_text="Not delivered before this.")
    leased_until = models.DateTimeField(null=True, blank=True)
    lease = models.UUIDField(null=True, blank=True)
    attempts = models.PositiveIntegerField(default=0)
    # SHA-256 of the metadata that Clerk is known to hold; empty while that is unknown, as during a call.
    held_digest = models.CharField(max_length=64, blank=True)
    delivered_at = models.DateTimeField(null=True, blank=True)
    # Clerk's own clock, milliseconds since the epoch: claims assembled after it hold what was delivered.
    claims_after = models.BigIntegerField(null=True, blank=True)
    confirmed_at = models.DateTimeField(null=True, blank=True, help_text="When a webhook echoed the delivery.")
    error = models.TextField(blank=True)

    class Meta:
        verbose_name = "metadata sync"
        indexes = [
            models.Index(fields=["priority", "due_at"], condition=Q(state="pending"), name="metadata_sync_deliverable")
        ]

    def __str__(self) -> str:
        return f"{self.clerk_user_id} · {self.get_state_display()}"
