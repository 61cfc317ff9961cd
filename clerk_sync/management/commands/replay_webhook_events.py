from argparse import ArgumentParser
from collections import Counter
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from clerk_sync.clerk_user import MalformedPayloadError
from clerk_sync.inbox import replay
from clerk_sync.models import WebhookEvent


class Command(BaseCommand):
    help = (
        "Apply recorded webhook events again, in the order they happened: the given ones, or all that failed. "
        "What is newer than an event still wins. Exit 1 if one fails."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("svix_ids", nargs="*", metavar="SVIX_ID")
        parser.add_argument("--failed", action="store_true", help="every event that was not applied yet")
        parser.add_argument("--days", type=int, help="with --failed: only what was received in the last DAYS days")

    def handle(self, *args: Any, svix_ids: list[str], failed: bool, days: int | None, **options: Any) -> None:
        if bool(svix_ids) == failed or (days is not None and not failed):
            raise CommandError("Give the Svix ids of events, or --failed.", returncode=2)
        events = WebhookEvent.objects.filter(processed_at=None) if failed else self.named(svix_ids)
        if days is not None:
            events = events.filter(received_at__gte=timezone.now() - timedelta(days=days))
        outcomes: Counter[str] = Counter()
        for primary_key in list(events.in_order().values_list("pk", flat=True)):
            event = WebhookEvent.objects.get(pk=primary_key)
            try:
                outcome = replay(event)
            except MalformedPayloadError as error:
                self.stderr.write(f"{event}: {error}")
                outcome = WebhookEvent.Outcome.FAILED
            outcomes[outcome] += 1
            self.stdout.write(f"{event}: {outcome.label.lower()}")
        self.stdout.write(
            ", ".join(f"{count} {outcome}" for outcome, count in outcomes.items()) or "Nothing to replay."
        )
        if outcomes[WebhookEvent.Outcome.FAILED]:
            raise CommandError(f"{outcomes[WebhookEvent.Outcome.FAILED]} failed again.")

    def named(self, svix_ids: list[str]) -> Any:
        events = WebhookEvent.objects.filter(svix_id__in=svix_ids)
        unknown = set(svix_ids) - set(events.values_list("svix_id", flat=True))
        if unknown:
            raise CommandError(f"No such event: {', '.join(sorted(unknown))}", returncode=2)
        return events
