import json
import secrets
import time
from argparse import ArgumentParser
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db.models import Q
from django.urls import reverse
from svix.webhooks import Webhook

from accounts.models import User

# The examples that Clerk publishes of the events that do something here.
PUBLISHED = Path(__file__).parent.parent.parent / "published_events.json"
# The signature is the site's own, so that whoever may run this could sign for any site with the same secret.
LOCAL_HOSTS = {"localhost", "127.0.0.1", "::1"}
TIMEOUT = 15  # seconds, as Svix waits


class Command(BaseCommand):
    help = (
        "Sign one of Clerk's published example events and post it to the local site, so that no tunnel is needed. "
        "Exit 1 if the site does not take it."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("type", choices=sorted(published_events()))
        parser.add_argument("--user", metavar="ID_OR_EMAIL", help="whom it is about: a local user, or a new one")
        parser.add_argument("--session", metavar="ID", help="for session events: which session")
        parser.add_argument(
            "--set", metavar="FIELD=JSON", action="append", default=[], help="set a field of the data: banned=true"
        )
        parser.add_argument("--svix-id", help="send it under this message id: twice the same is a duplicate")
        parser.add_argument("--site", default="http://localhost:8000", help="the local site (%(default)s)")

    def handle(self, *args: Any, type: str, svix_id: str | None, site: str, **options: Any) -> None:  # noqa: A002
        if urlsplit(site).hostname not in LOCAL_HOSTS:
            raise CommandError("--site must be on this machine.", returncode=2)
        event = published_events()[type]
        event["timestamp"] = int(time.time() * 1000)
        event["data"] |= self.data(type, options["user"], options["session"]) | self.fields(options["set"])
        svix_id = svix_id or f"msg_{secrets.token_hex(12)}"
        answer = self.post(site + reverse("clerk-webhook"), json.dumps(event), svix_id)
        self.stdout.write(f"{type} {event['data']['id']} as {svix_id}: {answer.status_code} {answer.text}")
        if not answer.ok:
            raise CommandError("The site did not take the event.")

    def data(self, event_type: str, user: str | None, session_id: str | None) -> dict[str, Any]:
        who = identity(user) if user else {}
        if event_type == "user.deleted":
            return {"id": who["id"]} if who else {}
        if event_type.startswith("user."):
            return who | {"updated_at": int(time.time() * 1000)}
        data = {"user_id": who["id"]} if who else {}
        return data | ({"id": session_id} if session_id else {})

    def fields(self, assignments: list[str]) -> dict[str, Any]:
        fields = {}
        for assignment in assignments:
            name, _, value = assignment.partition("=")
            try:
                fields[name] = json.loads(value)
            except ValueError as error:
                raise CommandError(f"--set {assignment}: {value!r} is not JSON.", returncode=2) from error
        return fields

    def post(self, url: str, body: str, svix_id: str) -> requests.Response:
        now = datetime.now(UTC)
        headers = {
            "Content-Type": "application/json",
            "svix-id": svix_id,
            "svix-timestamp": str(int(now.timestamp())),
            "svix-signature": Webhook(settings.CLERK_WEBHOOK_SIGNING_SECRET[0]).sign(svix_id, now, body),
        }
        try:
            return requests.post(url, data=body.encode(), headers=headers, timeout=TIMEOUT, allow_redirects=False)
        except requests.RequestException as error:
            raise CommandError(f"No site answers at {url}.") from error


def published_events() -> dict[str, dict[str, Any]]:
    events = json.loads(PUBLISHED.read_text(encoding="utf-8"))["events"]
    return {event_type: examples[0] for event_type, examples in events.items()}


def identity(user: str) -> dict[str, Any]:
    """The fields that say who it is: the local user's with this Clerk id or email, else a new user's."""
    row = User.objects.filter(Q(clerk_user_id=user) | Q(email=user.lower())).first()
    new_id = f"user_{secrets.token_hex(12)}"
    email = (row.email if row else user if "@" in user else None) or None
    clerk_user_id = (row.clerk_user_id if row else None) or (new_id if "@" in user else user)
    fields: dict[str, Any] = {"id": clerk_user_id, "email_addresses": [], "primary_email_address_id": None}
    if email:
        verification = {"status": "verified", "strategy": "email_code"}
        address = {"id": "idn_local", "object": "email_address", "email_address": email, "verification": verification}
        fields |= {"email_addresses": [address], "primary_email_address_id": address["id"]}
    if row and row.name:
        first_name, _, last_name = row.name.partition(" ")
        fields |= {"first_name": first_name, "last_name": last_name or None}
    return fields
