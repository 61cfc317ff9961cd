"""The settings: what the system checks of start-up say, and whether database and cache are as they should be."""

from collections.abc import Iterator

import redis
from django.conf import settings
from django.core import checks
from django.core.cache import cache
from django.db import Error as DatabaseError
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from clerk_sync.announcements import CACHE_ERRORS, PROBED
from clerk_sync.doctor.findings import Finding, Severity, error, fine, warning

OURS = ("clerk_sync.", "manageros.")


def examine_settings() -> Iterator[Finding]:
    """The checks that stop the site at start-up, by their ids."""
    messages = [message for message in checks.run_checks() if str(message.id).startswith(OURS)]
    for message in messages:
        if not message.is_silenced():
            severity = Severity.ERROR if message.level >= checks.ERROR else Severity.WARNING
            yield Finding(str(message.id), severity, str(message.msg), str(message.hint))
    if not messages:
        yield fine("settings", "All settings are there and well-formed.")


def examine_database() -> Iterator[Finding]:
    try:
        executor = MigrationExecutor(connection)
        missing = executor.migration_plan(executor.loader.graph.leaf_nodes())
    except DatabaseError as problem:
        fix = "Is the server of DATABASE_URL running, and reachable from here? Are user, password and name right?"
        yield error("database-unreachable", f"The database does not answer: {type(problem).__name__}.", fix)
        return
    if missing:
        text = f"{len(missing)} migrations were not applied."
        yield error("migrations-missing", text, "Run `python manage.py migrate`.")
    else:
        yield fine("database", "The database answers, and its migrations are applied.")


def examine_cache() -> Iterator[Finding]:
    """Whether it answers, and keeps what it was told: a session lives on whose revocation was evicted."""
    try:
        cache.set(PROBED, True, 60)  # one that is full answers, and takes no announcement
        policy = eviction_policy()
    except CACHE_ERRORS as problem:
        text = f"The cache does not answer ({type(problem).__name__}), so that every request asks the database."
        yield error("cache-unreachable", text, "Is the server of CACHE_URL running, and reachable from here?")
        return
    if policy not in {"", "noeviction"}:
        yield warning(
            "cache-evicts",
            f"Redis drops entries when it is full ({policy}): revocations and changes would be forgotten.",
            "Start it with `--maxmemory-policy noeviction`, or give ManagerOS a Redis of its own.",
        )
        return
    yield fine("cache", "The cache answers.")


def eviction_policy() -> str:
    """Redis's own word; empty where the cache is another, or where Redis does not tell (managed ones may not)."""
    location = settings.CACHES["default"].get("LOCATION", "")
    if not isinstance(location, str) or not location.startswith(("redis://", "rediss://", "unix://")):
        return ""
    with redis.from_url(location, socket_connect_timeout=2, socket_timeout=2) as client:
        try:
            answer = client.config_get("maxmemory-policy")
        except redis.ResponseError:
            return ""
    return str(answer.get("maxmemory-policy", ""))
