from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError

from clerk_sync.emulator.seed import seed_database


class Command(BaseCommand):
    help = "Migrate a development database and, where it is empty, fill it with the demo's organizations and people."

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.DEBUG:
            raise CommandError("The demo's administrator has a known password: seeding needs DJANGO_DEBUG=true.")
        call_command("migrate", interactive=False, verbosity=0)
        seeded = seed_database()
        self.stdout.write("Seeded." if seeded else "The database holds an organization already: left as it is.")
