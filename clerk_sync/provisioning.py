"""A user whose first request came before the webhook: fetched from Clerk on the spot.

A token outlives its user by up to a minute, and may be sent as often as its holder likes: whom Clerk does not know is
not asked for again at once.
"""

import logging
from typing import Any

from django.core.cache import cache

from accounts.models import User
from clerk_sync import backend_api
from clerk_sync.announcements import cache_errors_noticed
from clerk_sync.clerk_user import MalformedPayloadError, parse_id
from clerk_sync.mirror import mirror_user
from clerk_sync.models import DeletedClerkUser

logger = logging.getLogger(__name__)

# Seconds. Someone is waiting for a page.
TIMEOUT = 5.0
RETRY_AFTER = 5.0
# Seconds for which Clerk's word that it knows no such user is taken. A webhook that says otherwise ends it at once,
# because then there is a row.
UNKNOWN_FOR = 5


class UnknownClerkUser(Exception):  # noqa: N818  named, like ClerkUnavailable, for what a caller answers
    """Clerk has no such user (any more)."""


class ClerkUnavailable(Exception):  # noqa: N818
    """Clerk could not be asked. It may be worth asking again `retry_after` seconds from now."""

    def __init__(self, message: str, *, retry_after: float = RETRY_AFTER) -> None:
        super().__init__(message)
        self.retry_after = retry_after


def provision(clerk_user_id: str) -> User:
    """Fetch the user from Clerk, and link or create the local row, once however many ask at the same time.

    Calls the network: not to be called inside a transaction. Raises UnknownClerkUser and ClerkUnavailable.
    """
    unknown = f"clerk:unknown:{clerk_user_id}"
    with cache_errors_noticed():
        if cache.get(unknown):
            raise UnknownClerkUser(clerk_user_id)
    if DeletedClerkUser.objects.filter(pk=clerk_user_id).exists():
        raise UnknownClerkUser(clerk_user_id)
    try:
        mirrored = mirror_user(_fetch(clerk_user_id))
    except backend_api.Permanent as error:
        if error.status == 404:
            with cache_errors_noticed():
                cache.set(unknown, 1, UNKNOWN_FOR)
        raise UnknownClerkUser(clerk_user_id) from error
    except backend_api.Retryable as error:
        raise ClerkUnavailable(str(error), retry_after=error.retry_after or RETRY_AFTER) from error
    except (backend_api.Misconfigured, MalformedPayloadError) as error:
        logger.error("A user could not be provisioned: %s", error)  # noqa: TRY400  the message says it all
        raise ClerkUnavailable(str(error)) from error
    if mirrored.user_id is None:
        raise UnknownClerkUser(clerk_user_id)
    user: User = User.objects.get(pk=mirrored.user_id)
    return user


def _fetch(clerk_user_id: str) -> dict[str, Any]:
    payload = backend_api.get_user(clerk_user_id, timeout=TIMEOUT)
    if parse_id(payload) != clerk_user_id:
        raise MalformedPayloadError("Clerk answered with another user than it was asked for.")
    return payload
