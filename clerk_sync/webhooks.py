"""The door of Clerk's webhook: nothing is parsed, read from the database or written before the signature is verified.

The answers are for Svix, which takes any 2xx for done and sends again what got another answer: 5 s later, then after
5 and 30 minutes, and 2, 5, 10 and 10 hours (docs.svix.com/retries).
"""

import logging
import re
from collections.abc import Mapping
from http import HTTPStatus

from django.conf import settings
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.request import UnreadablePostError
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST
from svix.webhooks import Webhook, WebhookVerificationError

from clerk_sync import tally
from clerk_sync.clerk_user import MalformedPayloadError
from clerk_sync.deadline import database_deadline
from clerk_sync.inbox import Delivery, receive
from clerk_sync.models import WebhookEvent

logger = logging.getLogger(__name__)

# Bytes. Clerk keeps all metadata of a user within 8 KB each; the largest real events are some tens of kilobytes.
BODY_LIMIT = 512 * 1024
# As many as WebhookEvent.svix_id holds.
SVIX_ID = re.compile(r"[\x21-\x7e]{1,255}")
# The one way in which Svix writes a time and a signature. Its verifier reads them loosely (a time with a fraction,
# base64 with foreign characters or stray bits), so that several headers would pass as one signed message.
TIMESTAMP = re.compile(r"[1-9][0-9]{0,11}")
SIGNATURE = re.compile(r"v1,[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=")
# Seconds. Svix gives a delivery up after 15, and making a connection may take 5 more.
DATABASE_DEADLINE = 9.0
# Seconds. Svix has a schedule of its own; this is for whoever else asks.
RETRY_AFTER = 30


@csrf_exempt
@require_POST
def clerk_webhook(request: HttpRequest) -> HttpResponse:
    if request.content_type != "application/json":
        return _refusal(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "not_json", "Events are sent as application/json.")
    body = _read(request)
    if body is None:
        return _refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too_large", f"An event has {BODY_LIMIT} bytes at most.")
    svix_id = verified_id(body, request.headers)
    if svix_id is None:
        return _refusal(HTTPStatus.BAD_REQUEST, "bad_signature", "The signature is missing, too old, or not ours.")
    try:
        delivery = Delivery.parse(svix_id, body.decode())
        with database_deadline(DATABASE_DEADLINE):
            outcome = receive(delivery)
    except MalformedPayloadError as error:
        # Signed and yet not understood: Clerk's format has changed, or the secret is in someone else's hands.
        logger.error("Webhook %s was signed and cannot be understood: %s", svix_id, error)  # noqa: TRY400
        return _refusal(HTTPStatus.BAD_REQUEST, "malformed", str(error))
    except (OperationalError, InterfaceError):
        logger.exception("The database is away: webhook %s will come again.", svix_id)
        answer = _refusal(HTTPStatus.SERVICE_UNAVAILABLE, "database_away", "Try again later.")
        answer["Retry-After"] = str(RETRY_AFTER)
        return answer
    if outcome == WebhookEvent.Outcome.FAILED:
        failure = "The event was recorded and not applied."
        return _refusal(HTTPStatus.INTERNAL_SERVER_ERROR, "failed", failure, event_type=delivery.type)
    tally.webhooks.count(delivery.type, outcome or "duplicate")
    return JsonResponse({"outcome": outcome or "duplicate"})


def verified_id(body: bytes, headers: Mapping[str, str]) -> str | None:
    """The id that was signed together with this body, by one of our secrets and within five minutes; else None.

    Svix also takes `webhook-` for `svix-` in the names of the three headers. All three are taken from one family, and
    the id from the same, else a second id beside the signed one would walk round the deduplication.
    """
    for family in ("svix", "webhook"):
        signed = {f"svix-{part}": headers.get(f"{family}-{part}", "") for part in ("id", "timestamp", "signature")}
        if all(signed.values()):
            break
    else:
        return None
    # Among several are those of an older or newer secret, and of versions that we do not know.
    signatures = [signature for signature in signed["svix-signature"].split(" ") if SIGNATURE.fullmatch(signature)]
    if not (SVIX_ID.fullmatch(signed["svix-id"]) and TIMESTAMP.fullmatch(signed["svix-timestamp"]) and signatures):
        return None
    signed["svix-signature"] = " ".join(signatures)
    verified = any(_is_signed(body, signed, secret) for secret in settings.CLERK_WEBHOOK_SIGNING_SECRET)
    return signed["svix-id"] if verified else None


def _is_signed(body: bytes, signed: dict[str, str], secret: str) -> bool:
    webhook = Webhook(secret)
    try:
        webhook.verify(body, signed)
    except (WebhookVerificationError, ValueError):  # ValueError: a body that is not UTF-8
        return False
    return True


def _read(request: HttpRequest) -> bytes | None:
    """The body, None where it is too long: told by its declared length before any of it is read."""
    declared = request.headers.get("Content-Length", "")
    if declared.isdecimal() and (len(declared) > 9 or int(declared) > BODY_LIMIT):
        return None
    try:
        body = request.read(BODY_LIMIT + 1)
    except UnreadablePostError:
        return b""  # the sender is gone, and so is what was signed
    return body if len(body) <= BODY_LIMIT else None


def _refusal(status: HTTPStatus, code: str, detail: str, *, event_type: str = "") -> HttpResponse:
    tally.webhooks.count(event_type, code)
    problem = {"type": "about:blank", "title": status.phrase, "status": status, "code": code, "detail": detail}
    return JsonResponse(problem, status=status, content_type="application/problem+json")
