"""Nothing but what was signed gets in: every mutation of a signed message is refused, and none is an error."""

import random
import time
from collections import Counter
from collections.abc import Callable

import pytest
from django.http import HttpResponse
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from accounts.models import User
from clerk_sync.models import DeletedClerkUser, EndedSession, WebhookEvent
from tests.clerk_sync.payloads import EXAMPLES, published
from tests.instance import signed_webhook
from tests.length import at_length

pytestmark = [pytest.mark.prove, pytest.mark.django_db]

MESSAGES = at_length(500, 50_000)
OTHER_SECRET = "whsec_YW5vdGhlci1zZWNyZXQtb2Ytc29tZWJvZHktZWxzZQ"
HEADERS = ("svix-id", "svix-timestamp", "svix-signature")
# What an HTTP server hands on in a header: printable ASCII and Latin-1, no line ends.
HEADER_CHARACTERS = "".join(map(chr, [*range(0x20, 0x7F), *range(0xA0, 0x100)]))

Message = tuple[bytes, dict[str, str]]
Mutation = Callable[[random.Random, bytes, dict[str, str]], Message]


def flip_bits(source: random.Random, body: bytes, headers: dict[str, str]) -> Message:
    changed = bytearray(body)
    for _ in range(source.randint(1, 8)):
        changed[source.randrange(len(changed))] ^= 1 << source.randrange(8)
    return bytes(changed), headers


def cut_or_insert(source: random.Random, body: bytes, headers: dict[str, str]) -> Message:
    start, end = sorted(source.choices(range(len(body) + 1), k=2))
    inserted = source.choice([b"", b" ", b"\x00", b"\xff", b"\n", b"{", b"}", body[start:end] * 2])
    return body[:start] + inserted + body[end:], headers


def change_a_header(source: random.Random, body: bytes, headers: dict[str, str]) -> Message:
    name = source.choice(HEADERS)
    value = headers[name]
    start, end = sorted(source.choices(range(len(value) + 1), k=2))
    inserted = "".join(source.choices(HEADER_CHARACTERS, k=source.randint(0, 4)))
    # Space round a value is no part of it (RFC 9110, 5.5): servers take it off.
    return body, headers | {name: (value[:start] + inserted + value[end:]).strip(" ")}


def drop_or_rename_headers(source: random.Random, body: bytes, headers: dict[str, str]) -> Message:
    gone = source.sample(HEADERS, k=source.randint(1, 3))
    kept = {name: value for name, value in headers.items() if name not in gone}
    renamed = {name.replace("svix", source.choice(["webhook", "svlx", "x-svix"])): headers[name] for name in gone[1:]}
    return body, kept | renamed


def sign_otherwise(source: random.Random, body: bytes, headers: dict[str, str]) -> Message:
    signature = headers["svix-signature"]
    changed = source.choice(
        [
            signature.replace("v1,", source.choice(["v2,", "v1a,", "V1,", "v1", "", "v1;", ",", "v1,,"])),
            signature[:-1],
            signature + source.choice("A=,"),
            signature.swapcase().replace("V1,", "v1,"),
            " ".join(["v1,"] * source.randint(1, 500)),
            f"v1,{'A' * source.randint(0, 4000)}",
            signed_webhook(body, svix_id=headers["svix-id"], secret=OTHER_SECRET)[1]["svix-signature"],
            signed_webhook(body + b" ", svix_id=headers["svix-id"])[1]["svix-signature"],
        ]
    )
    return body, headers | {"svix-signature": changed}


def send_at_another_time(source: random.Random, body: bytes, headers: dict[str, str]) -> Message:
    offsets = [source.uniform(-1e12, 1e12), source.uniform(-900, -301), source.uniform(301, 900), 0.5, 1, -1]
    time_then = time.time() + source.choice(offsets)
    changed = source.choice([f"{time_then:.0f}", f"{time_then}", f"{time_then:e}", f"{int(time_then):x}"])
    return body, headers | {"svix-timestamp": changed}


def swap_with_another_message(source: random.Random, body: bytes, headers: dict[str, str]) -> Message:
    other_body, other_headers = a_message(source)
    # Never body, id and signature together: that would be the other message, whole.
    names = {"svix-timestamp", source.choice(["svix-id", "svix-signature"])}
    if source.random() < 0.5:
        return other_body, headers | {name: other_headers[name] for name in source.sample(sorted(names), k=1)}
    return body, headers | {name: other_headers[name] for name in names}


MUTATIONS: list[Mutation] = [
    flip_bits,
    cut_or_insert,
    change_a_header,
    drop_or_rename_headers,
    sign_otherwise,
    send_at_another_time,
    swap_with_another_message,
]


def a_message(source: random.Random) -> Message:
    event = published(source.choice(sorted(EXAMPLES)))
    return signed_webhook(event, svix_id=f"msg_{source.randrange(10**9)}")


def post(client: Client, body: bytes, headers: dict[str, str]) -> HttpResponse:
    others = {name: value for name, value in headers.items() if name != "content-type"}
    return client.post("/webhooks/clerk/", data=body, content_type="application/json", headers=others)  # type: ignore[return-value]


def test_no_mutation_of_a_signed_message_gets_in(
    django_assert_num_queries: DjangoAssertNumQueries, record_property: Callable[[str, object], None]
) -> None:
    seed = random.randrange(2**32)
    source = random.Random(seed)
    client = Client()
    answers: Counter[int] = Counter()
    with django_assert_num_queries(0):
        while answers.total() < MESSAGES:
            original = a_message(source)
            mutated = source.choice(MUTATIONS)(source, *original)
            if mutated != original and mutated[0]:
                response = post(client, *mutated)
                assert response.status_code == 400, (seed, original, mutated, response.content)
                answers[response.status_code] += 1

    print(f"{answers.total()} mutations, all refused")
    for model in (User, WebhookEvent, EndedSession, DeletedClerkUser):
        assert not model.objects.exists()


def test_the_unmutated_messages_would_get_in() -> None:
    source = random.Random(1)

    assert {post(Client(), *a_message(source)).status_code for _ in range(20)} == {200}
