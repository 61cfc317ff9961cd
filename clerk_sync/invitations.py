"""Has Clerk invite whoever is invited here and has no user yet: queued with the invitation, sent by a worker.

What Clerk refuses because it knows the address already needs no email: that person finds the invitation here when they
sign in. An answer that was lost is asked for again, and is such a refusal then.
"""

import logging
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from accounts.models.invitation import VALID_FOR
from clerk_sync import backend_api
from clerk_sync.backend_api import ClerkError, Permanent, Retryable
from clerk_sync.models import InvitationEmail

logger = logging.getLogger(__name__)

State = InvitationEmail.State
# The address has an open invitation at Clerk, or an account.
KNOWN_THERE = frozenset({"duplicate_record", "form_identifier_exists"})
MAX_ATTEMPTS = 20
LONGEST_BACK_OFF = timedelta(minutes=15)


@dataclass
class Outcome:
    sent: int = 0
    retried: int = 0
    failed: int = 0
    next_at: datetime | None = None

    @property
    def attempted(self) -> int:
        return self.sent + self.retried + self.failed


def send_pending(*, seconds: float | None = None) -> Outcome:
    """Send until nothing is due or `seconds` have passed. Safe to run in any number of workers."""
    outcome = Outcome()
    deadline = None if seconds is None else time.monotonic() + seconds
    while (deadline is None or time.monotonic() < deadline) and (email := InvitationEmail.objects.claim()):
        try:
            send(email)
        except ClerkError as error:
            if isinstance(error, Permanent) or email.attempts + 1 >= MAX_ATTEMPTS:
                fail(email, error)
                outcome.failed += 1
            else:
                postpone(email, error)
                outcome.retried += 1
        else:
            outcome.sent += 1
    outcome.next_at = InvitationEmail.objects.next_at()
    return outcome


def send(email: InvitationEmail) -> None:
    """One call. Raises ClerkError."""
    again = email.sent_at is not None  # renewed: Clerk is to send another one beside the first
    try:
        backend_api.create_invitation(email.invitation.email, valid_days=VALID_FOR.days, ignore_existing=again)
    except Permanent as error:
        if error.code not in KNOWN_THERE:
            raise
    finish(email, State.SENT, "")


def finish(email: InvitationEmail, state: str, error: str) -> None:
    sent = {"sent_at": timezone.now()} if state == State.SENT else {}
    update_leased(email, state=state, error=error, attempts=email.attempts + 1, **sent)


def fail(email: InvitationEmail, error: ClerkError) -> None:
    finish(email, State.FAILED, str(error))
    logger.error("An invitation was not sent: %s", error)


def postpone(email: InvitationEmail, error: ClerkError) -> None:
    asked = error.retry_after if isinstance(error, Retryable) else None
    doubled = timedelta(seconds=2 ** (email.attempts + 1))
    wait = min(doubled, LONGEST_BACK_OFF) if asked is None else timedelta(seconds=asked)
    update_leased(email, due_at=timezone.now() + wait, attempts=email.attempts + 1, error=str(error))


def update_leased(email: InvitationEmail, **values: Any) -> None:
    """Record what came of a call, unless the invitation was renewed during it: then there is another email to send."""
    rows = InvitationEmail.objects.filter(pk=email.pk, leased_until=email.leased_until)
    rows.update(leased_until=None, **values)
