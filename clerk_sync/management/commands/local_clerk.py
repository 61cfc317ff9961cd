import signal
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from clerk_sync.emulator.clerk import LocalClerk
from clerk_sync.emulator.instance import Instance
from clerk_sync.emulator.seed import clerk_users
from clerk_sync.emulator.server import RunningClerk


class Command(BaseCommand):
    help = "Serve a local Clerk with the keys of the settings, until interrupted. For development alone."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--port", type=int, default=8001)
        parser.add_argument("--webhook-url", help="where to send webhooks")
        parser.add_argument("--site", action="append", default=[], help="an origin to serve; default: any local one")
        parser.add_argument("--saved", type=Path, help="file that keeps users and sessions from one run to the next")
        parser.add_argument("--seed", action="store_true", help="start with the demo's users where nothing is saved")
        parser.add_argument("--token-lifetime", type=int, default=60, help="seconds")

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.DEBUG:
            raise CommandError("The local Clerk lets anyone sign in as anyone: it runs with DJANGO_DEBUG=true alone.")
        if settings.CLERK_PUBLISHABLE_KEY.startswith("pk_live_"):
            raise CommandError("CLERK_PUBLISHABLE_KEY is that of a live instance.")
        instance = Instance(
            frontend_api_url=settings.CLERK_FRONTEND_API_URL,
            secret_key=settings.CLERK_SECRET_KEY,
            webhook_secret=next(iter(settings.CLERK_WEBHOOK_SIGNING_SECRET), ""),
            allowed_origins=tuple(options["site"]),
            token_lifetime=options["token_lifetime"],
        )
        clerk = LocalClerk(instance, webhook_url=options["webhook_url"], saved=options["saved"])
        if options["seed"] and not clerk.store.users:
            for user in clerk_users(clerk.store.now()):
                clerk.store.load(user)
            clerk.store.changed()
        signals = {signal.SIGINT, signal.SIGTERM}
        signal.pthread_sigmask(signal.SIG_BLOCK, signals)  # before the server's threads start, which inherit it
        with RunningClerk(clerk, port=options["port"]) as running:
            self.stdout.write(f"Local Clerk at {running.url}")
            signal.sigwait(signals)
