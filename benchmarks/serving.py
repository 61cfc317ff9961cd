"""The side of a site that is measured: it answers what its parent process sends, in Django's own handler.

Peers import it under their own interpreters, so it needs nothing but Python.
"""

import json
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any
from urllib.parse import unquote, urlsplit

Message = dict[str, Any]
Send = Callable[[Message], int]


def serve(send: Send, capture_queries: Callable[[], AbstractContextManager[Any]]) -> None:
    """For each line of messages from the parent process, answer what they took.

    `seconds` passed meanwhile, `processor` seconds did this process use, `queries` are those of a message sent alone.
    """
    for line in sys.stdin:
        messages = json.loads(line)
        queries = 0
        started, used = time.perf_counter(), time.process_time()
        if len(messages) == 1:
            with capture_queries() as captured:
                send_all(messages, send)
            queries = len(captured)
        else:
            send_all(messages, send)
        took = {"seconds": time.perf_counter() - started, "processor": time.process_time() - used, "queries": queries}
        json.dump(took, sys.stdout)
        sys.stdout.write("\n")
        sys.stdout.flush()


def send_all(messages: list[Message], send: Send) -> None:
    for message in messages:
        status = send(message)
        if status != 200:
            sys.exit(f"The view answered {status}.")


def postgresql(url: str) -> dict[str, Any]:
    """The database of this URL, as Django's settings have it."""
    parts = urlsplit(url)
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": parts.path.lstrip("/"),
        "USER": parts.username,
        "PASSWORD": parts.password or "",
        "HOST": unquote(parts.netloc.rpartition("@")[2].partition(":")[0]),
        "PORT": parts.port or "",
    }
