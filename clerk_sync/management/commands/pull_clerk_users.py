from argparse import ArgumentParser
from collections import Counter
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from accounts.models import User
from clerk_sync import backend_api
from clerk_sync.pull import find_missing, mirror_if_deleted, pull_pages, with_retries


class Command(BaseCommand):
    help = (
        "Mirror all users from Clerk: for a first import, or for events missed while the endpoint was disabled. "
        "Users who exist here and no longer at Clerk are listed, and with --prune deactivated. "
        "Exit 1 if it stopped early, or a user could not be read; what was done stays done."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="say what would change, and change nothing")
        parser.add_argument("--prune", action="store_true", help="apply the deletion of users who are gone at Clerk")
        parser.add_argument("--starting-after", metavar="CLERK_USER_ID", help="go on where an earlier pull stopped")

    def handle(self, *args: Any, dry_run: bool, prune: bool, starting_after: str | None, **options: Any) -> None:
        if prune and starting_after:
            raise CommandError("--prune needs a pull from the start, which has seen every user.", returncode=2)
        counts: Counter[str] = Counter()
        cursor, malformed = starting_after, 0
        seen: set[str] = set()
        try:
            total = with_retries(backend_api.count_users)
            for page in pull_pages(starting_after=starting_after, dry_run=dry_run):
                counts.update(page.outcomes.values())
                seen |= page.outcomes.keys() | page.malformed.keys()
                cursor, malformed = page.cursor or cursor, malformed + len(page.malformed)
                for clerk_user_id, problem in page.malformed.items():
                    self.stderr.write(f"{clerk_user_id}: {problem}")
                self.progress(len(seen), total)
            gone = [] if starting_after else self.find_gone(seen, prune=prune and not dry_run)
        except (backend_api.ClerkError, KeyboardInterrupt) as error:
            self.summarize(counts, dry_run=dry_run)
            resume = f" Go on with --starting-after {cursor}." if cursor else ""
            raise CommandError(f"Stopped: {error or 'interrupted'}.{resume}") from error
        self.summarize(counts, dry_run=dry_run)
        if gone:
            done = "deactivated" if prune and not dry_run else "left as they are (--prune deactivates them)"
            self.stdout.write(f"{len(gone)} deleted at Clerk, {done}: {', '.join(gone)}")
        if malformed:
            raise CommandError(f"{malformed} users could not be read.")

    def find_gone(self, seen: set[str], *, prune: bool) -> list[str]:
        missing = find_missing(seen)
        if missing and not User.objects.filter(clerk_user_id__in=list(seen)[:1000]).exists():
            # Every user here would be deactivated: far likelier, the secret key is another instance's.
            raise CommandError("None of the local users exist at Clerk. Is CLERK_SECRET_KEY that of this instance?")
        return [clerk_user_id for clerk_user_id in missing if mirror_if_deleted(clerk_user_id, apply=prune)]

    def progress(self, done: int, total: int) -> None:
        if self.stdout.isatty():
            self.stdout.write(f"\r{done} of {total} users", ending="" if done < total else "\n")
            self.stdout.flush()

    def summarize(self, counts: Counter[str], *, dry_run: bool) -> None:
        outcomes = ", ".join(f"{count} {outcome}" for outcome, count in sorted(counts.items()))
        self.stdout.write(f"{'Would be: ' if dry_run else ''}{outcomes or 'no users'}")
