"""Keeps the figures of the last days in the database, written beside the requests and never by one."""

import atexit
import logging
import os
import threading
import time
from collections.abc import Mapping
from itertools import count

from django.db import Error as DatabaseError
from django.db import connection, transaction

from clerk_sync import tally
from clerk_sync.announcements import notice_whether_away
from clerk_sync.backlog import backlog
from clerk_sync.metrics import publish
from clerk_sync.models import Activity

logger = logging.getLogger(__name__)

# Seconds. Prometheus asks every 15 or so, and reaches one process of several; what the others counted is this old.
PUBLISH_EVERY = 5.0
# Of so many readings, one writes to the database: a statement or two a minute for each process of the site.
RECORD_EVERY = 12


def record_deliveries(results: Mapping[str, int], longest_wait: float) -> None:
    """What a run of deliveries came to, and the seconds that the latest of them had waited."""
    done = {result: count for result, count in results.items() if count}
    if done:
        Activity.objects.add(Activity.Figure.DELIVERY, done)
        Activity.objects.raise_to(Activity.Figure.LAG, round(longest_wait * 1000))


class Recorder:
    """Reads what this process counted, for as long as the process lives."""

    def __init__(self) -> None:
        self.recorded: dict[tally.Labels, int] = {}

    def start(self) -> None:
        """Begin in this process. A fork takes no threads along: the child begins anew."""
        threading.Thread(target=self.run, name="clerk-sync-recorder", daemon=True).start()

    def run(self) -> None:
        for turn in count(1):
            notice_whether_away()
            time.sleep(PUBLISH_EVERY)
            publish()
            if turn % RECORD_EVERY == 0:
                self.record()

    def finish(self) -> None:
        publish()
        self.record()

    def record(self) -> None:
        """Write what was counted since the last time. What cannot be written now is written next time."""
        totals = tally.fallbacks.totals()
        fallbacks = {reason: count for (reason,), count in tally.increase(totals, self.recorded).items()}
        try:
            with transaction.atomic():
                Activity.objects.add(Activity.Figure.FALLBACK, fallbacks)
                # Sampled here too, because a worker that does not run cannot tell how long a change waits for it.
                Activity.objects.raise_to(Activity.Figure.LAG, round(backlog().oldest_pending * 1000))
                Activity.objects.prune()
        except DatabaseError:
            logger.exception("The figures of the last minute could not be kept yet.")
        else:
            self.recorded = totals
        finally:
            connection.close()


def start_recording() -> None:
    """Begin in this process and in those that it forks. What was counted last is written when the process ends."""
    recorder = Recorder()
    recorder.start()
    os.register_at_fork(after_in_child=recorder.start)
    atexit.register(recorder.finish)
