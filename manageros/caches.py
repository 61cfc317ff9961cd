"""The cache of a site that is one process: as Django's local-memory cache, with `get_many` made quick.

Every request reads a handful of keys at once. Django's backend takes its lock for each, checks each by memcached's
rules and unpickles each, which together costs several times what the whole of a request's identity should.
"""

import pickle
import threading
import time
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from django.core.cache.backends.base import DEFAULT_TIMEOUT, BaseCache, default_key_func

# What pickling would only copy; anything else is kept pickled, so that no two callers share one object.
IMMUTABLE = (str, int, float, bool, bytes, type(None))


class Store:
    """The entries of one cache: made key -> (when it expires, whether the value is pickled, the value)."""

    def __init__(self) -> None:
        self.entries: dict[str, tuple[float | None, bool, Any]] = {}
        self.lock = threading.RLock()


# By name: Django makes a backend for each thread, and all of them are one cache.
_stores: defaultdict[str, Store] = defaultdict(Store)


class InProcessCache(BaseCache):
    """Options as Django's; the oldest entries make room for new ones."""

    def __init__(self, name: str, params: dict[str, Any]) -> None:
        super().__init__(params)
        self._entries = _stores[name].entries
        self._lock = _stores[name].lock

    def get(self, key: str, default: Any = None, version: int | None = None) -> Any:
        return self.get_many([key], version).get(key, default)

    def get_many(self, keys: Iterable[str], version: int | None = None) -> dict[str, Any]:
        """Takes no lock: an entry is replaced whole."""
        found = {}
        now = time.time()
        quick = f"{self.key_prefix}:{version or self.version}:" if self.key_func is default_key_func else None
        for key in keys:
            entry = self._entries.get(self.make_key(key, version) if quick is None else quick + key)
            if entry is not None:
                expires, pickled, value = entry
                if expires is None or now < expires:
                    found[key] = pickle.loads(value) if pickled else value  # noqa: S301  what this process pickled
        return found

    def set(self, key: str, value: Any, timeout: float | None = DEFAULT_TIMEOUT, version: int | None = None) -> None:
        with self._lock:
            self._store(self.make_key(key, version), value, timeout)

    def add(self, key: str, value: Any, timeout: float | None = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        with self._lock:
            if self.get_many([key], version):
                return False
            self._store(self.make_key(key, version), value, timeout)
            return True

    def incr(self, key: str, delta: int = 1, version: int | None = None) -> int:
        made = self.make_key(key, version)
        with self._lock:
            if not (found := self.get_many([key], version)):
                raise ValueError(f"Key {key!r} not found")
            value: int = found[key] + delta
            self._entries[made] = (self._entries[made][0], False, value)
            return value

    def touch(self, key: str, timeout: float | None = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        with self._lock:
            if not (found := self.get_many([key], version)):
                return False
            self._store(self.make_key(key, version), found[key], timeout)
            return True

    def delete(self, key: str, version: int | None = None) -> bool:
        with self._lock:
            return self._entries.pop(self.make_key(key, version), None) is not None

    def clear(self) -> None:
        with self._lock:
            self._entries.clear()

    def _store(self, made_key: str, value: Any, timeout: float | None) -> None:
        pickled = not isinstance(value, IMMUTABLE)
        kept = pickle.dumps(value, pickle.HIGHEST_PROTOCOL) if pickled else value
        self._entries.pop(made_key, None)
        while len(self._entries) >= self._max_entries:
            del self._entries[next(iter(self._entries))]
        self._entries[made_key] = (self.get_backend_timeout(timeout), pickled, kept)
