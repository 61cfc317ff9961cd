"""The metadata sync: whether changes reach Clerk, and in time."""

from collections.abc import Iterator

from django.db.models import Exists, OuterRef

from accounts.models import User
from clerk_sync.backlog import Backlog, backlog
from clerk_sync.doctor.findings import Finding, error, fine, warning
from clerk_sync.health import LATE
from clerk_sync.models import DeliveryState, MetadataSync

SHOWN = 3
Pause = DeliveryState.Pause

FOR_PAUSES = {
    Pause.RATE_LIMITED: "Nothing: it goes on by itself. If it happens often, lower CLERK_SYNC_SHARE.",
    Pause.UNREACHABLE: "Nothing, if Clerk is down: it goes on by itself. Else look at CLERK_API_URL and the firewall.",
    Pause.REFUSED: "Put a secret key that Clerk accepts into CLERK_SECRET_KEY, and it goes on by itself.",
}


def examine_deliveries() -> Iterator[Finding]:
    sync = backlog()
    if sync.paused:
        severity = warning if sync.paused is Pause.RATE_LIMITED else error
        yield severity("sync-paused", f"{sync.paused.label}: {sync.detail}", FOR_PAUSES[sync.paused])
    if sync.oldest_pending > LATE:
        yield _late(sync)
    if sync.failed:
        yield _failed(sync)
    yield from _never_queued()
    if not (sync.paused or sync.failed or sync.oldest_pending > LATE):
        yield fine(
            "sync", f"{sync.pending} changes wait to be delivered, the oldest for {sync.oldest_pending:.0f} seconds."
        )


def _late(sync: Backlog) -> Finding:
    text = f"{sync.pending} changes wait to be delivered, the oldest for {sync.oldest_pending:.0f} seconds."
    fix = (
        "Is a worker running (`python manage.py db_worker`)? `python manage.py sync_clerk_metadata` delivers them now."
    )
    return warning("sync-late", text, fix)


def _failed(sync: Backlog) -> Finding:
    rows = MetadataSync.objects.filter(state=MetadataSync.State.FAILED).order_by("pk")[:SHOWN]
    errors = "; ".join(f"{row.clerk_user_id}: {row.error}" for row in rows)
    text = f"The metadata of {sync.failed} users could not be delivered. {errors}"
    fix = (
        "404: the user is gone at Clerk, and `python manage.py pull_clerk_users --prune` removes them here. "
        "Others: mend what the error says, and retry them in the admin, Metadata syncs."
    )
    return warning("sync-failed", text, fix)


def _never_queued() -> Iterator[Finding]:
    rows = MetadataSync.objects.filter(user=OuterRef("pk"))
    users = User.objects.filter(clerk_user_id__isnull=False).exclude(Exists(rows))
    if count := users.count():
        text = f"{count} users of Clerk were never queued: they came by a way that no hook sees, such as raw SQL."
        yield warning("users-never-synced", text, "Run `python manage.py sync_clerk_metadata --all`.")
