"""One user's metadata, now, in the caller's thread."""

from django.db import transaction
from django.utils import timezone

from accounts.models import User
from clerk_sync.backend_api import ClerkError
from clerk_sync.delivery import call, lease_time, prepare, settle_error, settle_successes
from clerk_sync.freshness import announce_delivered
from clerk_sync.marking import link
from clerk_sync.models import DeliveryState, MetadataSync


def sync_user_data_to_clerk(clerk_user_id: str) -> MetadataSync:
    """Deliver this user's metadata to Clerk now, whatever the queue holds; the sync's row as it stands afterwards.

    Nothing is sent where Clerk holds it already. A row that a worker is delivering at this moment, or whose data
    changes meanwhile, is left pending. The call counts towards Clerk's limit, but does not wait for it. Raises
    `ClerkError` where the call did not succeed: the row then says what becomes of it. Raises MetadataSync.DoesNotExist
    for an unknown user, and RuntimeError inside a transaction, because Clerk is called.
    """
    with transaction.atomic(durable=True):
        link(User.objects.filter(clerk_user_id=clerk_user_id))
        row = MetadataSync.objects.select_for_update().get(pk=clerk_user_id)
        now = timezone.now()
        if row.lease and row.due_at > now:
            return row
        if row.state != MetadataSync.State.PENDING:
            MetadataSync.objects.filter(pk=row.pk).update(state=MetadataSync.State.PENDING, pending_since=now)
        MetadataSync.objects.filter(pk=row.pk).update(due_at=now, attempts=0)
        jobs, unchanged = prepare(MetadataSync.objects.filter(pk=row.pk).claim(1, lease_time()))
        if jobs:
            DeliveryState.objects.locked().spend(1, now)
    announce_delivered({row.pk: row.claims_after for row in unchanged})
    for job in jobs:
        try:
            user = call(job)
        except ClerkError as error:
            settle_error(job, error)
            raise
        settle_successes([(job, user)])
    return MetadataSync.objects.get(pk=clerk_user_id)
