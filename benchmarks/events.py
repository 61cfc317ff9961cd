"""What is measured of a webhook view: signed events, sent through Django's own handler, in one process."""

import json
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

Send = Callable[[bytes, dict[str, str]], int]


def serve(send: Send, capture_queries: Callable[[], AbstractContextManager[Any]]) -> None:
    """For each line of messages from the parent process, answer the seconds that they took, and their queries."""
    for line in sys.stdin:
        messages = json.loads(line)
        queries = 0
        started = time.perf_counter()
        if len(messages) == 1:
            with capture_queries() as captured:
                post(messages, send)
            queries = len(captured)
        else:
            post(messages, send)
        json.dump({"seconds": time.perf_counter() - started, "queries": queries}, sys.stdout)
        sys.stdout.write("\n")
        sys.stdout.flush()


def post(messages: list[dict[str, Any]], send: Send) -> None:
    for message in messages:
        status = send(message["body"].encode(), message["headers"])
        if status != 200:
            sys.exit(f"The view answered {status}.")
