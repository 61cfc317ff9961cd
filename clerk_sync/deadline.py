"""An end to waiting for a database server that is there and says nothing.

`lock_timeout` and `statement_timeout` are kept by the server, so one that hangs keeps neither, and psycopg waits for
its answer without end.
"""

import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Event, Lock, Thread
from typing import Any

import psycopg
from django.db import DEFAULT_DB_ALIAS, connections

logger = logging.getLogger(__name__)

# Seconds from one cut to the next: Django answers the loss of a connection that it was about to reuse with a new one.
AGAIN = 0.1


@contextmanager
def database_deadline(seconds: float) -> Iterator[None]:
    """From so many seconds on, cut off every connection of this thread: what waits for one raises OperationalError.

    One that is being made at that moment has its own `connect_timeout` on top. For PostgreSQL: SQLite is no server, and
    has a time-out of its own for its locks.
    """
    wrapper = connections[DEFAULT_DB_ALIAS]
    if wrapper.vendor != "postgresql":
        yield
        return
    deadline = _Deadline(wrapper)
    Thread(target=deadline.watch, args=(seconds,), name="database-deadline", daemon=True).start()
    try:
        yield
    finally:
        deadline.end()


class _Deadline:
    def __init__(self, wrapper: Any) -> None:
        self.wrapper = wrapper
        self.over = Event()
        self.lock = Lock()  # no cut happens once the block has ended: the thread's next request has the connection then

    def end(self) -> None:
        with self.lock:
            self.over.set()

    def watch(self, seconds: float) -> None:
        cuts = 0
        while not self.over.wait(AGAIN if cuts else seconds):
            with self.lock:
                if not self.over.is_set():
                    self.cut_off()
            cuts += 1
        if cuts:
            logger.error("The database did not answer in time: its connection was given up.")

    def cut_off(self) -> None:
        with suppress(OSError, psycopg.Error):  # closed meanwhile
            connection = self.wrapper.connection
            if connection is not None and not connection.closed:
                # A copy of the descriptor, so that closing it here leaves the driver's own as it is.
                with socket.socket(fileno=os.dup(connection.fileno())) as same:
                    same.shutdown(socket.SHUT_RDWR)
