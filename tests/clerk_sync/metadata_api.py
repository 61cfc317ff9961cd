"""Clerk's metadata endpoint behind `responses`: it merges as Clerk does, and answers once what a test tells it to."""

import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import requests
import responses

API = "https://api.clerk.test/v1"
Answer = tuple[int, dict[str, str], str]


class MetadataApi:
    def __init__(self, mock: responses.RequestsMock) -> None:
        self.mock = mock
        self.metadata: dict[str, dict[str, Any]] = {}
        self.calls: list[str] = []
        self.next: list[Answer | Exception | Callable[[str], None]] = []
        self.always: dict[str, Answer] = {}
        self.clock = 1_700_000_000_000
        self.lock = threading.Lock()
        mock.add_callback("PATCH", re.compile(f"{API}/users/[^/]+/metadata"), self.patch)
        mock.add_callback("GET", f"{API}/users/count", self.count)

    def patch(self, request: requests.PreparedRequest) -> Answer:
        clerk_user_id = str(request.url).split("/")[-2]
        with self.lock:
            self.calls.append(clerk_user_id)
            planned = self.next.pop(0) if self.next else self.always.get(clerk_user_id)
        if isinstance(planned, Exception):
            raise planned
        if isinstance(planned, tuple):
            return planned
        if planned is not None:
            planned(clerk_user_id)
        with self.lock:
            self.clock += 1
            held = self.metadata.setdefault(clerk_user_id, {})
            held.update(json.loads(request.body or "")["public_metadata"])
            self.metadata[clerk_user_id] = {key: value for key, value in held.items() if value is not None}
            user = {"id": clerk_user_id, "public_metadata": self.metadata[clerk_user_id], "updated_at": self.clock}
        return 200, {}, json.dumps(user)

    def count(self, request: requests.PreparedRequest) -> Answer:
        with self.lock:
            self.calls.append("count")
            planned = self.next.pop(0) if self.next else None
        if isinstance(planned, Exception):
            raise planned
        return planned if isinstance(planned, tuple) else (200, {}, '{"total_count": 1}')


@contextmanager
def metadata_api() -> Iterator[MetadataApi]:
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        yield MetadataApi(mock)


def refusal(status: int, **headers: str) -> Answer:
    return status, headers, '{"errors": [{"code": "refused", "message": "refused", "long_message": "refused"}]}'
