import logging
import time
from typing import Any

from django.conf import settings
from django.core.cache import cache
from redis.exceptions import RedisError
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

logger = logging.getLogger(__name__)

WINDOW = 60  # seconds


class PerMinute(BaseThrottle):
    """So many requests of one user a minute, counted by all processes in the cache: two round trips, no query.

    A limit protects the site from a program gone wild, not from an attacker: with the cache away nobody is held up.
    """

    def allow_request(self, request: Request, view: Any) -> bool:
        who = request.manageros_user  # type: ignore[attr-defined]
        key = f"api:requests:{who.id}:{int(time.time() // WINDOW)}"
        try:
            cache.add(key, 0, 2 * WINDOW)
            count: int = cache.incr(key)
        except ValueError:  # evicted in between
            return True
        except (OSError, RedisError) as error:
            logger.warning("The cache did not answer, so a request was not counted: %s", error)
            return True
        return count <= settings.API_REQUESTS_PER_MINUTE

    def wait(self) -> float:
        return WINDOW - time.time() % WINDOW
