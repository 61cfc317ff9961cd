import json
import shlex
from argparse import ArgumentParser

from django.core.management.base import BaseCommand

from clerk_sync.claims import SESSION_TOKEN_TEMPLATE


class Command(BaseCommand):
    help = "Print the claims to paste into Clerk's dashboard: Sessions, Customize session token."
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--cli", action="store_true", help="print the one-line form, quoted for a shell")

    def handle(self, *, cli: bool, **options: object) -> None:
        if cli:
            self.stdout.write(shlex.quote(json.dumps(dict(SESSION_TOKEN_TEMPLATE), separators=(",", ":"))))
        else:
            self.stdout.write(json.dumps(dict(SESSION_TOKEN_TEMPLATE), indent=2))
