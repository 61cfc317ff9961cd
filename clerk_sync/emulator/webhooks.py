"""Webhooks as Svix delivers them: signed, in parallel, and again after a failure with the same id."""

import heapq
import itertools
import json
import logging
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime

import requests
from svix.webhooks import Webhook

from clerk_sync.emulator.answers import Json
from clerk_sync.emulator.state import new_id

logger = logging.getLogger(__name__)

# Svix waits 5 s, 5 min, 30 min and longer (https://docs.svix.com/retries); nobody waits so long for a demo.
RETRIES_AFTER = (0.5, 2.0, 5.0, 10.0, 30.0, 60.0)  # seconds
TIMEOUT = 15.0  # seconds, as Svix's


@dataclass(kw_only=True)
class Delivery:
    """One event on its way to the endpoint. `answer` is the last status, or what went wrong instead."""

    type: str
    body: bytes
    id: str = field(default_factory=lambda: new_id("msg"))
    attempts: int = 0
    answer: int | str | None = None

    @property
    def delivered(self) -> bool:
        return isinstance(self.answer, int) and 200 <= self.answer < 300


class Webhooks:
    """Sends what is published to one endpoint, from threads of its own. With no endpoint it only remembers."""

    def __init__(
        self, *, endpoint: str | None, secret: str, instance_id: str, retries_after: tuple[float, ...] = RETRIES_AFTER
    ) -> None:
        self.endpoint = endpoint
        self.signature = Webhook(secret)
        self.instance_id = instance_id
        self.retries_after = retries_after
        self.log: deque[Delivery] = deque(maxlen=500)
        self.waiting: list[tuple[float, int, Delivery]] = []
        self.order = itertools.count()
        self.under_way = 0
        self.condition = threading.Condition()
        self.stopped = False
        self.threads: list[threading.Thread] = []

    def start(self, threads: int = 4) -> None:
        self.stopped = False
        self.threads = [threading.Thread(target=self.run, name="webhooks", daemon=True) for _ in range(threads)]
        for thread in self.threads:
            thread.start()

    def stop(self) -> None:
        with self.condition:
            self.stopped = True
            self.condition.notify_all()
        for thread in self.threads:
            thread.join()

    def publish(self, event_type: str, data: Json) -> None:
        event = {
            "data": data,
            "event_attributes": {"http_request": {"client_ip": "127.0.0.1", "user_agent": "Local Clerk"}},
            "instance_id": self.instance_id,
            "object": "event",
            "timestamp": int(time.time() * 1000),
            "type": event_type,
        }
        delivery = Delivery(type=event_type, body=json.dumps(event, separators=(",", ":")).encode())
        self.log.append(delivery)
        if self.endpoint:
            self.schedule(delivery, after=0.0)

    def replay(self, delivery: Delivery) -> None:
        """Once more under the same id, as Svix's dashboard does on request."""
        delivery.attempts = 0
        self.schedule(delivery, after=0.0)

    def schedule(self, delivery: Delivery, *, after: float) -> None:
        with self.condition:
            heapq.heappush(self.waiting, (time.monotonic() + after, next(self.order), delivery))
            self.condition.notify()

    def wait_until_idle(self, timeout: float) -> bool:
        """Whether nothing was left to send within `timeout` seconds; retries that are not due yet count."""
        with self.condition:
            return self.condition.wait_for(lambda: not self.waiting and not self.under_way, timeout)

    def run(self) -> None:
        with requests.Session() as http:
            while (delivery := self.next_due()) is not None:
                try:
                    self.attempt(http, delivery)
                finally:
                    with self.condition:
                        self.under_way -= 1
                        self.condition.notify_all()

    def next_due(self) -> Delivery | None:
        with self.condition:
            while not self.stopped:
                wait = self.waiting[0][0] - time.monotonic() if self.waiting else None
                if wait is not None and wait <= 0:
                    self.under_way += 1
                    return heapq.heappop(self.waiting)[2]
                self.condition.wait(wait)
            return None

    def attempt(self, http: requests.Session, delivery: Delivery) -> None:
        if self.endpoint is None:
            return
        at = datetime.now(UTC)
        headers = {
            "Content-Type": "application/json",
            "svix-id": delivery.id,
            "svix-timestamp": str(int(at.timestamp())),
            "svix-signature": self.signature.sign(delivery.id, at, delivery.body.decode()),
            "User-Agent": "Svix-Webhooks/1.0 (local Clerk)",
        }
        delivery.attempts += 1
        try:
            # A redirect counts as a failure, as with Svix.
            answer = http.post(
                self.endpoint, data=delivery.body, headers=headers, timeout=TIMEOUT, allow_redirects=False
            )
            delivery.answer = answer.status_code
        except requests.RequestException as error:
            delivery.answer = type(error).__name__
        if delivery.delivered:
            return
        if delivery.attempts <= len(self.retries_after):
            self.schedule(delivery, after=self.retries_after[delivery.attempts - 1])
        else:
            logger.warning("Webhook %s %s was given up: %s", delivery.type, delivery.id, delivery.answer)
