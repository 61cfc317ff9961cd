import json
import signal
import time
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Iterator
from contextlib import contextmanager
from functools import reduce
from operator import or_
from threading import Event
from types import FrameType
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError
from django.db.models import Q, QuerySet

from accounts.models import Membership, Organization, User
from clerk_sync.backend_api import ClerkError
from clerk_sync.delivery import Outcome, deliver
from clerk_sync.metadata import NO_METADATA, Metadata, desired_metadata
from clerk_sync.models import MetadataSync
from clerk_sync.reconcile import Verification, compare_with_records, mark_out_of_step, verify_everyone, verify_users

State = MetadataSync.State
# Seconds. A run waits so long for rows that back off, before it leaves them to the next.
PATIENCE = 30.0
LOG_EVERY = 10.0  # seconds between lines of progress where there is no terminal
LISTED = 20  # users named in the summary


class Command(BaseCommand):
    help = (
        "Deliver to Clerk what is pending: after a lost wake-up, from a cron line, or of users chosen here. "
        "Exit 0: all delivered; 1: some are not (they are listed); 2: wrong use. Ctrl-C waits for the calls in flight."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        who = parser.add_argument_group("first queue whoever is out of step among")
        who.add_argument(
            "--user",
            action="append",
            default=[],
            metavar="ID_OR_EMAIL",
            help="a user: id, Clerk id or email; repeatable",
        )
        who.add_argument("--organization", action="append", default=[], metavar="SLUG", help="who works in it")
        who.add_argument("--all", action="store_true", help="everyone")
        who.add_argument("--failed", action="store_true", help="those whose delivery failed")
        parser.add_argument("--verify", action="store_true", help="compare with what Clerk really holds, and repair")
        parser.add_argument("--dry-run", action="store_true", help="print what would change, write nothing")
        parser.add_argument("--rate", type=positive, metavar="N", help="at most N calls a second")
        parser.add_argument("--json", action="store_true", help="print the outcome as JSON, and nothing else")

    def handle(self, *args: Any, **options: Any) -> None:
        self.quiet = options["json"]
        self.began = self.logged = time.monotonic()
        users = self.chosen(options)
        report: dict[str, Any] = {}
        with interruptible() as stop:
            try:
                if options["verify"]:
                    report["verified"] = self.verify(users, stop, repair=not options["dry_run"])
                elif users is not None:
                    report |= self.compare(users, stop, dry_run=options["dry_run"])
                elif options["dry_run"]:
                    report["would_change"] = self.show(pending_metadata())
                if not options["dry_run"] and not stop.is_set():
                    report |= self.deliver(stop, options["rate"])
            except ClerkError as error:
                raise CommandError(f"Clerk could not be read: {error}") from error
        report["interrupted"] = stop.is_set()
        if self.quiet:
            self.stdout.write(json.dumps(report))
        waiting = 0 if options["dry_run"] else report.get("waiting", 0)
        if stop.is_set() or waiting or report.get("failed"):
            raise SystemExit(1)

    # --- Who

    def chosen(self, options: dict[str, Any]) -> QuerySet[User] | None:
        """The users to look at; None where none were chosen, for `--verify` everyone then."""
        if options["all"] and (options["user"] or options["organization"] or options["failed"]):
            raise CommandError("--all leaves nobody to choose with the other options.", returncode=2)
        if options["all"]:
            return None if options["verify"] else User.objects.all()
        choices = [self.named(name) for name in options["user"]]
        choices += [self.working_in(slug) for slug in options["organization"]]
        if options["failed"]:
            choices.append(Q(metadata_sync__state=State.FAILED))
        return User.objects.filter(reduce(or_, choices)) if choices else None

    def named(self, name: str) -> Q:
        try:
            choice = Q(pk=UUID(name))
        except ValueError:
            choice = Q(email=name.lower()) if "@" in name else Q(clerk_user_id=name)
        user = User.objects.filter(choice).first()
        if user is None:
            raise CommandError(f"There is no user {name!r}.", returncode=2)
        if not user.clerk_user_id:
            raise CommandError(f"{name} has no Clerk account to sync to.", returncode=2)
        return choice

    def working_in(self, slug: str) -> Q:
        if not Organization.objects.filter(slug=slug).exists():
            raise CommandError(f"There is no organization {slug!r}.", returncode=2)
        members = Membership.objects.filter(organization__slug=slug, is_active=True)
        return Q(pk__in=members.values("user"))

    # --- What

    def compare(self, users: QuerySet[User], stop: Event, *, dry_run: bool) -> dict[str, Any]:
        seen, differences = 0, 0
        total = users.count()
        would_change: dict[str, Any] = {}
        for page in compare_with_records(users):
            seen, differences = seen + page.seen, differences + len(page.differences)
            if dry_run:
                would_change |= self.show(page.differences)
            else:
                mark_out_of_step(page)
            self.progress("compared", seen, total)
            if stop.is_set():
                break
        self.say(f"{seen} users compared, {differences} out of step.")
        return {"compared": seen, "out_of_step": differences} | ({"would_change": would_change} if dry_run else {})

    def verify(self, users: QuerySet[User] | None, stop: Event, *, repair: bool) -> dict[str, Any]:
        found = Verification()
        for found in verify_everyone(repair=repair) if users is None else verify_users(users, repair=repair):
            self.progress("read from Clerk", found.seen, None)
            if stop.is_set():
                break
        counts = found.counts
        self.say(
            f"{found.seen} users read from Clerk: {counts['missing']} without our metadata, {counts['different']} with "
            f"other metadata, {counts['orphaned']} with ours but unknown here, {found.pending} with a delivery queued; "
            f"{counts['gone']} known here are not at Clerk."
        )
        for name in ("missing", "different", "orphaned", "gone"):
            self.list_users(name, getattr(found, name))
        return {"seen": found.seen, "pending": found.pending} | {name: getattr(found, name) for name in counts}

    def deliver(self, stop: Event, rate: float | None) -> dict[str, Any]:
        waiting = MetadataSync.objects.filter(state=State.PENDING)
        total = waiting.count()

        def on_progress(outcome: Outcome) -> None:
            self.progress("delivered", outcome.done, max(total, outcome.done))

        outcome = deliver(rate=rate, patience=PATIENCE, stop=stop, on_progress=on_progress)
        left = waiting.count()
        self.say(
            f"{outcome.delivered} delivered, {outcome.unchanged} in step already, {len(outcome.failed)} failed, "
            f"{left} waiting."
        )
        if outcome.paused:
            self.say(outcome.paused)
        for clerk_user_id, error in list(outcome.failed.items())[:LISTED]:
            self.say(f"  {clerk_user_id}: {error}")
        if left:
            self.list_users("waiting", list(waiting.values_list("pk", flat=True)[: LISTED + 1]))
        return {
            "delivered": outcome.delivered,
            "unchanged": outcome.unchanged,
            "failed": outcome.failed,
            "waiting": left,
            "paused": outcome.paused,
        }

    def show(self, differences: dict[str, Metadata]) -> dict[str, Any]:
        """What Clerk should hold for each; None means that the key is removed."""
        for clerk_user_id, metadata in differences.items():
            self.say(f"{clerk_user_id}: {json.dumps(dict(metadata))}")
        return {clerk_user_id: dict(metadata) for clerk_user_id, metadata in differences.items()}

    # --- How it is told

    def say(self, line: str) -> None:
        if not self.quiet:
            self.stdout.write(line)

    def list_users(self, name: str, clerk_user_ids: list[str]) -> None:
        if clerk_user_ids:
            more = "" if len(clerk_user_ids) <= LISTED else " …"
            self.say(f"  {name}: {', '.join(clerk_user_ids[:LISTED])}{more}")

    def progress(self, verb: str, done: int, total: int | None) -> None:
        if self.quiet:
            return
        now = time.monotonic()
        rate = done / max(now - self.began, 0.001)
        text = f"{done} {verb}, {rate:.1f}/s" if total is None else progress_text(verb, done, total, rate)
        if self.stdout.isatty():
            filled = 0 if not total else 20 * done // total
            bar = "" if total is None else f"[{'#' * filled}{'.' * (20 - filled)}] "
            self.stdout.write(f"\r\x1b[K{bar}{text}", ending="\n" if done == total else "")
            self.stdout.flush()
        elif now - self.logged >= LOG_EVERY:
            self.logged = now
            self.stdout.write(text)


def progress_text(verb: str, done: int, total: int, rate: float) -> str:
    left = int((total - done) / rate) if rate else 0
    return f"{done} of {total} {verb}, {rate:.1f}/s, {left // 3600}:{left // 60 % 60:02}:{left % 60:02} left"


def pending_metadata() -> dict[str, Metadata]:
    rows = dict(MetadataSync.objects.filter(state=State.PENDING).values_list("pk", "user"))
    desired = desired_metadata([user_id for user_id in rows.values() if user_id])
    return {pk: NO_METADATA if user_id is None else desired.get(user_id, NO_METADATA) for pk, user_id in rows.items()}


def positive(text: str) -> float:
    number = float(text)
    if not 0 < number < float("inf"):
        raise ArgumentTypeError("must be above 0")
    return number


@contextmanager
def interruptible() -> Iterator[Event]:
    """An event that Ctrl-C or SIGTERM sets; a second one interrupts at once."""
    stop = Event()
    former: dict[signal.Signals, Any] = {}

    def on_signal(number: int, frame: FrameType | None) -> None:
        stop.set()
        signal.signal(number, former[signal.Signals(number)])

    for number in (signal.SIGINT, signal.SIGTERM):
        former[number] = signal.signal(number, on_signal)
    try:
        yield stop
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
