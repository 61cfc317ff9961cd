"""How far the metadata sync is behind: what probes, metrics, the doctor and the admin say of it."""

from dataclasses import dataclass

from django.db.models import Count, Min
from django.utils import timezone

from clerk_sync.models import MetadataSync


@dataclass(frozen=True, slots=True)
class Backlog:
    """Rows that wait, rows that were given up, and the seconds that the oldest has waited."""

    pending: int
    failed: int
    oldest_pending: float


def backlog() -> Backlog:
    """The state of the sync now, in two queries, none of which reads a row that is in step."""
    now = timezone.now()
    waiting = MetadataSync.objects.filter(state=MetadataSync.State.PENDING)
    pending = waiting.aggregate(count=Count("pk"), since=Min("pending_since"))
    return Backlog(
        pending=pending["count"],
        failed=MetadataSync.objects.filter(state=MetadataSync.State.FAILED).count(),
        oldest_pending=max(0.0, (now - pending["since"]).total_seconds()) if pending["since"] else 0.0,
    )
