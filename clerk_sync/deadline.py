"""An end to waiting for a database server that is there and says nothing.

`lock_timeout` and `statement_timeout` are kept by the server, so one that hangs keeps neither, and psycopg waits for
its answer without end.
"""

import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Timer
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections

logger = logging.getLogger(__name__)


@contextmanager
def database_deadline(seconds: float) -> Iterator[None]:
    """Cut this thread's connection off after so many seconds: what waits for it then raises OperationalError.

    For PostgreSQL. SQLite is no server, and has a time-out of its own for its locks.
    """
    wrapper = connections[DEFAULT_DB_ALIAS]
    if wrapper.vendor != "postgresql":
        yield
        return
    timer = Timer(seconds, _cut_off, [wrapper])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _cut_off(wrapper: Any) -> None:
    connection = wrapper.connection
    if connection is None or connection.closed:
        return
    logger.error("The database did not answer in time: its connection is given up.")
    # A copy of the descriptor, so that closing it here leaves the driver's own as it is.
    with socket.socket(fileno=os.dup(connection.fileno())) as same:
        same.shutdown(socket.SHUT_RDWR)
