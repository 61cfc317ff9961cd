"""Every way in which the ORM changes a value behind the claims marks whom it concerns, and nothing else does."""

from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django_tasks.backends.dummy import DummyBackend
from django_tasks_db.models import DBTaskResult
from pytest_django import DjangoCaptureOnCommitCallbacks, Settings

from accounts.models import Membership, Organization, Person, Role, User
from clerk_sync.models import MetadataSync, Priority
from tests.accounts.factories import a_member, a_person, a_user, an_organization

pytestmark = pytest.mark.django_db
State = MetadataSync.State


@pytest.fixture
def acme() -> Organization:
    return an_organization("Acme")


@pytest.fixture
def membership(acme: Organization) -> Membership:
    return a_member(acme)


@contextmanager
def marks(*users: User | None) -> Iterator[None]:
    """Exactly these users' syncs are marked inside."""
    MetadataSync.objects.update(state=State.SYNCED)
    yield
    marked = MetadataSync.objects.filter(state=State.PENDING)
    assert set(marked.values_list("user", flat=True)) == {user.pk for user in users if user}


def test_a_user_with_a_clerk_account_gets_a_pending_sync() -> None:
    user = a_user(clerk_user_id="user_new")

    sync = MetadataSync.objects.get()

    assert (sync.clerk_user_id, sync.user, sync.state) == ("user_new", user, State.PENDING)


def test_staff_without_a_clerk_account_has_none() -> None:
    a_user(clerk_user_id=None)

    assert not MetadataSync.objects.exists()


def test_linking_creates_the_sync() -> None:
    user = a_user(clerk_user_id=None)
    user.clerk_user_id = "user_linked"

    user.save(update_fields=["clerk_user_id"])

    assert MetadataSync.objects.get(pk="user_linked").user == user


def test_linking_through_update_creates_the_sync() -> None:
    user = a_user(clerk_user_id=None)

    User.objects.filter(pk=user.pk).update(clerk_user_id="user_linked")

    assert MetadataSync.objects.get(pk="user_linked").user == user


def test_bulk_created_users_get_theirs() -> None:
    users = User.objects.bulk_create(User(clerk_user_id=f"user_bulk{number}") for number in range(3))

    assert set(MetadataSync.objects.values_list("user", flat=True)) == {user.pk for user in users}


def test_relinking_leaves_a_pending_row_that_removes_our_keys() -> None:
    user = a_user(clerk_user_id="user_old")
    MetadataSync.objects.update(state=State.SYNCED)
    user.clerk_user_id = "user_new"

    user.save()

    rows = {sync.pk: (sync.user_id, sync.state) for sync in MetadataSync.objects.all()}
    assert rows == {"user_old": (None, State.PENDING), "user_new": (user.pk, State.PENDING)}


def test_an_account_that_was_unlinked_can_be_linked_to_someone_else() -> None:
    first = a_user(clerk_user_id="user_shared")
    first.clerk_user_id = None
    first.save()
    second = a_user(clerk_user_id=None)
    MetadataSync.objects.update(state=State.SYNCED)
    second.clerk_user_id = "user_shared"

    second.save()

    sync = MetadataSync.objects.get()
    assert (sync.user, sync.state) == (second, State.PENDING)


def test_deleting_a_user_leaves_a_pending_row_without_one(membership: Membership) -> None:
    MetadataSync.objects.update(state=State.SYNCED)
    clerk_user_id = membership.user.clerk_user_id

    membership.user.delete()

    sync = MetadataSync.objects.get(state=State.PENDING)
    assert (sync.pk, sync.user) == (clerk_user_id, None)


def test_deleting_users_by_queryset_leaves_their_rows_pending() -> None:
    users = [a_user(), a_user()]
    MetadataSync.objects.update(state=State.SYNCED)

    User.objects.filter(pk__in=[user.pk for user in users]).delete()

    assert MetadataSync.objects.filter(state=State.PENDING, user=None).count() == 2


def test_deactivating_a_user_marks_them() -> None:
    user = a_user()
    with marks(user):
        user.is_active = False
        user.save()


def test_a_new_active_membership_marks_its_user(acme: Organization) -> None:
    user = a_user()
    with marks(user):
        a_member(acme, user=user)


def test_a_new_membership_elsewhere_marks_nobody(membership: Membership) -> None:
    other = an_organization("Other")
    with marks():
        a_member(other, user=membership.user)


def test_a_role_change_marks_its_user(membership: Membership) -> None:
    with marks(membership.user):
        membership.role = Role.ADMIN
        membership.save(update_fields=["role"])


def test_a_role_change_elsewhere_marks_nobody(membership: Membership) -> None:
    elsewhere = a_member(an_organization("Other"), user=membership.user)
    with marks():
        elsewhere.role = Role.ADMIN
        elsewhere.save()
    with marks():
        Membership.objects.filter(pk=elsewhere.pk).update(role=Role.MEMBER)


def test_switching_the_organization_marks_its_user(membership: Membership) -> None:
    elsewhere = a_member(an_organization("Other"), user=membership.user)
    with marks(membership.user):
        elsewhere.activate()


def test_moving_a_membership_marks_both_users(membership: Membership) -> None:
    former, user = membership.user, a_user()
    with marks(former, user):
        membership.user = user
        membership.save()


def test_moving_memberships_by_update_marks_both_users(membership: Membership) -> None:
    former, user = membership.user, a_user()
    with marks(former, user):
        Membership.objects.filter(pk=membership.pk).update(user=user)


def test_ending_a_membership_marks_its_user(membership: Membership) -> None:
    with marks(membership.user):
        membership.delete()


def test_ending_memberships_by_queryset_marks_their_users(membership: Membership) -> None:
    with marks(membership.user):
        Membership.objects.filter(pk=membership.pk).delete()


def test_update_marks_those_whose_value_changes(acme: Organization) -> None:
    admin, member = a_member(acme, Role.ADMIN), a_member(acme)
    with marks(member.user):
        Membership.objects.filter(pk__in=[admin.pk, member.pk]).update(role=Role.ADMIN)


def test_bulk_update_marks_its_users(acme: Organization) -> None:
    members = [a_member(acme), a_member(acme)]
    for member in members:
        member.role = Role.ADMIN
    with marks(*[member.user for member in members]):
        Membership.objects.bulk_update(members, ["role"])


def test_an_upsert_marks_whom_its_rows_concerned_before_and_after(acme: Organization) -> None:
    former, latter = a_member(acme).user, a_member(acme).user
    person = a_person(acme, user=former)
    stays = a_person(acme, user=a_member(acme).user)

    with marks(former, latter):
        moved = Person(pk=person.pk, organization=acme, name=person.name, user=latter)
        Person.objects.bulk_create([moved], update_conflicts=True, update_fields=["user"], unique_fields=["id"])

    assert Person.objects.get(pk=person.pk).user == latter
    assert Person.objects.get(pk=stays.pk).user == stays.user


def test_an_upserted_role_marks_its_user(acme: Organization, membership: Membership) -> None:
    with marks(membership.user):
        Membership.objects.bulk_create(
            [Membership(user=membership.user, organization=acme, role=Role.ADMIN, is_active=True)],
            update_conflicts=True,
            update_fields=["role"],
            unique_fields=["user", "organization"],
        )

    assert Membership.objects.get(pk=membership.pk).role == Role.ADMIN


def test_bulk_created_memberships_mark_their_users(acme: Organization) -> None:
    users = [a_user(), a_user()]
    with marks(*users):
        Membership.objects.bulk_create(Membership(user=user, organization=acme) for user in users)


@pytest.mark.parametrize("changes", [{"name": "Acme 2"}, {"slug": "acme-2"}])
def test_renaming_an_organization_marks_who_works_in_it(membership: Membership, changes: dict[str, str]) -> None:
    organization = membership.organization
    owner = organization.memberships.get(role=Role.OWNER).user
    a_member(organization, user=a_member(an_organization("Other")).user)
    with marks(owner, membership.user):
        for name, value in changes.items():
            setattr(organization, name, value)
        organization.save()
    with marks():
        organization.save()
    with marks(owner, membership.user):
        Organization.objects.filter(pk=organization.pk).update(name="Acme 3")
    with marks():
        Organization.objects.filter(pk=organization.pk).update(name="Acme 3")


@pytest.mark.parametrize("by_queryset", [False, True])
def test_deleting_an_organization_marks_its_members_in_as_many_statements_for_each_number(
    by_queryset: bool,
) -> None:
    statements = []
    for number, members in (("few", 2), ("more", 12)):
        organization = an_organization(number)
        users = [a_member(organization).user for _ in range(members)]
        owner = organization.memberships.get(role=Role.OWNER).user
        with (
            CaptureQueriesContext(
                connection,
            ) as queries,
            marks(owner, *users),
        ):
            if by_queryset:
                Organization.objects.filter(pk=organization.pk).delete()
            else:
                organization.delete()
        statements.append(len(queries))
    assert statements[0] == statements[1]


def test_linking_a_person_marks_the_user(membership: Membership) -> None:
    person = a_person(membership.organization)
    with marks(membership.user):
        person.user = membership.user
        person.save()


def test_moving_a_person_between_users_marks_both(membership: Membership) -> None:
    former = a_member(membership.organization).user
    person = a_person(membership.organization, user=former)
    with marks(former, membership.user):
        Person.objects.filter(pk=person.pk).update(user=membership.user)
    with marks(former, membership.user):
        person.refresh_from_db()
        person.user = former
        person.save()


def test_deleting_a_person_marks_the_user(membership: Membership) -> None:
    person = a_person(membership.organization, user=membership.user)
    with marks(membership.user):
        person.delete()


def test_saving_what_feeds_no_claim_marks_nobody(membership: Membership) -> None:
    person = a_person(membership.organization, user=membership.user)
    with marks():
        person.title = "Engineer"
        person.save()
        membership.user.name = "Ada"
        membership.user.save()
        Person.objects.update(title="Manager")
        Person.objects.bulk_create([Person(organization=membership.organization, name="Eve")])


def test_a_partial_save_of_what_feeds_no_claim_reads_nothing_first(membership: Membership) -> None:
    person = a_person(membership.organization, user=membership.user)
    person.title = "Engineer"
    with CaptureQueriesContext(connection) as queries:
        person.save(update_fields=["title"])

    reads = [query["sql"] for query in queries if query["sql"].startswith("SELECT")]
    assert not [sql for sql in reads if "user_id" in sql or "metadatasync" in sql]


def test_loaddata_marks_what_it_changes(membership: Membership, tmp_path: Path) -> None:
    fixture = tmp_path / "organization.json"
    out = StringIO()
    call_command("dumpdata", "accounts.organization", stdout=out)
    fixture.write_text(out.getvalue().replace('"name": "Acme"', '"name": "Acme Ltd"'))
    owner = membership.organization.memberships.get(role=Role.OWNER).user
    with marks(owner, membership.user):
        call_command("loaddata", str(fixture), verbosity=0)


def test_everything_dumped_can_be_loaded_again(membership: Membership, tmp_path: Path) -> None:
    fixture = tmp_path / "all.json"
    call_command("dumpdata", "accounts", "clerk_sync", output=str(fixture))
    before = set(MetadataSync.objects.values_list("pk", "user"))
    Organization.objects.all().delete()
    User.objects.all().delete()
    MetadataSync.objects.all().delete()

    call_command("loaddata", str(fixture), verbosity=0)

    assert set(MetadataSync.objects.values_list("pk", "user")) == before


def test_a_rename_adds_three_statements_whatever_the_number_of_members(
    acme: Organization, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    def statements() -> list[str]:
        acme.name += "!"
        with CaptureQueriesContext(connection) as queries, django_capture_on_commit_callbacks(execute=True):
            acme.save()
        ours = ("clerk_sync_metadatasync", "deliver_pending", '"slug" FROM')
        return [query["sql"] for query in queries if any(name in query["sql"] for name in ours)]

    few = statements()
    for _ in range(30):
        a_member(acme)

    assert len(few) == len(statements()) == 3


@pytest.mark.postgresql
def test_marked_rows_stay_on_their_page_of_the_table() -> None:
    User.objects.bulk_create(User(clerk_user_id=f"user_{each}") for each in range(500))

    def pages() -> dict[str, str]:
        with connection.cursor() as cursor:
            cursor.execute("SELECT clerk_user_id, (ctid::text::point)[0] FROM clerk_sync_metadatasync")
            return dict(cursor.fetchall())

    before = pages()
    MetadataSync.objects.all().mark(Priority.BULK)

    assert sum(page == before[row] for row, page in pages().items()) > 400


@pytest.mark.postgresql
def test_a_mark_writes_to_no_index_that_nothing_reads() -> None:
    with connection.cursor() as cursor:
        indexes = connection.introspection.get_constraints(cursor, MetadataSync._meta.db_table)

    assert not [name for name in indexes if name.endswith("_like")]


def test_a_few_go_first_and_many_after_them(acme: Organization) -> None:
    members = [a_member(acme) for _ in range(30)]
    MetadataSync.objects.update(state=State.SYNCED)

    Membership.objects.filter(pk__in=[member.pk for member in members[1:]]).update(role=Role.ADMIN)
    Membership.objects.filter(pk=members[0].pk).update(role=Role.ADMIN)

    pending = MetadataSync.objects.filter(state=State.PENDING).order_by("priority")
    assert [sync.priority for sync in pending] == [Priority.OWN_CHANGE] + [Priority.BULK] * 29
    assert pending[0].user == members[0].user


def test_a_mark_raises_the_version_and_keeps_the_place_in_the_queue(membership: Membership) -> None:
    before = MetadataSync.objects.get(user=membership.user)

    membership.role = Role.ADMIN
    membership.save()

    after = MetadataSync.objects.get(user=membership.user)
    assert after.version == before.version + 1
    assert after.pending_since == before.pending_since


def test_a_change_that_rolls_back_leaves_no_pending_sync(membership: Membership) -> None:
    MetadataSync.objects.update(state=State.SYNCED)

    with transaction.atomic():
        membership.role = Role.ADMIN
        membership.save()
        transaction.set_rollback(True)

    assert not MetadataSync.objects.filter(state=State.PENDING).exists()


@pytest.mark.django_db(transaction=True)
def test_one_wake_up_for_each_transaction() -> None:
    acme = an_organization("Acme")
    DBTaskResult.objects.all().delete()

    with transaction.atomic():
        for _ in range(3):
            a_member(acme)
        acme.name = "Acme 2"
        acme.save()

    assert DBTaskResult.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_savepoint_that_rolls_back_takes_only_its_own_wake_up() -> None:
    acme = an_organization("Acme")
    DBTaskResult.objects.all().delete()

    with transaction.atomic():
        with transaction.atomic():
            a_member(acme)
            transaction.set_rollback(True)
        a_member(acme)

    assert DBTaskResult.objects.count() == 1


class DeadQueue(DummyBackend):
    def enqueue(self, *args: Any, **kwargs: Any) -> Any:
        raise ConnectionError("The queue is down.")


@pytest.mark.django_db(transaction=True)
def test_a_queue_that_is_down_does_not_break_the_request(settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
    settings.TASKS = {"default": {"BACKEND": "tests.clerk_sync.test_marking.DeadQueue"}}

    user = a_user()

    assert MetadataSync.objects.get(user=user).state == State.PENDING
    assert "The queue is down." in caplog.text
