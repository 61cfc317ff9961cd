"""Delivers pending metadata to Clerk: claims rows, calls, records what came of it.

Any number of workers may do so side by side, each with several calls in flight. Only the caller's thread touches the
database; the pool's threads do nothing but call Clerk, so no transaction is ever open during a call.
"""

import logging
import random
import time
from collections.abc import Callable, Collection
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Event
from typing import Any

from django.conf import settings
from django.db import OperationalError, transaction
from django.db.models import Min
from django.utils import timezone

from clerk_sync import backend_api
from clerk_sync.activity import record_deliveries
from clerk_sync.backend_api import ClerkError, Misconfigured, Permanent, Retryable
from clerk_sync.freshness import announce_delivered
from clerk_sync.metadata import NO_METADATA, Metadata, desired_metadata, digest
from clerk_sync.models import DeliveryState, MetadataSync

logger = logging.getLogger(__name__)

# Where the limit lets no call through now, claim what it allows in so many seconds: a transaction for each single
# call would cost more than the calls, and a more urgent change waits no longer than this.
TICK = 0.05
# Seconds that an idle worker waits for a row that is due soon, rather than end and be woken again.
PATIENCE = 2.0
# After so many failures in a row, which take about three hours, a row ends as failed until someone retries it.
MAX_ATTEMPTS = 20
LONGEST_BACK_OFF = timedelta(minutes=15)


@dataclass
class Outcome:
    """What a run of deliveries did. `unchanged` are rows whose metadata Clerk held already: no call was made."""

    delivered: int = 0
    unchanged: int = 0
    retried: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    paused: str = ""
    next_at: datetime | None = None
    longest_wait: float = 0.0  # seconds from a change to its delivery

    @property
    def counts(self) -> dict[str, int]:
        return {
            "delivered": self.delivered,
            "unchanged": self.unchanged,
            "retried": self.retried,
            "failed": len(self.failed),
        }

    @property
    def done(self) -> int:
        return self.delivered + self.unchanged + len(self.failed)


@dataclass(frozen=True, slots=True)
class Job:
    """A claimed row with what Clerk should hold for its user."""

    row: MetadataSync
    metadata: Metadata
    digest: str


Delivered = tuple[Job, dict[str, Any]]  # with the Clerk user as the call returned them


def lease_time() -> timedelta:
    """Longer than any call, so that a lease ends before its call does only where a worker is stopped or cut off."""
    return timedelta(seconds=6 * settings.CLERK_SYNC_TIMEOUT)


def doubt_time() -> timedelta:
    """How long after a call without an answer its write may still reach Clerk."""
    return timedelta(seconds=3 * settings.CLERK_SYNC_TIMEOUT)


def deliver(
    *,
    seconds: float | None = None,
    rate: float | None = None,
    patience: float = PATIENCE,
    stop: Event | None = None,
    on_progress: Callable[[Outcome], None] | None = None,
) -> Outcome:
    """Deliver until nothing is due within `patience` seconds, `seconds` have passed, or `stop` is set.

    `rate` lowers the calls a second of this run below what the limit allows. Calls in flight are always waited for.
    """
    return _Run(rate, patience, stop or Event(), on_progress or (lambda outcome: None)).until(seconds)


class _Run:
    def __init__(
        self, rate: float | None, patience: float, stop: Event, on_progress: Callable[[Outcome], None]
    ) -> None:
        self.rate = rate
        self.patience = patience
        self.stop = stop
        self.on_progress = on_progress
        self.outcome = Outcome()
        self.calls: dict[Future[dict[str, Any]], Job] = {}
        self.next_claim = self.spent_until = time.monotonic()  # by the tick, and by this run's own rate
        self.failing = False

    def until(self, seconds: float | None) -> Outcome:
        deadline = None if seconds is None else time.monotonic() + seconds
        with ThreadPoolExecutor(settings.CLERK_SYNC_CONCURRENCY, "clerk-sync") as pool:
            try:
                while not self.stop.is_set() and (deadline is None or time.monotonic() < deadline):
                    started, pause = self._start_calls(pool)
                    if not started and not self.calls and (pause is None or pause > self.patience):
                        break
                    self._settle_done(0 if started else min(TICK if pause is None else pause, self.patience))
            finally:
                # Whatever ended the loop, answers still to come are recorded: no lease has to run out for them.
                while self.calls:
                    self._settle_done(None)
        self.outcome.next_at = next_due(timezone.now())
        record_deliveries(self.outcome.counts, self.outcome.longest_wait)
        return self.outcome

    def _start_calls(self, pool: ThreadPoolExecutor) -> tuple[bool, float | None]:
        """Whether anything was claimed; if not, the seconds until it may be, None where nothing is pending."""
        free = settings.CLERK_SYNC_CONCURRENCY - len(self.calls)
        free = free if self.rate is None else min(free, max(1, int(self.rate * TICK)))
        wait_for_turn = max(self.next_claim, self.spent_until) - time.monotonic()
        if free <= 0 or wait_for_turn > 0:
            return False, max(wait_for_turn, TICK)
        now = timezone.now()
        due = next_due(now)
        if due is None or due > now:
            return False, None if due is None else (due - now).total_seconds()
        claimed = claim(free)
        self.outcome.paused = claimed.paused
        self.failing = self.failing or claimed.failing
        if claimed.probe:
            return self._probe(), 0
        for job in claimed.jobs:
            self.calls[pool.submit(call, job)] = job
        if claimed.jobs:
            self.next_claim = time.monotonic() + TICK
            self.spent_until = time.monotonic() + (len(claimed.jobs) / self.rate if self.rate else 0)
        if claimed.unchanged:
            announce_delivered({row.pk: row.claims_after for row in claimed.unchanged})
            self.outcome.unchanged += len(claimed.unchanged)
            self.on_progress(self.outcome)
        return bool(claimed.jobs or claimed.unchanged), max(claimed.wait, TICK)

    def _probe(self) -> bool:
        """Ask Clerk, in a call that changes nothing, whether the pause may end."""
        try:
            backend_api.count_users()
        except ClerkError as error:
            logger.warning("Metadata sync stays paused: %s", error)
            return False
        with transaction.atomic(durable=True):
            DeliveryState.objects.locked().resume()
        logger.warning("Metadata sync resumes: Clerk answers again.")
        return True

    def _settle_done(self, seconds: float | None) -> None:
        if not self.calls:
            self.stop.wait(seconds)
            return
        # Answers that come within a tick share a transaction.
        done, _ = wait(self.calls, timeout=None if seconds is None else min(seconds, TICK))
        answers = [(self.calls.pop(future), future) for future in done]
        if delivered := [(job, future.result()) for job, future in answers if future.exception() is None]:
            self._settle_successes(delivered)
        for job, future in answers:
            error = future.exception()
            if isinstance(error, ClerkError):
                self._settle_error(job, error)
            elif error is not None:
                raise error
        if done:
            self.on_progress(self.outcome)

    def _settle_error(self, job: Job, error: ClerkError) -> None:
        if settle_error(job, error):
            self.outcome.failed[job.row.pk] = str(error)
        else:
            self.outcome.retried += 1
            self.failing = True

    def _settle_successes(self, delivered: list[Delivered]) -> None:
        if self.failing:
            DeliveryState.objects.filter(failures__gt=0).update(failures=0)
            self.failing = False
        settle_successes(delivered)
        self.outcome.delivered += len(delivered)
        waited = timezone.now() - min(job.row.pending_since for job, _ in delivered)
        self.outcome.longest_wait = max(self.outcome.longest_wait, waited.total_seconds())


@dataclass(frozen=True, slots=True)
class Claimed:
    """What a claim came to: rows to call for, rows that Clerk is right about already, or the reason why none."""

    jobs: list[Job] = field(default_factory=list)
    unchanged: list[MetadataSync] = field(default_factory=list)
    wait: float = 0.0
    paused: str = ""
    probe: bool = False
    failing: bool = False


def claim(limit: int) -> Claimed:
    """Claim as many rows as the limit allows calls now, and finish those for which none is needed."""
    with transaction.atomic(durable=True):
        state = DeliveryState.objects.locked()
        now = timezone.now()
        if state.is_paused(now):
            if state.may_probe(now):
                state.begin_probe(now)
                return Claimed(probe=True, paused=state.reason)
            # Nobody waits for a key to be replaced: the run ends, and says why.
            until = None if state.pause == DeliveryState.Pause.REFUSED else state.paused_until
            wait_for = float("inf") if until is None else (until - now).total_seconds()
            return Claimed(wait=wait_for, paused=f"{state.get_pause_display()}: {state.reason}")
        if state.pause:
            state.resume()
        limit = min(limit, state.permits(now))
        if not limit:
            return Claimed(wait=(state.next_permit_at(now) - now).total_seconds())
        rows = MetadataSync.objects.claim(limit, lease_time())
        jobs, unchanged = prepare(rows)
        if jobs:
            state.spend(len(jobs), now)
        return Claimed(jobs, unchanged, failing=state.failures > 0)


def prepare(rows: Collection[MetadataSync]) -> tuple[list[Job], list[MetadataSync]]:
    """What to send for claimed rows. Those for which Clerk holds it already are finished here, and returned apart."""
    desired = desired_metadata([row.user_id for row in rows if row.user_id])
    jobs, unchanged = [], []
    for row in rows:
        metadata = desired.get(row.user_id, NO_METADATA) if row.user_id else NO_METADATA
        job = Job(row, metadata, digest(metadata))
        if row.held_digest == job.digest:
            row.finish(row.held_digest, row.claims_after)
            unchanged.append(row)
        else:
            jobs.append(job)
    return jobs, unchanged


def call(job: Job) -> dict[str, Any]:
    """Write the metadata; the Clerk user afterwards. Raises `ClerkError`."""
    try:
        user = backend_api.merge_public_metadata(job.row.pk, job.metadata)
    except Permanent as error:
        if error.status == 404 and job.metadata == NO_METADATA:
            return {}  # a user deleted at Clerk: there is nothing to remove any more
        raise
    if not isinstance(user.get("updated_at"), int) or digest(user.get("public_metadata") or {}) != job.digest:
        raise Retryable("Clerk's answer does not show the metadata that was sent.", status=200)
    return user


def settle_successes(delivered: Collection[Delivered]) -> set[str]:
    """Record deliveries, and return whose are final. To the others another one has to follow.

    One transaction serves them all, but for rows that somebody else has locked: whoever waits for those while holding
    others could be waited for in turn, by a change of both.
    """
    with transaction.atomic(durable=True):
        rows = MetadataSync.objects.filter(pk__in={job.row.pk for job, _ in delivered})
        free = set(rows.select_for_update(skip_locked=True).values_list("pk", flat=True))
        final = _finish([each for each in delivered if each[0].row.pk in free])
    announce_delivered(final)
    for job, user in delivered:
        if job.row.pk not in free:
            try:
                late = _finish([(job, user)])
            except OperationalError as error:
                logger.warning("Metadata sync of %s is done again when its lease ends: %s", job.row.pk, error)
            else:
                announce_delivered(late)
                final |= late
    return set(final)


def _finish(delivered: Collection[Delivered]) -> dict[str, int | None]:
    """When Clerk took each delivery that is final (ms), by user. A row whose lease ended during its call may be here
    twice: the second then finds its lease lost, and has the row delivered again."""
    final: dict[str, int | None] = {}
    for job, user in delivered:
        claims_after = user.get("updated_at")
        if job.row.finish(job.digest, claims_after):
            final[job.row.pk] = claims_after
        else:
            final.pop(job.row.pk, None)
    return final


def settle_error(job: Job, error: ClerkError) -> bool:
    """Record a call that did not succeed; True where no other will follow by itself."""
    row, text = job.row, str(error)
    now = timezone.now()
    if isinstance(error, Permanent):
        logger.error("Metadata sync of %s failed: %s", row.pk, text)
        row.fail(text)
        return True
    attempts, due_at, doubtful_until = row.attempts + 1, now + back_off(row.attempts), None
    with transaction.atomic(durable=True):
        state = DeliveryState.objects.locked()
        if isinstance(error, Retryable) and (error.status == 429 or error.retry_after is not None):
            # The limit is everybody's and no fault of this row's: it goes first when the pause ends.
            state.rate_limited(error.retry_after, text)
            attempts, due_at = row.attempts, now
            logger.warning("Metadata sync waits until %s: %s", state.paused_until, text)
        elif isinstance(error, Misconfigured):
            if state.refused(text):
                logger.error("Metadata sync is paused, because Clerk refuses the site: %s", text)
        elif state.failed(text):
            logger.error("Metadata sync is paused, because Clerk does not answer: %s", text)
    if isinstance(error, Retryable) and (error.status is None or error.status > 500):
        doubtful_until = now + doubt_time()  # no answer, or a gateway's: Clerk may still be at it
    if attempts >= MAX_ATTEMPTS:
        logger.error("Metadata sync of %s failed %d times: %s", row.pk, attempts, text)
        row.fail(text)
        return True
    row.retry(text, due_at=due_at, attempts=attempts, doubtful_until=doubtful_until)
    return False


def back_off(attempts: int) -> timedelta:
    """Doubled for each failed attempt; cut by up to a half, so that rows that failed together part."""
    longest = min(timedelta(seconds=2 ** min(attempts + 1, 20)), LONGEST_BACK_OFF)
    return longest * random.uniform(0.5, 1)  # noqa: S311  spreads load; nothing secret


def next_due(now: datetime) -> datetime | None:
    """When the next pending row may be delivered: `now` where one may be already, None where none is pending."""
    if MetadataSync.objects.deliverable(now).exists():
        return now
    pending = MetadataSync.objects.filter(state=MetadataSync.State.PENDING)
    earliest: datetime | None = pending.aggregate(earliest=Min("due_at"))["earliest"]
    return earliest
