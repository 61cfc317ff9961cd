import random
from datetime import UTC, datetime, timedelta
from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils import timezone
from django.utils.crypto import salted_hmac

LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
WINDOW = 10  # seconds, of Clerk's rate limits

# So many calls in a row without one success, across all workers and users, are Clerk's trouble and not a user's.
OUTAGE_FAILURES = 5
# How long Clerk is left alone before it is asked whether it is back: doubled from the first to the last.
FIRST_PAUSE = timedelta(seconds=5)
LAST_PAUSE = timedelta(minutes=5)
# A 429 without Retry-After: when the window of the limit is over.
RATE_LIMIT_PAUSE = timedelta(seconds=WINDOW)
# An absurd Retry-After must not stop the site for good.
LONGEST_RETRY_AFTER = timedelta(days=1)


class DeliveryStateQuerySet(models.QuerySet["DeliveryState"]):
    def current(self) -> "DeliveryState":
        """The one row, or what it would be. For reading."""
        return self.filter(pk=1).first() or DeliveryState()

    def locked(self) -> "DeliveryState":
        """The one row, locked until the transaction ends: workers take turns at what they share."""
        return self.select_for_update().get_or_create(pk=1)[0]


class DeliveryState(models.Model):
    """What all workers share: how much of Clerk's rate limit is spent, and whether delivery is paused. One row.

    It is kept in the database, and not in the cache, because the limit must hold for all workers also where the cache
    is one of each process or loses what it was told, and because a worker claims rows in the same transaction: a call
    that is not allowed leaves its row unclaimed, for a more urgent one to go first.
    """

    class Pause(models.TextChoices):
        NONE = "", "Running"
        RATE_LIMITED = "rate_limited", "Paused: Clerk asked to wait"
        UNREACHABLE = "unreachable", "Paused: Clerk does not answer"
        REFUSED = "refused", "Paused: Clerk refuses the secret key"

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    # The generic cell rate algorithm: each call moves this by the time that the limit allows for one. It may run ahead
    # of a worker's clock, never of the limit, so that workers whose clocks differ together keep below it.
    spent_until = models.DateTimeField(default=LONG_AGO)
    failures = models.PositiveIntegerField(default=0, help_text="Calls in a row that failed for Clerk's sake.")
    pause = models.CharField(max_length=16, choices=Pause, blank=True)
    paused_since = models.DateTimeField(null=True, blank=True)
    paused_until = models.DateTimeField(null=True, blank=True, help_text="When Clerk is asked again.")
    probes = models.PositiveIntegerField(default=0, help_text="How often Clerk was asked during this pause.")
    reason = models.TextField(blank=True)
    refused_key = models.CharField(max_length=64, blank=True, editable=False)
    # When the next deferred wake-up is due, so that many workers enqueue one of them.
    wake_at = models.DateTimeField(null=True, blank=True)

    objects: ClassVar[DeliveryStateQuerySet] = DeliveryStateQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        verbose_name = "delivery state"
        verbose_name_plural = "delivery state"
        constraints = [models.CheckConstraint(condition=Q(id=1), name="delivery_state_is_one_row")]

    def __str__(self) -> str:
        return self.get_pause_display()

    def is_paused(self, now: datetime) -> bool:
        """Whether no delivery may begin. A pause that Clerk itself timed ends by itself, the others by a probe."""
        if self.pause == self.Pause.RATE_LIMITED:
            return self.paused_until is not None and self.paused_until > now
        return bool(self.pause)

    # --- The limit

    def permits(self, now: datetime) -> int:
        """How many calls may be made now."""
        return max(0, int((now - self._spent(now)) / interval()))

    def next_permit_at(self, now: datetime) -> datetime:
        return self._spent(now) + interval()

    def spend(self, calls: int, now: datetime) -> None:
        self.spent_until = self._spent(now) + calls * interval()
        self.save(update_fields=["spent_until"])

    def _spent(self, now: datetime) -> datetime:
        """Calls that were not made are lost, but for a small burst: they would add up to more than a window's."""
        return max(self.spent_until, now - burst() * interval())

    # --- The pauses

    def rate_limited(self, retry_after: float | None, reason: str) -> None:
        """Clerk answered 429, or named a time: nobody calls before it."""
        now = timezone.now()
        wait = RATE_LIMIT_PAUSE if retry_after is None else timedelta(seconds=min(retry_after, 1e9))
        until = now + min(wait, LONGEST_RETRY_AFTER)
        if self.pause in {self.Pause.UNREACHABLE, self.Pause.REFUSED}:
            return
        if self.is_paused(now) and self.paused_until is not None:
            until = max(until, self.paused_until)
        self._pause(self.Pause.RATE_LIMITED, until, reason)

    def failed(self, reason: str) -> bool:
        """A call failed for Clerk's sake; True where that begins a pause."""
        self.failures = F("failures") + 1
        self.save(update_fields=["failures"])
        self.refresh_from_db(fields=["failures"])
        if self.failures < OUTAGE_FAILURES or self.pause in {self.Pause.UNREACHABLE, self.Pause.REFUSED}:
            return False
        self._pause(self.Pause.UNREACHABLE, timezone.now() + jittered(FIRST_PAUSE), reason)
        return True

    def refused(self, reason: str) -> bool:
        """Clerk refuses the site; True where that begins a pause."""
        if self.pause == self.Pause.REFUSED:
            return False
        self.refused_key = fingerprint()
        self._pause(self.Pause.REFUSED, timezone.now() + jittered(FIRST_PAUSE), reason)
        return True

    def may_probe(self, now: datetime) -> bool:
        """Whether it is time to ask if Clerk answers again; at once where the refused key has been replaced."""
        if self.pause not in {self.Pause.UNREACHABLE, self.Pause.REFUSED}:
            return False
        replaced = self.pause == self.Pause.REFUSED and self.refused_key != fingerprint()
        return replaced or (self.paused_until is not None and self.paused_until <= now)

    def begin_probe(self, now: datetime) -> None:
        """Let no other worker probe before the next time, which is there already if this worker dies."""
        self.probes += 1
        self.refused_key = fingerprint() if self.pause == self.Pause.REFUSED else ""
        self.paused_until = now + jittered(min(FIRST_PAUSE * 2 ** min(self.probes, 10), LAST_PAUSE))
        self.save(update_fields=["probes", "refused_key", "paused_until"])

    def resume(self) -> None:
        self.failures = self.probes = 0
        self.pause, self.reason, self.refused_key = self.Pause.NONE, "", ""
        self.paused_since = self.paused_until = None
        self.save(
            update_fields=["failures", "probes", "pause", "reason", "refused_key", "paused_since", "paused_until"]
        )

    def _pause(self, pause: Pause, until: datetime, reason: str) -> None:
        if self.pause != pause:
            self.paused_since = timezone.now()
            self.probes = 0
        self.pause, self.paused_until, self.reason = pause, until, reason
        self.save(update_fields=["pause", "paused_since", "paused_until", "probes", "reason", "refused_key"])


def calls_per_window() -> int:
    """Clerk's limit for this instance: 1000 calls in 10 seconds in production, 100 in development."""
    if settings.CLERK_RATE_LIMIT:
        return int(settings.CLERK_RATE_LIMIT)
    return 1000 if settings.CLERK_SECRET_KEY.startswith("sk_live_") else 100


def interval() -> timedelta:
    """The time between two calls of the metadata sync, which leaves the rest of the limit to the site's own calls."""
    return timedelta(seconds=WINDOW) / (calls_per_window() * settings.CLERK_SYNC_SHARE)


def burst() -> int:
    """How many calls may follow each other at once, after a moment in which none was made.

    Three quarters of what is left to the site, so that any window has room. With fewer a worker that the disk holds up
    for a third of a second loses the calls of that time.
    """
    return max(1, int(calls_per_window() * (1 - settings.CLERK_SYNC_SHARE) * 0.75))


def jittered(pause: timedelta) -> timedelta:
    """Up to a quarter longer, so that sites that lost Clerk together do not come back together."""
    return pause * random.uniform(1, 1.25)  # noqa: S311  spreads load; nothing secret


def fingerprint() -> str:
    """Tells one secret key from another, and nothing more."""
    return salted_hmac("clerk_sync.delivery", settings.CLERK_SECRET_KEY).hexdigest()
