from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from clerk_sync.emulator.demo import Demo, reset
from clerk_sync.emulator.processes import DemoError


class Command(BaseCommand):
    help = "Run a local Clerk, a worker and the site on a seeded database of their own, until Ctrl-C."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--folder", type=Path, default=settings.BASE_DIR / ".demo", help="where its data is kept")
        parser.add_argument("--port", type=int, default=8000, help="of the site")
        parser.add_argument("--clerk-port", type=int, default=8001, help="of the local Clerk")
        parser.add_argument("--database-url", default="", help="in place of a SQLite file in the folder")
        parser.add_argument("--token-lifetime", type=int, default=60, help="of session tokens, in seconds")
        parser.add_argument("--reset", action="store_true", help="remove the data of former runs, and end")

    def handle(self, *args: Any, **options: Any) -> None:
        demo = Demo(
            folder=options["folder"],
            say=self.say,
            site_port=options["port"],
            clerk_port=options["clerk_port"],
            database_url=options["database_url"],
            token_lifetime=options["token_lifetime"],
        )
        try:
            if options["reset"]:
                reset(options["folder"])
            else:
                demo.run()
        except (DemoError, OSError) as error:
            raise CommandError(str(error)) from error

    def say(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()  # a script that reads us waits for the line
