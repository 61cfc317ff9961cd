from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from clerk_sync.models import EndedSession, WebhookEvent

RETENTION = 90  # days


class Command(BaseCommand):
    help = "Delete webhook events that were received, and sessions that ended, more than --days ago (90)."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--days", type=int, default=RETENTION)

    def handle(self, *args: Any, days: int, **options: Any) -> None:
        # Svix tries for 28 hours, and a message of an endpoint that was disabled can be replayed by hand for weeks.
        if days < 1:
            raise CommandError("--days must be 1 or more.", returncode=2)
        before = timezone.now() - timedelta(days=days)
        events = WebhookEvent.objects.all().prune(before)
        sessions, _ = EndedSession.objects.filter(ended_at__lt=before).delete()
        self.stdout.write(f"Deleted {events} webhook events and {sessions} ended sessions of before {before:%Y-%m-%d}.")
