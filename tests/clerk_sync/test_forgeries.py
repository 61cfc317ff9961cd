"""No token but the instance's own, as it made it, signs anybody in; and none makes an error."""

import random
import time
from collections.abc import Callable

import pytest
from django.test import Client
from hypothesis import HealthCheck, example, given, settings, strategies

from accounts.models import User
from clerk_sync import tokens
from clerk_sync.refusals import TokenRefused
from clerk_sync.tokens import Place
from tests.clerk_sync.forgeries import claiming, mutated, refused_tokens, signed
from tests.instance import ClerkInstance, claims_of, sign_in
from tests.length import at_length

pytestmark = pytest.mark.urls("tests.clerk_sync.site")

NAMES = [name for name, _ in refused_tokens(ClerkInstance())]
any_input = settings(
    max_examples=at_length(100, 5_000), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture(scope="module")
def corpus(clerk_instance: ClerkInstance) -> dict[str, str]:
    return dict(refused_tokens(clerk_instance))


def test_the_corpus_names_each_token_once(corpus: dict[str, str]) -> None:
    assert len(corpus) == len(NAMES) > 250


def accepted(token: str) -> bool:
    try:
        tokens.admit(tokens.verify(token), Place.COOKIE)
    except TokenRefused:
        return False
    return True


@pytest.mark.parametrize("name", NAMES)
def test_refused(clerk: ClerkInstance, corpus: dict[str, str], name: str) -> None:
    with pytest.raises(TokenRefused):
        tokens.admit(tokens.verify(corpus[name]), Place.COOKIE)


@pytest.mark.django_db
def test_no_token_of_the_corpus_is_an_error_or_opens_the_site(
    clerk: ClerkInstance, ada: User, client: Client, corpus: dict[str, str]
) -> None:
    for name, token in corpus.items():
        sign_in(client, token.encode().decode("latin-1"))  # as a server hands bytes to Django
        assert client.get("/private/").status_code == 401, name
        assert client.get("/api/me/").status_code == 401, name
        if token.isascii() and token == "".join(token.split()):
            response = client.get("/api/me/", headers={"Authorization": f"Bearer {token}"})
            assert response.status_code == 401, name


def test_the_token_that_all_of_them_vary_is_accepted(clerk: ClerkInstance) -> None:
    assert accepted(clerk.token())
    assert accepted(clerk.token(headers={"cat": None}))
    assert accepted(clerk.token(headers={"cat": "cl_I7d4PD111III"}))
    assert accepted(clerk.token(headers={"typ": None, "unknown": {"a": 1}}))
    assert accepted(clerk.token(sts=None, v=None, jti=None, fva=None, nbf=None, azp=None))
    assert accepted(clerk.token(claims={"name": "Zoë \u2603 😀", "nested": {"list": [1, [2, {"a": None}]]}}))


def test_claims_cannot_be_changed(clerk: ClerkInstance) -> None:
    payload = tokens.verify(clerk.token(claims={"metadata": {"list": [1, {"a": 1}]}})).payload
    changes: list[Callable[[], object]] = [
        lambda: payload.update(sub="user_2"),  # type: ignore[attr-defined]
        lambda: payload["metadata"].pop("list"),
        lambda: payload["metadata"].__setitem__("list", []),
        lambda: payload["metadata"]["list"][1].clear(),
        lambda: payload["metadata"].setdefault("b", 1),
        lambda: payload["metadata"].__ior__({"b": 1}),
        lambda: payload["metadata"].__delitem__("list"),
    ]
    for change in changes:
        with pytest.raises(TypeError):
            change()
    assert payload["metadata"] == {"list": (1, {"a": 1})}


@pytest.mark.prove
@any_input
@given(data=strategies.data())
def test_any_single_byte_changed_is_refused(clerk: ClerkInstance, data: strategies.DataObject) -> None:
    token = clerk.token().encode()
    at = data.draw(strategies.integers(0, len(token) - 1))
    byte = data.draw(strategies.integers(0, 255).filter(lambda value: value != token[at]))

    assert not accepted((token[:at] + bytes([byte]) + token[at + 1 :]).decode("latin-1"))


@pytest.mark.prove
@any_input
@given(token=strategies.text())
@example(token=".".join(["e30"] * 3))
def test_no_text_is_an_error(clerk: ClerkInstance, token: str) -> None:
    assert not accepted(token)


@pytest.mark.prove
@any_input
@given(header=strategies.binary(), payload=strategies.binary())
def test_nothing_signed_is_an_error(clerk: ClerkInstance, header: bytes, payload: bytes) -> None:
    assert not accepted(signed(clerk, header, payload))


json_values = strategies.recursive(
    strategies.none() | strategies.booleans() | strategies.integers() | strategies.floats() | strategies.text(),
    lambda children: strategies.lists(children) | strategies.dictionaries(strategies.text(), children),
    max_leaves=5,
)


@pytest.mark.prove
@any_input
@given(name=strategies.sampled_from(["exp", "iat", "nbf", "iss", "sub", "sid", "azp", "sts", "act"]), value=json_values)
def test_no_claim_of_a_wrong_type_is_an_error(clerk: ClerkInstance, name: str, value: object) -> None:
    accepted(claiming(clerk, name, value))


@pytest.mark.django_db
@pytest.mark.prove
@any_input
@given(
    claims=strategies.dictionaries(
        strategies.sampled_from(["managerOSUserId", "organizationId", "organizationName", "role", "metadata", "o"]),
        json_values,
    )
)
def test_no_claim_of_ours_is_an_error(
    clerk: ClerkInstance, ada: User, client: Client, claims: dict[str, object]
) -> None:
    template = dict.fromkeys(claims_of(ada))
    try:
        token = clerk.token(claims=template | claims)
    except UnicodeEncodeError:  # a text that cannot be a claim, and so cannot come in one
        return
    sign_in(client, token)

    assert client.get("/who/").status_code == 200


@pytest.mark.prove
@pytest.mark.django_db
def test_mutated_tokens_are_refused(clerk: ClerkInstance, ada: User, client: Client) -> None:
    """100,000 at full length: none accepted, and none an error, of which every tenth goes through the whole site."""
    tomorrow = int(time.time()) + 24 * 3600  # none may be refused for its age alone
    token, rng = clerk.token(exp=tomorrow, claims=claims_of(ada)), random.Random(1)
    assert accepted(token)
    for number in range(at_length(2_000, 100_000)):
        changed = mutated(token, rng)
        assert not accepted(changed), changed
        if number % 10 == 0:
            sign_in(client, changed.encode().decode("latin-1"))
            assert client.get("/private/").status_code == 401, changed
