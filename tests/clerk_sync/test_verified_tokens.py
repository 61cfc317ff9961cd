"""A token that was verified is not verified again, and is no less judged for it."""

import os
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import time_machine
from django.test import Client
from pytest_django import Settings

from accounts.models import User
from clerk_sync import cookies, freshness, tokens
from clerk_sync.refusals import Reason, TokenRefused
from clerk_sync.session_claims import LEEWAY
from clerk_sync.tokens import MAX_CACHED, MAX_CACHED_BYTES, Verifier
from tests.instance import ClerkInstance, claims_of, sign_in


class CountedKeys:
    """The instance's key, and how often it was asked for: once for each token that is verified."""

    generation = 0

    def __init__(self, clerk: ClerkInstance) -> None:
        self.key = clerk.key.public_key()
        self.asked = 0

    def get(self, key_id: str) -> object:
        self.asked += 1
        return self.key


@pytest.fixture
def keys(clerk: ClerkInstance) -> CountedKeys:
    return CountedKeys(clerk)


@pytest.fixture
def verifier(clerk: ClerkInstance, keys: CountedKeys) -> Verifier:
    return Verifier(clerk.issuer, keys)  # type: ignore[arg-type]


def test_the_same_token_is_verified_once(clerk: ClerkInstance, keys: CountedKeys, verifier: Verifier) -> None:
    token = clerk.token()

    assert verifier.verify(token) is verifier.verify(token)
    assert keys.asked == 1


def test_a_token_is_not_believed_past_its_end(clerk: ClerkInstance, verifier: Verifier) -> None:
    now = int(time.time())
    token = clerk.token(exp=now + 60)
    with time_machine.travel(now + 60 + LEEWAY, tick=False):
        assert verifier.verify(token)
    with time_machine.travel(now + 61 + LEEWAY, tick=False), pytest.raises(TokenRefused) as refused:
        verifier.verify(token)

    assert refused.value.refusal.reason is Reason.TOKEN_EXPIRED


def test_a_refused_token_is_not_kept(clerk: ClerkInstance, keys: CountedKeys, verifier: Verifier) -> None:
    for _ in range(3):
        with pytest.raises(TokenRefused):
            verifier.verify(clerk.token(iss="https://another.test"))

    assert len(verifier._tokens) == 0


def test_what_is_kept_is_bounded(clerk: ClerkInstance, verifier: Verifier) -> None:
    claims = verifier.verify(clerk.token())
    for number in range(2 * MAX_CACHED):
        verifier._tokens.keep(f"token {number}", claims)
    assert len(verifier._tokens) == MAX_CACHED

    large = clerk.token(claims={"x": "x" * MAX_CACHED_BYTES})
    assert verifier.verify(large)
    assert verifier._tokens.get(large) is None


def test_what_cookies_came_to_is_forgotten_with_the_token(
    clerk: ClerkInstance, keys: CountedKeys, verifier: Verifier
) -> None:
    now = int(time.time())
    token = clerk.token(exp=now + 60)
    claims = verifier.verify(token)
    verifier.remember(f"__session={token}", token, claims)
    assert verifier.recall(f"__session={token}") is claims
    assert verifier.recall("__session=") is None

    # Within the leeway the token is good, and yet another may be chosen in its place.
    with time_machine.travel(now + 60, tick=False):
        assert verifier.verify(token) is claims
        assert verifier.recall(f"__session={token}") is None
    keys.generation += 1
    assert verifier.recall(f"__session={token}") is None
    verifier.remember(f"__session={token}", token, claims)  # by a request that began before the keys changed
    assert verifier.recall(f"__session={token}") is None


@pytest.mark.django_db
@pytest.mark.urls("tests.clerk_sync.site")
def test_the_choice_between_cookies_is_made_once(
    clerk: ClerkInstance, ada: User, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = clerk.token(claims=claims_of(ada))
    sign_in(client, token)
    assert client.get("/who/").json()["source"] == "session_claims"

    with monkeypatch.context() as patch:
        patch.delattr(cookies, "chosen_cookies")
        assert client.get("/who/").json()["source"] == "session_claims"
    sign_in(client, token, client_uat=0)
    assert client.get("/who/").json()["refusal"] == "session_incomplete"


def test_a_forked_process_starts_with_a_verifier_of_its_own(clerk: ClerkInstance) -> None:
    parents = tokens.site_verifier()

    child = os.fork()
    if child == 0:
        os._exit(tokens.site_verifier() is parents)

    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert tokens.site_verifier() is parents


def test_many_threads_share_what_is_kept(clerk: ClerkInstance, verifier: Verifier) -> None:
    many = [clerk.token(sub=f"user_{number % 50}", sid=f"sess_{number % 50}") for number in range(200)] * 10

    with ThreadPoolExecutor(16) as threads:
        found = list(threads.map(verifier.verify, many))

    assert [claims.clerk_user_id for claims in found] == [f"user_{number % 50}" for number in range(200)] * 10


@pytest.mark.django_db
@pytest.mark.urls("tests.clerk_sync.site")
def test_a_token_seen_before_is_out_with_its_session(clerk: ClerkInstance, ada: User, client: Client) -> None:
    sign_in(client, clerk.token(claims=claims_of(ada)))
    assert client.get("/who/").json()["source"] == "session_claims"

    freshness.remember_ended("sess_1")

    assert client.get("/who/").json()["refusal"] == "session_ended"


@pytest.mark.django_db
@pytest.mark.urls("tests.clerk_sync.site")
def test_a_token_seen_before_is_out_with_its_user(clerk: ClerkInstance, ada: User, client: Client) -> None:
    sign_in(client, clerk.token(claims=claims_of(ada)))
    assert client.get("/who/").json()["source"] == "session_claims"

    User.objects.update(is_active=False)
    freshness.announce_signed_out("user_1")

    assert client.get("/who/").json()["refusal"] == "user_inactive"


def test_another_instance_does_not_share_what_was_verified(clerk: ClerkInstance, settings: Settings) -> None:
    token = clerk.token()
    assert tokens.verify(token)

    settings.CLERK_JWT_KEY = ClerkInstance().public_pem

    with pytest.raises(TokenRefused):
        tokens.verify(token)
