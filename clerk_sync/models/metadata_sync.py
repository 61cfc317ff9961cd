import uuid
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, ClassVar, Self

from django.conf import settings
from django.db import models, transaction
from django.db.models import Case, F, Q, Value, When
from django.db.models.functions import Greatest, Least
from django.dispatch import Signal
from django.utils import timezone

from clerk_sync.metadata import digest

# Sent by every mark, inside its transaction. clerk_user_ids: whose claims are out of date from the commit on, where the
# receiver is to announce that; empty where whoever marked announces it.
sync_marked = Signal()

# Clerk allows 10 metadata calls in 10 seconds for one user: calls for the same user are this far apart.
USER_SPACING = timedelta(seconds=1)


class Priority(models.IntegerChoices):
    """Lower goes first: nobody who changes their own role waits for a bulk rename."""

    OWN_CHANGE = 0, "Own change"
    BULK = 1, "Bulk"


class MetadataSyncQuerySet(models.QuerySet["MetadataSync"]):
    """The verbs of the queue: mark, claim, then finish, retry or fail; and confirm, when Clerk echoes the delivery."""

    def mark(self, priority: Priority, clerk_user_ids: tuple[str, ...] = ()) -> int:
        """Queue a delivery for each row, in one statement; returns how many.

        A row that waits already keeps its place and what it waits for: a lease, a back-off, the spacing of calls.
        """
        now = timezone.now()
        waiting = Q(state=MetadataSync.State.PENDING)
        with transaction.atomic(savepoint=False):
            marked = self.update(
                version=F("version") + 1,
                state=MetadataSync.State.PENDING,
                priority=Case(When(waiting, then=Least("priority", Value(priority))), default=Value(priority)),
                pending_since=Case(When(waiting, then="pending_since"), default=Value(now)),
                due_at=Case(When(waiting, then="due_at"), default=Greatest("due_at", Value(now))),
                attempts=Case(When(waiting, then="attempts"), default=Value(0)),
                error=Case(When(waiting, then="error"), default=Value(""), output_field=models.TextField()),
            )
            if marked:
                sync_marked.send(sender=self.model, clerk_user_ids=clerk_user_ids)
        return marked

    def hurry(self) -> int:
        """Let these rows wait for no back-off: someone asks for them now."""
        waiting = self.filter(state=MetadataSync.State.PENDING, lease=None)
        return waiting.update(due_at=Least("due_at", Value(timezone.now())))

    def deliverable(self, now: datetime) -> Self:
        """The rows that wait for nothing, in the order of their delivery. A leased row is due when its lease ends."""
        return self.filter(state=MetadataSync.State.PENDING, due_at__lte=now).order_by("priority", "due_at")

    def claim(self, limit: int, lease: timedelta) -> list["MetadataSync"]:
        """Take up to `limit` rows for this worker alone, in a transaction that ends before the network call.

        What Clerk holds is unknown from here on, until the answer to the call is known: the digest is blanked in the
        database, so that a worker that dies in between leaves no wrong one, and kept in the returned rows.
        """
        now = timezone.now()
        rows = list(self.deliverable(now).select_for_update(skip_locked=True)[:limit])
        token = uuid.uuid4()
        self.model.objects.filter(pk__in=[row.pk for row in rows]).update(
            lease=token, due_at=now + lease, held_digest=""
        )
        for row in rows:
            row.lease = token
        return rows

    def confirm(self, clerk_user_id: str, public_metadata: Mapping[str, Any], updated_at_ms: int) -> bool:
        """Take note of what a webhook says that Clerk holds; True where it is what we delivered.

        The echo of our own write confirms it. Anything else queues a repair, unless a delivery is queued already or
        the event is older than our last write.
        """
        held = digest(public_metadata)
        row = self.filter(pk=clerk_user_id, state=MetadataSync.State.SYNCED).exclude(claims_after__gt=updated_at_ms)
        if row.filter(held_digest=held).update(confirmed_at=timezone.now()):
            return True
        row.exclude(held_digest=held).repair(held)
        return False

    def repair(self, held_digest: str = "") -> int:
        """Queue these rows again, because Clerk holds something else than we delivered: this digest, if known."""
        clerk_user_ids = tuple(self.values_list("pk", flat=True))
        rows = self.model.objects.filter(pk__in=clerk_user_ids, state=MetadataSync.State.SYNCED)
        return rows.update(held_digest=held_digest) and rows.mark(Priority.BULK, clerk_user_ids)


class MetadataSync(models.Model):
    """That a Clerk user's public metadata is, or is not yet, what the database says: one row for each Clerk user.

    The metadata itself is computed when it is delivered and never stored here, so what arrives is the latest state,
    and ten changes cost one call. The row outlives its user: `user` None means that our keys are to be removed.
    """

    class State(models.TextChoices):
        PENDING = "pending", "Pending"
        SYNCED = "synced", "Synced"
        FAILED = "failed", "Failed"

    clerk_user_id = models.CharField("Clerk user id", max_length=64, primary_key=True)
    # No constraint in the database: PostgreSQL checks it when whoever wrote the row twice commits, and locks the user
    # for that, in the other order than a transaction that changes the user and then marks. A row whose user is gone is
    # delivered like one without a user.
    user = models.OneToOneField(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="metadata_sync",
        db_constraint=False,
    )
    state = models.CharField(max_length=16, choices=State, default=State.PENDING)
    # Raised by every mark. A delivery that began at one version may finish only at the same one.
    version = models.PositiveBigIntegerField(default=1)
    priority = models.PositiveSmallIntegerField(choices=Priority, default=Priority.OWN_CHANGE)
    pending_since = models.DateTimeField(default=timezone.now)
    due_at = models.DateTimeField(
        default=timezone.now, help_text="Not delivered before this: the end of a lease, a back-off or the spacing."
    )
    lease = models.UUIDField(null=True, blank=True, help_text="Whose delivery is under way.")
    attempts = models.PositiveIntegerField(default=0, help_text="Failed ones since the last success.")
    # SHA-256 of the metadata that Clerk is known to hold; empty while that is unknown, as during a call.
    held_digest = models.CharField(max_length=64, blank=True)
    # An earlier call's answer was lost, and its write may still reach Clerk until then, after a later one.
    doubtful_until = models.DateTimeField(null=True, blank=True)
    delivered_at = models.DateTimeField(null=True, blank=True)
    # Clerk's own clock, milliseconds since the epoch: claims assembled after it hold what was delivered.
    claims_after = models.BigIntegerField(null=True, blank=True)
    confirmed_at = models.DateTimeField(null=True, blank=True, help_text="When a webhook echoed the delivery.")
    error = models.TextField(blank=True)

    objects: ClassVar[MetadataSyncQuerySet] = MetadataSyncQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        verbose_name = "metadata sync"
        indexes = [
            models.Index(fields=["priority", "due_at"], condition=Q(state="pending"), name="metadata_sync_deliverable"),
            # Probes count these every few seconds, among all users.
            models.Index(fields=["clerk_user_id"], condition=Q(state="failed"), name="metadata_sync_failed"),
        ]

    def __str__(self) -> str:
        return f"{self.clerk_user_id} · {self.get_state_display()}"

    def finish(self, held_digest: str, claims_after: int | None) -> bool:
        """End this worker's delivery: Clerk holds `held_digest`. False where another delivery has to follow.

        Another one follows if the data changed meanwhile; if an earlier call's write may still arrive after this one;
        and if the lease ended before the call did, because then this write may have overtaken a newer one.
        """
        now = timezone.now()
        mine = MetadataSync.objects.filter(pk=self.pk, lease=self.lease)
        held = {
            "lease": None,
            "attempts": 0,
            "error": "",
            "held_digest": held_digest,
            "delivered_at": now,
            "claims_after": claims_after,
            "confirmed_at": None,
        }
        if self.doubtful_until is not None and self.doubtful_until > now:
            held |= {"due_at": self.doubtful_until, "doubtful_until": None}
        elif mine.filter(version=self.version).update(
            state=MetadataSync.State.SYNCED, due_at=now + USER_SPACING, doubtful_until=None, **held
        ):
            return True
        # Not even what Clerk holds is recorded: a change of the version may also be that of a worker whose lease ended.
        if not mine.update(**({"due_at": now + USER_SPACING} | held | {"held_digest": ""})):
            self._lose_lease()
        return False

    def retry(self, error: str, *, due_at: datetime, attempts: int, doubtful_until: datetime | None) -> None:
        """Give the row back, to be delivered again at `due_at`."""
        doubts = [moment for moment in (self.doubtful_until, doubtful_until) if moment is not None]
        self._release(
            state=MetadataSync.State.PENDING,
            due_at=due_at,
            attempts=attempts,
            error=error,
            doubtful_until=max(doubts, default=None),
        )

    def fail(self, error: str) -> None:
        """End without success what no repetition would help. A change made meanwhile is tried for its own sake."""
        now = timezone.now()
        mine = MetadataSync.objects.filter(pk=self.pk, lease=self.lease)
        failed = {"state": MetadataSync.State.FAILED, "lease": None, "due_at": now, "error": error}
        if not mine.filter(version=self.version).update(**failed):
            self._release(due_at=now + USER_SPACING, error=error)

    def _release(self, **values: Any) -> None:
        if not MetadataSync.objects.filter(pk=self.pk, lease=self.lease).update(lease=None, **values):
            self._lose_lease()

    def _lose_lease(self) -> None:
        """Someone else may be delivering, or have delivered: have that done once more, with nothing known."""
        row = MetadataSync.objects.filter(pk=self.pk)
        row.update(held_digest="")
        row.mark(Priority.OWN_CHANGE)
