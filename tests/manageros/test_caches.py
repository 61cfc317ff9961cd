"""The in-process cache behaves as Django's own, which it stands in for."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import time_machine
from django.core.cache.backends.base import BaseCache
from django.core.cache.backends.filebased import FileBasedCache
from django.core.cache.backends.locmem import LocMemCache

from manageros.caches import InProcessCache
from manageros.settings import cache as cache_config


@pytest.fixture(params=[InProcessCache, LocMemCache])
def cache(request: pytest.FixtureRequest) -> Iterator[BaseCache]:
    made: BaseCache = request.param("tests", {"OPTIONS": {"MAX_ENTRIES": 1000}})
    yield made
    made.clear()


def test_values_come_back_and_expire(cache: BaseCache) -> None:
    cache.set("kept", "for ever", timeout=None)
    cache.set("short", (("a", "b"), 7), timeout=10)
    assert cache.get_many(["kept", "short", "absent"]) == {"kept": "for ever", "short": (("a", "b"), 7)}

    with time_machine.travel(time.time() + 11):
        assert cache.get_many(["kept", "short"]) == {"kept": "for ever"}
        assert cache.get("short", "gone") == "gone"
        assert cache.add("short", "again") is True


def test_nobody_shares_a_value_with_the_cache(cache: BaseCache) -> None:
    value = ["a"]
    cache.set("list", value)
    value.append("b")
    cache.get("list").append("c")

    assert cache.get("list") == ["a"]


def test_each_operation_answers_as_djangos(cache: BaseCache) -> None:
    assert cache.add("key", 1) is True
    assert cache.add("key", 2) is False
    assert cache.incr("key", 5) == 6
    assert cache.touch("key", 100) is True
    assert cache.touch("absent") is False
    assert cache.has_key("key") is True
    assert cache.set_many({"a": 1, "b": None}) == []
    assert cache.get_many(["a", "b"]) == {"a": 1, "b": None}
    assert cache.get_or_set("c", lambda: 3) == 3
    assert cache.delete("key") is True
    assert cache.delete("key") is False
    with pytest.raises(ValueError, match="not found"):
        cache.incr("key")
    cache.set("gone", 1, timeout=0)
    assert cache.get("gone") is None
    assert cache.get("a", version=2) is None
    cache.clear()
    assert cache.get("a") is None


def test_it_stays_within_its_bound(cache: BaseCache) -> None:
    for number in range(3000):
        cache.set(str(number), number)

    assert len(cache.get_many([str(number) for number in range(3000)])) <= 1000
    assert cache.get("2999") == 2999


@pytest.mark.parametrize("backend", [InProcessCache, LocMemCache])
def test_every_threads_backend_is_the_same_cache(backend: type[InProcessCache] | type[LocMemCache]) -> None:
    backend("shared", {}).set("key", "value")

    assert backend("shared", {}).get("key") == "value"
    assert backend("another", {}).get("key") is None


def test_many_threads_count_to_the_same_number(cache: BaseCache) -> None:
    cache.set("count", 0)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda _: cache.incr("count"), range(2000)))

    assert cache.get("count") == 2000


def test_a_laptops_processes_share_a_folder(tmp_path: Path) -> None:
    config = cache_config(f"file://{tmp_path / 'cache'}")
    site, worker = (FileBasedCache(config["LOCATION"], {}) for _ in range(2))

    worker.set("key", "value")

    assert site.get_many(["key", "absent"]) == {"key": "value"}
