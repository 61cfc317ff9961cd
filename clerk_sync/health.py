"""What a load balancer and an on-call engineer ask: is the process alive, and can the site do its work?

`unavailable` means that no request would be answered rightly, and takes the process out of the balancer. Everything
else that is wrong is `degraded`, and stays 200: the site answers as it should, from the database where it must, and
taking every process out at once because Clerk or Redis is down would turn a slow hour into an outage.
"""

import logging
from typing import Any

from django.conf import settings
from django.core.cache import cache
from django.db import Error as DatabaseError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from clerk_sync.announcements import CACHE_ERRORS, PROBED
from clerk_sync.backlog import backlog
from clerk_sync.instance import clerk_instance
from clerk_sync.jwks import MAX_AGE, published_keys

logger = logging.getLogger(__name__)

# Seconds. A change is delivered within seconds when a worker runs and Clerk answers.
LATE = 300.0


@never_cache
@require_safe
def healthz(request: HttpRequest) -> HttpResponse:
    """This process answers. It asks nothing of anyone, so that a restart is ordered only where it would help."""
    return JsonResponse({"status": "alive"})


@never_cache
@require_safe
def readyz(request: HttpRequest) -> HttpResponse:
    report = readiness()
    return JsonResponse(report, status=503 if report["status"] == "unavailable" else 200)


def readiness() -> dict[str, Any]:
    """Each part with its state, and what is wrong in words. It is public: no address, no error text, no secret."""
    problems: list[str] = []
    sync, cached, keys = _sync(problems), _cache(problems), _keys(problems)
    status = "degraded" if problems else "ready"
    return {
        "status": status if sync is not None else "unavailable",
        "problems": problems,
        "database": {"reachable": sync is not None},
        "sync": sync,
        "cache": cached,
        "keys": keys,
    }


def _sync(problems: list[str]) -> dict[str, Any] | None:
    """None where the database cannot be asked."""
    try:
        sync = backlog()
    except DatabaseError:
        logger.exception("The database cannot be asked.")
        problems.append("The database does not answer, or its migrations were not applied.")
        return None
    if sync.paused:
        problems.append(f"{sync.paused.label}.")
    if sync.oldest_pending > LATE:
        problems.append(f"A change has waited for {sync.oldest_pending:.0f} seconds to reach Clerk.")
    if sync.failed:
        problems.append(f"Metadata that could not be delivered to Clerk: {sync.failed} users'.")
    return {
        "pending": sync.pending,
        "oldest_pending_seconds": round(sync.oldest_pending, 1),
        "failed": sync.failed,
        "paused": sync.paused.value or None,
        "paused_until": sync.paused_until,
    }


def _cache(problems: list[str]) -> dict[str, Any]:
    try:
        cache.set(PROBED, True, 60)  # one that is full answers, and takes no announcement
    except CACHE_ERRORS:
        logger.exception("The cache takes nothing.")
        problems.append("The cache does not answer, so that every request asks the database.")
        return {"reachable": False}
    return {"reachable": True}


def _keys(problems: list[str]) -> dict[str, Any]:
    """Keys are this process's own: one that has verified no token has none yet, and fetches them for the first."""
    if settings.CLERK_JWT_KEY:
        return {"source": "pem"}
    age = published_keys(clerk_instance().issuer).age
    if age is not None and age > 2 * MAX_AGE:
        problems.append(f"The keys that verify tokens were fetched {age / 3600:.0f} hours ago, and not since.")
    return {"source": "jwks", "age_seconds": None if age is None else round(age)}
