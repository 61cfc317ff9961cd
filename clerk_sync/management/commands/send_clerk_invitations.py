from typing import Any

from django.core.management.base import BaseCommand, CommandError

from clerk_sync.invitations import send_pending


class Command(BaseCommand):
    help = "Have Clerk send the invitations that are waiting: after a lost wake-up, from a cron line."

    def handle(self, *args: Any, **options: Any) -> None:
        outcome = send_pending()
        waiting = f", the next at {outcome.next_at:%Y-%m-%d %H:%M} UTC" if outcome.next_at else ""
        summary = f"{outcome.sent} sent, {outcome.retried} to be tried again, {outcome.failed} failed{waiting}."
        if outcome.failed:
            raise CommandError(summary)
        self.stdout.write(summary)
