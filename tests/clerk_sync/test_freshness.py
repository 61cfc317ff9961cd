"""Claims are believed only while nothing that they say has changed since they were assembled."""

import logging
from collections.abc import Callable
from uuid import uuid4

import pytest
from django.core.cache import cache
from django.db import transaction
from pytest_django import DjangoAssertNumQueries, Settings

from accounts.models import Membership, Organization, User
from clerk_sync import announcements, freshness
from clerk_sync.freshness import Freshness, Verdict
from clerk_sync.models import EndedSession, MetadataSync


@pytest.fixture(params=["in process", "redis"], autouse=True)
def _cache(request: pytest.FixtureRequest) -> None:
    """Everything here holds whichever cache it is."""
    if request.param == "redis":
        request.getfixturevalue("redis_cache")


ORGANIZATION = str(uuid4())
DELIVERED_AT = 1_700_000_000_500  # ms
ASSEMBLED_AT = 1_700_000_001  # s, the first whole second after it


def judged(sub: str = "user_1", organization_id: str | None = ORGANIZATION, at: int = ASSEMBLED_AT) -> Freshness:
    return freshness.judge(sub, session_id="sess_1", organization_id=organization_id, assembled_at=at)


def make_fresh(sub: str = "user_1", organization_id: str | None = ORGANIZATION) -> None:
    stamps = judged(sub, organization_id).stamps
    assert stamps is not None
    freshness.remember_fresh(sub, stamps, DELIVERED_AT)
    assert judged(sub, organization_id).verdict is Verdict.FRESH


def test_claims_of_which_nothing_changed_hold() -> None:
    assert judged().verdict is Verdict.FRESH


def test_changed_claims_are_stale_until_the_database_was_asked() -> None:
    freshness.announce_stale(["user_1"])
    assert judged().verdict is Verdict.STALE

    make_fresh()


def test_an_entry_that_the_cache_forgot_is_asked_for_again() -> None:
    freshness.announce_stale(["user_1"])
    make_fresh()

    cache.delete("clerk:fresh:user_1")

    assert judged().verdict is Verdict.STALE


def test_claims_assembled_before_the_delivery_or_in_its_second_are_stale() -> None:
    make_fresh()

    assert judged(at=1_700_000_000).verdict is Verdict.STALE
    assert judged(at=1_699_999_999).verdict is Verdict.STALE


def test_a_change_makes_the_claims_of_its_user_stale() -> None:
    make_fresh("user_1")
    make_fresh("user_2")

    freshness.announce_stale(["user_1"])

    assert judged("user_1").verdict is Verdict.STALE
    assert judged("user_2").verdict is Verdict.FRESH


def test_a_change_of_an_organization_makes_the_claims_that_name_it_stale() -> None:
    other = str(uuid4())
    make_fresh("user_1")
    make_fresh("user_2", other)
    make_fresh("user_3", None)

    freshness.announce_organization_stale(ORGANIZATION)

    assert judged("user_1").verdict is Verdict.STALE
    assert judged("user_2", other).verdict is Verdict.FRESH
    assert judged("user_3", None).verdict is Verdict.FRESH


def test_everyone_can_be_made_stale() -> None:
    make_fresh("user_1")
    make_fresh("user_2", None)

    freshness.announce_everyone_stale()

    assert judged("user_1").verdict is Verdict.STALE
    assert judged("user_2", None).verdict is Verdict.STALE


@pytest.mark.parametrize(
    "announce",
    [
        lambda: freshness.announce_stale(["user_1"]),
        lambda: freshness.announce_organization_stale(ORGANIZATION),
        freshness.announce_everyone_stale,
    ],
)
def test_an_answer_read_before_a_change_does_not_hide_the_change(announce: Callable[[], None]) -> None:
    stamps = judged().stamps
    assert stamps is not None

    announce()
    freshness.remember_fresh("user_1", stamps, DELIVERED_AT)

    assert judged().verdict is Verdict.STALE


def test_claims_of_an_organization_that_the_user_left_stay_stale() -> None:
    freshness.announce_stale(["user_1"])
    make_fresh()
    left = str(uuid4())

    assert judged(organization_id=left, at=ASSEMBLED_AT - 1).verdict is Verdict.STALE


def test_a_user_who_is_signed_out_is_out_until_readmitted() -> None:
    make_fresh()

    freshness.announce_signed_out("user_1")
    assert judged().verdict is Verdict.STALE  # and the database refuses them
    assert freshness.is_signed_out("user_1", None)

    freshness.announce_readmitted("user_1")
    assert judged().verdict is Verdict.STALE
    assert not freshness.is_signed_out("user_1", "sess_1")


def test_a_readmission_that_the_cache_lost_locks_nobody_out() -> None:
    freshness.announce_signed_out("user_1")
    make_fresh()
    assert judged().verdict is Verdict.FRESH

    freshness.announce_signed_out("user_1")
    assert judged().verdict is Verdict.STALE


@pytest.mark.django_db(transaction=True)
def test_an_ended_session_is_out_when_its_transaction_commits() -> None:
    make_fresh()

    with transaction.atomic():
        freshness.end_session("sess_1")
        freshness.end_session("sess_1")
        assert judged().verdict is Verdict.FRESH

    assert judged().verdict is Verdict.SIGNED_OUT
    assert freshness.is_signed_out("user_1", "sess_1")
    assert EndedSession.objects.get().session_id == "sess_1"


@pytest.mark.django_db(transaction=True)
def test_a_session_whose_end_was_rolled_back_goes_on() -> None:
    make_fresh()

    with transaction.atomic():
        freshness.end_session("sess_1")
        transaction.set_rollback(True)

    assert judged().verdict is Verdict.FRESH
    assert not EndedSession.objects.exists()


@pytest.fixture
def delivered() -> MetadataSync:
    user = User.objects.create(clerk_user_id="user_1")
    organization = Organization.objects.create(id=ORGANIZATION, name="Acme", slug="acme")
    Membership.objects.create(user=user, organization=organization, is_active=True)
    values = {"user": user, "state": MetadataSync.State.SYNCED, "claims_after": DELIVERED_AT}
    return MetadataSync.objects.update_or_create(clerk_user_id="user_1", defaults=values)[0]


@pytest.mark.django_db
def test_after_a_delivery_the_next_claims_are_fresh_without_a_query(
    delivered: MetadataSync, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    freshness.announce_stale(["user_1"])

    freshness.announce_delivered({"user_1": DELIVERED_AT})

    with django_assert_num_queries(0):
        assert judged().verdict is Verdict.FRESH
        assert judged(at=ASSEMBLED_AT - 1).verdict is Verdict.STALE


@pytest.mark.django_db
def test_a_delivery_that_a_newer_change_overtook_makes_nothing_fresh(delivered: MetadataSync) -> None:
    freshness.announce_stale(["user_1"])
    MetadataSync.objects.update(state=MetadataSync.State.PENDING)

    freshness.announce_delivered({"user_1": DELIVERED_AT})

    assert judged().verdict is Verdict.STALE


@pytest.mark.django_db
def test_an_inactive_user_is_not_made_fresh_by_a_delivery(delivered: MetadataSync) -> None:
    freshness.announce_stale(["user_1"])
    User.objects.update(is_active=False)

    freshness.announce_delivered({"user_1": DELIVERED_AT})

    assert judged().verdict is Verdict.STALE


@pytest.fixture
def dead_cache(settings: Settings, delivered: MetadataSync) -> None:
    """A Redis that nobody runs."""
    backend = {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": "redis://127.0.0.1:1"}
    settings.CACHES = {"default": backend}


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("dead_cache")
def test_a_cache_that_is_down_is_logged_and_raises_nothing(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "clerk_sync.announcements"):
        freshness.announce_stale(["user_1"])
        freshness.announce_organization_stale(ORGANIZATION)
        freshness.announce_everyone_stale()
        freshness.announce_delivered({"user_1": DELIVERED_AT})
        freshness.announce_signed_out("user_1")
        freshness.announce_readmitted("user_1")
        freshness.end_session("sess_1")
        assert judged() == Freshness(Verdict.STALE)
        assert not freshness.is_signed_out("user_1", "sess_1")

        announcements.announce_return()

    assert len(caplog.records) == 9
    assert not announcements.is_believed()


@pytest.mark.django_db
@pytest.mark.usefixtures("dead_cache")
def test_a_process_that_is_asked_nothing_notices_that_the_cache_is_away() -> None:
    announcements.notice_whether_away()

    assert not announcements.is_believed()
