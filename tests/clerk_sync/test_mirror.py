"""A local user becomes what Clerk's last word says."""

from datetime import UTC, datetime
from typing import Any

import pytest
from pytest_django import Settings

from accounts.models import Organization, Person, Role, User
from clerk_sync.clerk_user import MalformedPayloadError
from clerk_sync.mirror import Mirrored, Outcome, mirror_deleted_user, mirror_user
from tests.accounts.factories import a_member, a_person, a_user, an_organization
from tests.clerk_sync.payloads import NOW, clerk_user, email_address, published

pytestmark = pytest.mark.django_db


def the_user(clerk_user_id: str = "user_ada") -> User:
    user: User = User.objects.get(clerk_user_id=clerk_user_id)
    return user


def delete(clerk_user_id: str = "user_ada") -> Outcome:
    return mirror_deleted_user(clerk_user_id, datetime.now(UTC))


# --- What a payload says


def test_published_example_with_a_primary_id_and_no_addresses_makes_a_user_without_email() -> None:
    data = published("user.created")["data"]

    assert mirror_user(data).outcome == Outcome.CREATED

    user = the_user(data["id"])
    assert (user.email, user.name, user.is_active) == (None, "John Doe", True)
    assert not user.has_usable_password()


@pytest.mark.parametrize(
    ("addresses", "primary", "email"),
    [
        ([email_address("Ada@Example.com")], "idn_1", "ada@example.com"),
        ([email_address("a@example.com"), email_address("b@example.com", id="idn_2")], "idn_2", "b@example.com"),
        ([email_address("a@example.com", status="unverified")], "idn_1", None),
        ([email_address("a@example.com", status=None)], "idn_1", None),
        ([email_address("a@example.com")], None, None),
        ([email_address("a@example.com", id="idn_2")], "idn_1", None),
        ([email_address("x" * 300 + "@example.com")], "idn_1", None),
        ([{"id": "idn_1"}, "no address"], "idn_1", None),
        (None, "idn_1", None),
    ],
)
def test_email_is_the_verified_primary_one(addresses: Any, primary: str | None, email: str | None) -> None:
    mirror_user(clerk_user(email_addresses=addresses, primary_email_address_id=primary))

    assert the_user().email == email


@pytest.mark.parametrize(
    ("first", "last", "name"),
    [
        ("Ada", "Example", "Ada Example"),
        (None, "Example", "Example"),
        ("Ada", None, "Ada"),
        (None, None, ""),
        (" ", "", ""),
        ("A" * 300, "B" * 300, "A" * 200),
        ("A\x00da", "\ud800", "Ada"),
    ],
)
def test_name_is_first_and_last_name_cut_to_what_fits(first: Any, last: Any, name: str) -> None:
    mirror_user(clerk_user(first_name=first, last_name=last))

    assert the_user().name == name


@pytest.mark.parametrize(
    "fields",
    [{"updated_at": None}, {"updated_at": "1716883500000"}, {"updated_at": 2**63}, {"id": None}, {"id": "x" * 65}],
)
def test_payload_without_an_id_or_a_time_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(MalformedPayloadError):
        mirror_user(clerk_user() | fields)

    assert not User.objects.exists()


# --- Order


def test_later_word_replaces_an_earlier_one_and_not_the_other_way_round() -> None:
    mirror_user(clerk_user(email="new@example.com", first_name="New", updated_at=NOW))

    assert mirror_user(clerk_user(email="old@example.com", first_name="Old", updated_at=NOW - 1)).outcome == "stale"
    assert the_user().email == "new@example.com"

    assert mirror_user(clerk_user(email="newer@example.com", updated_at=NOW + 1)).outcome == "updated"
    assert the_user().email == "newer@example.com"


def test_same_word_again_changes_nothing() -> None:
    first = mirror_user(clerk_user(email="a@example.com"))

    assert mirror_user(clerk_user(email="a@example.com")) == Mirrored(Outcome.UNCHANGED, first.user_id)


def test_ban_that_did_not_move_the_time_is_not_missed() -> None:
    mirror_user(clerk_user())

    mirror_user(clerk_user(banned=True))

    assert not the_user().is_active


def test_deleted_user_is_never_resurrected() -> None:
    mirror_user(clerk_user())
    delete()

    assert mirror_user(clerk_user(updated_at=NOW + 10**9)).outcome == "stale"
    assert not the_user().is_active


def test_deletion_that_comes_first_leaves_nothing_to_create() -> None:
    delete()

    assert mirror_user(clerk_user()) == Mirrored(Outcome.STALE, None)
    assert not User.objects.exists()


def test_tombstone_outlives_the_row() -> None:
    mirror_user(clerk_user())
    delete()
    the_user().delete()

    assert mirror_user(clerk_user(updated_at=NOW + 1)) == Mirrored(Outcome.STALE, None)
    assert not User.objects.exists()


# --- Who is who


def test_verified_primary_email_links_the_row_that_has_no_clerk_id() -> None:
    local = a_user("Ada", clerk_user_id=None, email="ada@example.com")

    assert mirror_user(clerk_user("user_9", "ADA@example.com", first_name="Augusta")) == Mirrored(
        Outcome.LINKED, local.pk
    )

    linked = the_user("user_9")
    assert (linked.pk, linked.name, linked.clerk_updated_at) == (local.pk, "Augusta Doe Updated", NOW)


def test_linking_keeps_a_local_deactivation() -> None:
    a_user(clerk_user_id=None, email="ada@example.com", is_active=False)

    mirror_user(clerk_user(email="ada@example.com"))

    assert not the_user().is_active


def test_unverified_email_of_a_superuser_takes_nothing_over() -> None:
    root = User.objects.create_superuser("root@example.com", "secret")
    addresses = [email_address("root@example.com", status="unverified")]

    mirror_user(clerk_user(email_addresses=addresses, primary_email_address_id="idn_1"))

    root.refresh_from_db()
    assert root.clerk_user_id is None
    assert (the_user().email, the_user().is_superuser) == (None, False)


@pytest.mark.parametrize("staff", [{"is_staff": True}, {"is_superuser": True}])
def test_verified_email_of_staff_takes_nothing_over(staff: dict[str, Any]) -> None:
    root = a_user(clerk_user_id=None, email="root@example.com", **staff)

    mirror_user(clerk_user(email="root@example.com"))

    root.refresh_from_db()
    assert (root.clerk_user_id, root.email) == (None, "root@example.com")
    assert (the_user().email, the_user().is_staff, the_user().is_superuser) == (None, False, False)


def test_email_changed_to_that_of_staff_takes_nothing_over() -> None:
    root = a_user(clerk_user_id=None, email="root@example.com", is_staff=True)
    mirror_user(clerk_user(email="me@example.com"))

    mirror_user(clerk_user(email="root@example.com", updated_at=NOW + 1))

    root.refresh_from_db()
    assert (root.clerk_user_id, root.email) == (None, "root@example.com")
    assert the_user().email is None


def test_staff_are_linked_where_a_setting_says_so(settings: Settings) -> None:
    settings.CLERK_LINK_STAFF = True
    root = a_user(clerk_user_id=None, email="root@example.com", is_staff=True)

    assert mirror_user(clerk_user(email="root@example.com")) == Mirrored(Outcome.LINKED, root.pk)


def test_same_username_takes_nothing_over() -> None:
    root = a_user("root", clerk_user_id=None, email="root@example.com", is_superuser=True)

    mirror_user(clerk_user(username="root", first_name="root", last_name=None, email="other@example.com"))

    root.refresh_from_db()
    assert root.clerk_user_id is None
    assert the_user().pk != root.pk


def test_email_of_a_row_with_another_clerk_id_takes_no_row_over() -> None:
    mirror_user(clerk_user("user_old", "a@example.com"))
    victim = the_user("user_old")

    mirror_user(clerk_user("user_new", "a@example.com", updated_at=NOW + 1))

    victim.refresh_from_db()
    assert (victim.clerk_user_id, victim.email) == ("user_old", None)
    assert the_user("user_new").email == "a@example.com"


def test_someones_old_email_opens_nothing_of_theirs() -> None:
    mirror_user(clerk_user("user_ada", "old@example.com"))
    ada = the_user("user_ada")
    mirror_user(clerk_user("user_ada", "new@example.com", updated_at=NOW + 1))

    mirror_user(clerk_user("user_eve", "old@example.com", updated_at=NOW + 2))

    assert the_user("user_eve").pk != ada.pk
    assert the_user("user_ada").email == "new@example.com"


def test_email_of_a_deleted_user_gets_a_row_of_its_own() -> None:
    mirror_user(clerk_user("user_old", "a@example.com"))
    delete("user_old")

    mirror_user(clerk_user("user_new", "a@example.com"))

    assert the_user("user_new").pk != the_user("user_old").pk
    assert (the_user("user_new").email, the_user("user_old").email) == ("a@example.com", None)


def test_late_word_about_a_former_owner_does_not_take_the_email_back() -> None:
    mirror_user(clerk_user("user_new", "a@example.com", updated_at=NOW))

    mirror_user(clerk_user("user_old", "a@example.com", updated_at=NOW - 1))

    assert (the_user("user_new").email, the_user("user_old").email) == ("a@example.com", None)


def test_email_that_moves_between_known_users_ends_with_the_newer_owner() -> None:
    mirror_user(clerk_user("user_a", "a@example.com", updated_at=NOW))
    mirror_user(clerk_user("user_b", "b@example.com", updated_at=NOW))

    mirror_user(clerk_user("user_b", "A@example.com", updated_at=NOW + 2))

    assert (the_user("user_a").email, the_user("user_b").email) == (None, "a@example.com")


def test_emails_that_differ_by_case_alone_are_one() -> None:
    mirror_user(clerk_user("user_a", "Same@Example.com", updated_at=NOW))

    mirror_user(clerk_user("user_b", "sAME@example.com", updated_at=NOW + 1))

    assert (the_user("user_a").email, the_user("user_b").email) == (None, "same@example.com")


# --- Banned, locked, deleted, and back


@pytest.mark.parametrize("flag", ["banned", "deprovisioned"])
def test_user_whom_clerk_bars_is_inactive_until_clerk_readmits_them(flag: str) -> None:
    mirror_user(clerk_user())
    membership = a_member(an_organization(), user=the_user())

    mirror_user(clerk_user(updated_at=NOW + 1) | {flag: True})
    assert not the_user().is_active

    mirror_user(clerk_user(updated_at=NOW + 2) | {flag: False})
    assert the_user().is_active
    assert the_user().memberships.get() == membership


def test_locked_user_stays_signed_in_because_any_stranger_can_cause_it() -> None:
    mirror_user(clerk_user())

    mirror_user(clerk_user(updated_at=NOW + 1) | {"locked": True})

    assert the_user().is_active


def test_user_banned_before_the_first_word_is_created_inactive_and_readmitted_later() -> None:
    mirror_user(clerk_user(banned=True))
    assert not the_user().is_active

    mirror_user(clerk_user(updated_at=NOW + 1))
    assert the_user().is_active


def test_deactivation_made_here_outlasts_a_ban_at_clerk() -> None:
    mirror_user(clerk_user())
    User.objects.update(is_active=False)

    for step, banned in enumerate([True, False], 1):
        mirror_user(clerk_user(updated_at=NOW + step, banned=banned))

    assert not the_user().is_active


def test_deletion_ends_memberships_and_keeps_the_person_unlinked() -> None:
    mirror_user(clerk_user(email="a@example.com"))
    acme = an_organization()
    a_member(acme, user=the_user())
    a_person(acme, "Ada", user=the_user())

    assert delete() == "updated"

    user = the_user()
    assert (user.is_active, user.email, user.memberships.count()) == (False, None, 0)
    assert Person.objects.get().user is None


def test_deletion_of_the_last_owner_leaves_the_organization_without_one() -> None:
    mirror_user(clerk_user())
    acme = an_organization(owner=the_user())
    a_member(acme, Role.MEMBER)

    delete()

    assert list(Organization.objects.without_owner()) == [acme]


def test_deletion_again_changes_nothing() -> None:
    mirror_user(clerk_user())
    delete()

    assert delete() == "unchanged"
