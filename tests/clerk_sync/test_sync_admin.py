"""The metadata sync in the admin: filters, what Clerk holds beside what it should, and the actions."""

import json
from collections.abc import Iterator

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.utils import timezone
from django_tasks_db.models import DBTaskResult

from accounts.models import User
from clerk_sync.models import DeliveryState, MetadataSync
from clerk_sync.reconcile import verify_chosen
from tests.accounts.factories import a_user
from tests.clerk_sync.metadata_api import API, MetadataApi, metadata_api, refusal

pytestmark = pytest.mark.django_db
State = MetadataSync.State
SYNCS = "/admin/clerk_sync/metadatasync/"
USERS = "/admin/accounts/user/"


@pytest.fixture
def clerk_api() -> Iterator[MetadataApi]:
    with metadata_api() as api:
        yield api


@pytest.fixture
def admin_client() -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("admin@example.com", "password"))
    return client


@pytest.fixture
def ada() -> User:
    return a_user("Ada", clerk_user_id="user_ada")


def act(client: Client, address: str, action: str, *keys: object) -> str:
    chosen = {"action": action, "_selected_action": [str(key) for key in keys]}
    return client.post(address, chosen, follow=True).content.decode()


@pytest.mark.parametrize("state", State)
def test_the_list_is_filtered_by_state(admin_client: Client, state: State) -> None:
    for each in State:
        user = a_user(clerk_user_id=f"user_{each}")
        MetadataSync.objects.filter(user=user).update(state=each)

    page = admin_client.get(SYNCS, {"state": state.value}).content.decode()

    assert [each for each in State if f">user_{each}<" in page] == [state]


def test_paused_rows_are_those_that_wait_while_delivery_is_paused(admin_client: Client, ada: User) -> None:
    assert "user_ada" not in admin_client.get(SYNCS, {"state": "paused"}).content.decode()
    DeliveryState.objects.create(
        pause=DeliveryState.Pause.REFUSED, reason="Clerk answered 401", paused_until=timezone.now()
    )

    page = admin_client.get(SYNCS, {"state": "paused"}).content.decode()

    assert "user_ada" in page
    assert "Paused: Clerk refuses the secret key: Clerk answered 401" in page


def test_a_page_shows_what_clerk_holds_beside_what_it_should(
    admin_client: Client, ada: User, clerk_api: MetadataApi
) -> None:
    body = json.dumps({"public_metadata": {"managerOSUserId": "someone else's"}})
    clerk_api.mock.add("GET", f"{API}/users/user_ada", body=body)

    page = admin_client.get(f"{SYNCS}user_5Fada/change/").content.decode()

    assert str(ada.pk) in page
    assert "someone else&#x27;s" in page
    assert page.count("differs") == 1


def test_a_page_says_so_where_clerk_cannot_be_asked(admin_client: Client, ada: User, clerk_api: MetadataApi) -> None:
    clerk_api.mock.add("GET", f"{API}/users/user_ada", status=500)

    page = admin_client.get(f"{SYNCS}user_5Fada/change/").content.decode()

    assert "Clerk could not be asked: Clerk answered 500" in page


def test_a_few_are_synced_at_once(admin_client: Client, ada: User, clerk_api: MetadataApi) -> None:
    page = act(admin_client, SYNCS, "sync_now", "user_ada")

    assert "Clerk user user_ada: synced" in page
    assert clerk_api.calls == ["user_ada"]


def test_a_refusal_is_shown(admin_client: Client, ada: User, clerk_api: MetadataApi) -> None:
    clerk_api.next = [refusal(422)]

    assert "Clerk user user_ada: Clerk answered 422" in act(admin_client, SYNCS, "sync_now", "user_ada")


@pytest.mark.django_db(transaction=True)
def test_many_are_left_to_the_worker(admin_client: Client, clerk_api: MetadataApi) -> None:
    users = [a_user() for _ in range(6)]
    MetadataSync.objects.update(state=State.SYNCED)
    DBTaskResult.objects.all().delete()

    page = act(admin_client, SYNCS, "sync_now", *[user.clerk_user_id for user in users])

    assert "The worker syncs 6 users." in page
    assert clerk_api.calls == []
    assert MetadataSync.objects.filter(state=State.PENDING).count() == 6
    assert DBTaskResult.objects.exists()


def test_failed_ones_are_retried(admin_client: Client, ada: User) -> None:
    MetadataSync.objects.update(state=State.FAILED, error="gone")

    page = act(admin_client, SYNCS, "retry_failed", "user_ada")

    assert "1 queued again." in page
    assert MetadataSync.objects.get().state == State.PENDING


def test_a_preview_sends_nothing(admin_client: Client, ada: User, clerk_api: MetadataApi) -> None:
    page = act(admin_client, SYNCS, "preview", "user_ada")

    assert str(ada.pk) in page
    assert clerk_api.calls == []
    assert MetadataSync.objects.get().state == State.PENDING


def test_verifying_goes_to_the_worker(admin_client: Client, ada: User, clerk_api: MetadataApi) -> None:
    act(admin_client, SYNCS, "verify", "user_ada")

    assert DBTaskResult.objects.get(task_path="clerk_sync.reconcile.verify_chosen").args_kwargs["args"] == [
        ["user_ada"]
    ]
    MetadataSync.objects.update(state=State.SYNCED)
    users = json.dumps([{"id": "user_ada", "public_metadata": {"role": "owner"}, "updated_at": 1}])
    clerk_api.mock.add("GET", f"{API}/users", body=users)
    verify_chosen.call(["user_ada"])
    assert MetadataSync.objects.get().state == State.PENDING


def test_users_are_synced_from_their_own_list(admin_client: Client, ada: User, clerk_api: MetadataApi) -> None:
    staff = a_user(clerk_user_id=None)

    page = act(admin_client, USERS, "sync_metadata", ada.pk, staff.pk)

    assert "Clerk user user_ada: synced" in page
    assert "1 without a Clerk account were left out." in page
    assert clerk_api.metadata["user_ada"]["managerOSUserId"] == str(ada.pk)


def test_who_may_only_look_cannot_sync(ada: User, clerk_api: MetadataApi) -> None:
    looker = User.objects.create_user("looker@example.com", "password", is_staff=True)
    looker.user_permissions.set(Permission.objects.filter(codename__in=["view_metadatasync", "view_user"]))
    client = Client()
    client.force_login(looker)

    act(client, SYNCS, "sync_now", "user_ada")
    page = act(client, USERS, "sync_metadata", ada.pk)

    assert "You may not change metadata syncs." in page
    assert clerk_api.calls == []


def test_nothing_is_edited_by_hand(admin_client: Client, ada: User) -> None:
    assert admin_client.get(f"{SYNCS}add/").status_code == 403
    assert admin_client.post(f"{SYNCS}user_5Fada/change/", {"state": "synced"}).status_code == 403
    assert admin_client.post(f"{SYNCS}user_5Fada/delete/", {"post": "yes"}).status_code == 403
