"""Counts what requests do, at a cost that the path of every request can bear.

A Prometheus counter takes a lock, and a write to a shared file where a site has several processes: several times what
a dictionary does. So requests count here, and `clerk_sync.metrics` and `clerk_sync.activity` read from time to time.
"""

from collections import defaultdict, deque
from collections.abc import Mapping

# Durations that wait to be read. Without a reader the oldest are dropped.
KEPT_DURATIONS = 10_000


Labels = tuple[str, ...]


class Tally:
    """How often each combination of labels was counted since the process began."""

    def __init__(self) -> None:
        self._counts: defaultdict[Labels, int] = defaultdict(int)

    def count(self, *labels: str) -> None:
        # No lock: CPython switches threads at calls and jumps, and in this statement there are none.
        self._counts[labels] += 1

    def totals(self) -> dict[Labels, int]:
        return dict(self._counts)


def increase(totals: Mapping[Labels, int], earlier: Mapping[Labels, int]) -> dict[Labels, int]:
    """What was counted between two readings, without the labels that were not."""
    grown = {labels: total - earlier.get(labels, 0) for labels, total in totals.items()}
    return {labels: count for labels, count in grown.items() if count}


# What came of asking who a request is: "accepted", the code of the refusal, "handshake" or "unavailable".
tokens = Tally()
# Why the database was asked instead of the claims.
fallbacks = Tally()
# "fetched" or "failed".
jwks_fetches = Tally()
# The type, empty where the signature was not verified, because nobody else may name labels; and what came of it.
webhooks = Tally()
# Seconds that the verification of a token took which this process had not seen before.
verifications: deque[float] = deque(maxlen=KEPT_DURATIONS)
