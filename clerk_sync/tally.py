"""Counts what requests do, at a cost that the path of every request can bear.

A Prometheus counter takes a lock, and a write to a shared file where a site has several processes: several times what
a dictionary does. So requests count here, and `clerk_sync.metrics` and `clerk_sync.activity` read from time to time.
"""

from collections import defaultdict, deque
from collections.abc import Mapping

# Durations that wait to be read. Without a reader the oldest are dropped.
KEPT_DURATIONS = 10_000


class Tally:
    """How often each label was counted since the process began."""

    def __init__(self) -> None:
        self._counts: defaultdict[str, int] = defaultdict(int)

    def count(self, label: str) -> None:
        # No lock: CPython switches threads at calls and jumps, and in this statement there are none.
        self._counts[label] += 1

    def totals(self) -> dict[str, int]:
        return dict(self._counts)


def increase(totals: Mapping[str, int], earlier: Mapping[str, int]) -> dict[str, int]:
    """What was counted between two readings, without the labels that were not."""
    grown = {label: total - earlier.get(label, 0) for label, total in totals.items()}
    return {label: count for label, count in grown.items() if count}


# What came of the token of a request: "accepted", or the code of the refusal, or "unavailable".
tokens = Tally()
# Why the database was asked instead of the claims.
fallbacks = Tally()
# Seconds that the verification of a token took which this process had not seen before.
verifications: deque[float] = deque(maxlen=KEPT_DURATIONS)
