"""The inbox of Clerk's webhook: each delivery is recorded and applied in one transaction, once.

Deduplication is by what was *processed*, never by what was seen: a delivery that failed is recorded apart, after the
rollback, and runs again when Svix sends it again.
"""

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any, NoReturn

from django.db import InterfaceError, OperationalError, transaction
from django.db.models import F, Subquery
from django.utils import timezone

from clerk_sync.clerk_user import ID_LENGTH, ClerkUser, MalformedPayloadError, parse_id
from clerk_sync.freshness import announce_signed_out, announce_stale, end_session, remember_ended
from clerk_sync.mirror import Outcome as MirrorOutcome
from clerk_sync.mirror import apply_deletion, apply_user, find_held
from clerk_sync.models import WebhookEvent
from clerk_sync.turns import OvertakenError, again_if_overtaken

logger = logging.getLogger(__name__)

USER_CHANGED = frozenset({"user.created", "user.updated"})
USER_DELETED = "user.deleted"
SESSION_OVER = frozenset({"session.ended", "session.removed", "session.revoked"})
MIRRORED = USER_CHANGED | {USER_DELETED} | SESSION_OVER

# Clerk's documentation gives envelope times in milliseconds, its published examples hold seconds.
EARLIEST_MILLISECONDS = 10**11
END_OF_DATES = 253_402_300_800_000  # the year 10000, in milliseconds
TYPE_LENGTH = 100

Outcome = WebhookEvent.Outcome


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message whose signature was verified: its id, its body, and what the body says."""

    svix_id: str
    body: str
    type: str
    data: Mapping[str, Any]
    occurred_at: datetime | None

    @classmethod
    def parse(cls, svix_id: str, body: str) -> "Delivery":
        """Raises MalformedPayloadError."""
        try:
            event = json.loads(body, parse_constant=_refuse_constant)
        except (ValueError, RecursionError) as error:
            raise MalformedPayloadError("The body is not JSON.") from error
        if not isinstance(event, dict) or not isinstance(event.get("data"), dict):
            raise MalformedPayloadError("The body is not an event with data.")
        event_type = event.get("type")
        if not isinstance(event_type, str) or not 0 < len(event_type) <= TYPE_LENGTH or not event_type.isascii():
            raise MalformedPayloadError("The event has no type.")
        if event_type in MIRRORED:
            parse_id(event["data"])
        return cls(svix_id, body, event_type, event["data"], _time(event.get("timestamp")))


def receive(delivery: Delivery, *, even_if_processed: bool = False) -> Outcome | None:
    """Record and apply the delivery, or do nothing and return None if that was done before.

    FAILED means that nothing was applied, and that the error was recorded. Raises MalformedPayloadError, and
    OperationalError or InterfaceError where the database is away: then nothing was recorded either.
    """
    try:
        return again_if_overtaken(partial(_process, delivery, even_if_processed=even_if_processed))
    except (MalformedPayloadError, OperationalError, InterfaceError):
        raise
    except Exception as error:
        logger.exception("Webhook %s of type %s could not be applied.", delivery.svix_id, delivery.type)
        _record_failure(delivery, error)
        return Outcome.FAILED


def replay(event: WebhookEvent) -> Outcome:
    """Apply a recorded event once more, whatever came of it before: what is newer than the event still wins.

    Raises as `receive` does.
    """
    outcome = receive(Delivery.parse(event.svix_id, event.payload), even_if_processed=True)
    return outcome or Outcome.IGNORED


def _record_failure(delivery: Delivery, error: Exception) -> None:
    # In a transaction of its own. A success that another process had meanwhile stands.
    failure = {"outcome": Outcome.FAILED, "error": f"{type(error).__name__}: {error}"}
    with transaction.atomic():
        event, created = WebhookEvent.objects.get_or_create(
            svix_id=delivery.svix_id, defaults=_particulars(delivery) | failure
        )
        if not created:
            unprocessed = WebhookEvent.objects.filter(pk=event.pk, processed_at=None)
            unprocessed.update(attempts=F("attempts") + 1, **failure)


def _process(delivery: Delivery, *, even_if_processed: bool = False) -> Outcome | None:
    clerk_user = ClerkUser.parse(delivery.data) if delivery.type in USER_CHANGED else None
    same = WebhookEvent.objects.filter(svix_id=delivery.svix_id)
    # One query answers for the row of the user and for the delivery, where there is such a row.
    held: dict[str, Any] | None = None
    if clerk_user:
        held = find_held(clerk_user, earlier_outcome=Subquery(same.values("outcome")))
    earlier = held["earlier_outcome"] if held else same.values_list("outcome", flat=True).first()
    if earlier not in {None, Outcome.FAILED} and not even_if_processed:
        _announce_again(delivery, held)
        return None
    # No savepoint inside a caller's transaction: OvertakenError has to roll all of it back anyway.
    with transaction.atomic(savepoint=False):
        outcome = _mirrored(apply_user(clerk_user, held).outcome) if clerk_user else _apply(delivery)
        _record(delivery, outcome, earlier)
    return outcome


def _announce_again(delivery: Delivery, held: Mapping[str, Any] | None) -> None:
    """Say once more who is out. Svix repeats what was not answered, and whoever did not live to answer may not have
    lived to say it: it follows the commit."""
    if delivery.type in SESSION_OVER:
        remember_ended(parse_id(delivery.data))
    elif delivery.type == USER_DELETED or (held and not held["is_active"]):
        announce_signed_out(parse_id(delivery.data))
    elif held:
        announce_stale([parse_id(delivery.data)])


def _apply(delivery: Delivery) -> Outcome:
    if delivery.type == USER_DELETED:
        return _mirrored(apply_deletion(parse_id(delivery.data), delivery.occurred_at or timezone.now()))
    if delivery.type in SESSION_OVER:
        end_session(parse_id(delivery.data))
        return Outcome.APPLIED
    return Outcome.IGNORED


def _mirrored(outcome: MirrorOutcome) -> Outcome:
    return Outcome.STALE if outcome == MirrorOutcome.STALE else Outcome.APPLIED


def _record(delivery: Delivery, outcome: Outcome, earlier: str | None) -> None:
    result = {"outcome": outcome, "processed_at": timezone.now(), "error": ""}
    if earlier is None:
        WebhookEvent.objects.create(svix_id=delivery.svix_id, **_particulars(delivery), **result)
        return
    same = WebhookEvent.objects.filter(svix_id=delivery.svix_id, outcome=earlier)
    if not same.update(attempts=F("attempts") + 1, **result):
        raise OvertakenError


def _particulars(delivery: Delivery) -> dict[str, Any]:
    clerk_id = delivery.data.get("id")
    return {
        "type": delivery.type,
        "clerk_id": clerk_id if isinstance(clerk_id, str) and len(clerk_id) <= ID_LENGTH else "",
        "occurred_at": delivery.occurred_at,
        "payload": delivery.body,
    }


def _time(timestamp: Any) -> datetime | None:
    if not isinstance(timestamp, int) or not 0 < timestamp < END_OF_DATES:
        return None
    milliseconds = timestamp if timestamp >= EARLIEST_MILLISECONDS else timestamp * 1000
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON.")
