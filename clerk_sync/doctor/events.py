"""The webhook: whether Clerk's events arrive, and are applied."""

from collections.abc import Iterator
from datetime import timedelta

from django.db.models import Max
from django.utils import timezone

from accounts.models import User
from clerk_sync.doctor.findings import Finding, fine, note, warning
from clerk_sync.models import MetadataSync, WebhookEvent

# Svix delivers within seconds, and after a failure again 5 seconds and 5 minutes later.
ECHO_WITHIN = timedelta(minutes=15)
QUIET = timedelta(days=7)
ENDPOINT = (
    "Clerk's dashboard, Webhooks: is the endpoint https://<this site>/webhooks/clerk/ there and enabled, subscribed to "
    "user.* and session.*, and what do its last attempts say? For what was missed: `python manage.py pull_clerk_users`."
)


def examine_events() -> Iterator[Finding]:
    latest = WebhookEvent.objects.aggregate(latest=Max("received_at"))["latest"]
    if latest is None:
        if User.objects.filter(clerk_user_id__isnull=False).exists():
            yield warning("webhook-never-received", "No event of Clerk ever arrived.", ENDPOINT)
        else:
            yield note("webhook-never-received", "No event of Clerk has arrived, and there is no user yet.", ENDPOINT)
        return
    now = timezone.now()
    # Each delivery of ours is a user.updated at Clerk: one without an echo, and no event since, is proof.
    unheard = MetadataSync.objects.filter(
        state=MetadataSync.State.SYNCED,
        delivered_at__gt=latest,
        delivered_at__lt=now - ECHO_WITHIN,
        confirmed_at=None,
    )
    if count := unheard.count():
        text = f"{count} deliveries to Clerk had no echo, and no event arrived since {latest:%Y-%m-%d %H:%M} UTC."
        yield warning("webhook-silent", text, ENDPOINT)
    elif now - latest > QUIET:
        yield note("webhook-quiet", f"The last event of Clerk arrived {(now - latest).days} days ago.", ENDPOINT)
    else:
        yield fine("webhook", f"The last event of Clerk arrived at {latest:%Y-%m-%d %H:%M} UTC.")
    yield from _examine_failures()


def _examine_failures() -> Iterator[Finding]:
    failed = WebhookEvent.objects.filter(outcome=WebhookEvent.Outcome.FAILED)
    count = failed.count()
    if not count:
        return
    last = failed.latest("received_at")
    text = f"{count} events could not be applied; the last, {last.type}, because of: {last.error}"
    fix = (
        "Mend what the error says, then `python manage.py replay_webhook_events --failed`, or replay them in the admin."
    )
    yield warning("webhook-failed", text, fix)
