"""Whatever the order, the duplicates and the losses: in the end the local users are what Clerk's last word says.

Random histories of users at Clerk are delivered through the real view, really signed, shuffled, with duplicates and
with losses that are sent again later; on PostgreSQL sixteen at a time, beside provisioning of snapshots that are
already out of date. The rows are compared with the reference, and no row may ever change hands.
"""

import random
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Barrier
from typing import Any
from uuid import UUID

import pytest
from django.db import OperationalError, close_old_connections, connection, connections
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from accounts.models import Membership, Organization, User
from clerk_sync.mirror import mirror_user
from clerk_sync.models import DeletedClerkUser, MetadataSync, WebhookEvent
from tests.clerk_sync.test_webhook_events import deliver
from tests.clerk_sync.users_at_clerk import Clerk, UserAtClerk
from tests.length import at_length

pytestmark = [pytest.mark.prove, pytest.mark.django_db(transaction=True)]

EMAILS = ["ada@example.com", "ADA@Example.com", "bea@example.com", "cy@example.com", "staff@example.com"]
NAMES = ["Ada", "Bea", "", "N" * 300]
AT_A_TIME = 16
EXAMPLES = at_length(4, 130)
STEPS = at_length(30, 50)

Task = Callable[[], object]


class Counts:
    deliveries = 0
    failed = 0


class MirrorMachine(RuleBasedStateMachine):
    threads: ThreadPoolExecutor

    @initialize(seed=st.integers(0, 2**32))
    def begin(self, seed: int) -> None:
        begin_anew()
        self.random = random.Random(seed)
        self.clerk = Clerk()
        self.sent = 0
        self.outstanding: list[tuple[str, dict[str, Any]]] = []
        self.snapshots: list[dict[str, Any]] = []
        self.owners: dict[UUID, str] = {}
        self.deactivated_here: set[str] = set()
        self.staff = User.objects.create(email="staff@example.com", name="Staff", is_staff=True)
        User.objects.create(email="ada@example.com", name="Local Ada")
        self.organization = Organization.objects.create(name="Acme")

    # --- What happens at Clerk

    @rule(name=st.sampled_from(NAMES))
    def sign_up(self, name: str) -> None:
        self.clerk.sign_up(name)

    @precondition(lambda self: self.clerk.alive)
    @rule(data=st.data(), email=st.sampled_from([*EMAILS, None]), is_verified=st.booleans())
    def change_email(self, data: st.DataObject, email: str | None, is_verified: bool) -> None:
        self.clerk.set_email(self.somebody(data), email, is_verified=is_verified)

    @precondition(lambda self: self.clerk.alive)
    @rule(data=st.data(), name=st.sampled_from(NAMES))
    def rename(self, data: st.DataObject, name: str) -> None:
        self.clerk.change(self.somebody(data), first_name=name)

    @precondition(lambda self: self.clerk.alive)
    @rule(data=st.data(), flag=st.sampled_from(["banned", "locked"]), value=st.booleans())
    def bar_or_readmit(self, data: st.DataObject, flag: str, value: bool) -> None:
        self.clerk.change(self.somebody(data), **{flag: value})

    @precondition(lambda self: self.clerk.alive)
    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        self.clerk.delete(self.somebody(data))

    @precondition(lambda self: self.clerk.alive)
    @rule(data=st.data())
    def fetch(self, data: st.DataObject) -> None:
        """A request asks Clerk for the user, and will be slow to make use of the answer."""
        self.snapshots.append(self.clerk.payload(self.somebody(data)))

    # --- What happens here

    @precondition(lambda self: self.clerk.alive)
    @rule(data=st.data())
    def deactivate_here(self, data: st.DataObject) -> None:
        user = self.somebody(data)
        if User.objects.filter(clerk_user_id=user.id, is_active=True).update(is_active=False):
            self.deactivated_here.add(user.id)

    @precondition(lambda self: self.clerk.alive)
    @rule(data=st.data())
    def join(self, data: st.DataObject) -> None:
        row = User.objects.filter(clerk_user_id=self.somebody(data).id).first()
        if row:
            Membership.objects.get_or_create(user=row, organization=self.organization, defaults={"role": "owner"})

    @rule(changes=st.integers(5, 40))
    def live_through_a_busy_day(self, changes: int) -> None:
        for _ in range(changes):
            if not self.clerk.alive or self.random.random() < 0.2:
                self.clerk.sign_up(self.random.choice(NAMES))
                continue
            user = self.random.choice(self.clerk.alive)
            match self.random.randrange(5):
                case 0:
                    self.clerk.change(user, first_name=self.random.choice(NAMES))
                case 1 | 2:
                    self.clerk.set_email(user, self.random.choice([*EMAILS, None]))
                case 3:
                    self.clerk.change(user, banned=not user.banned)
                case 4 if len(self.clerk.alive) > 3:
                    self.clerk.delete(user)

    @rule(share=st.floats(0, 1), duplicates=st.integers(0, 3))
    def deliver_some(self, share: float, duplicates: int) -> None:
        """Each event of the share comes once or more; the others are lost, and come with a later delivery."""
        self.collect()
        now = [message for message in self.outstanding if self.random.random() < share]
        self.outstanding = [message for message in self.outstanding if message not in now]
        copies = self.random.choices(now, k=min(duplicates * 4, len(now) * 3)) if now else []
        self.run([*now, *copies])

    @invariant()
    def no_row_ever_changes_hands(self) -> None:
        if not hasattr(self, "owners"):
            return
        for primary_key, clerk_user_id in User.objects.exclude(clerk_user_id=None).values_list("pk", "clerk_user_id"):
            assert self.owners.setdefault(primary_key, clerk_user_id) == clerk_user_id
        self.staff.refresh_from_db()
        assert (self.staff.clerk_user_id, self.staff.email) == (None, "staff@example.com")

    def teardown(self) -> None:
        if not hasattr(self, "owners"):
            return
        self.collect()
        # Everything that never came, and then every tenth message once more, as a replay from the dashboard would.
        self.run(self.outstanding)
        self.run(self.random.sample(self.all_messages(), k=len(self.clerk.events) // 10))
        self.no_row_ever_changes_hands()
        self.compare()

    # --- How

    def somebody(self, data: st.DataObject) -> UserAtClerk:
        return data.draw(st.sampled_from(self.clerk.alive))

    def all_messages(self) -> list[tuple[str, dict[str, Any]]]:
        return [(f"msg_{number}", body) for number, body in enumerate(self.clerk.events)]

    def collect(self) -> None:
        self.outstanding += self.all_messages()[self.sent :]
        self.sent = len(self.clerk.events)

    def run(self, messages: list[tuple[str, dict[str, Any]]]) -> None:
        tasks: list[Task] = [partial(self.deliver, svix_id, body) for svix_id, body in messages]
        tasks += [partial(self.pull, snapshot) for snapshot in self.snapshots]
        self.snapshots = []
        self.random.shuffle(tasks)
        if connection.vendor == "postgresql":
            for done in [self.threads.submit(task) for task in tasks]:
                done.result()
        else:
            for task in tasks:
                task()

    def deliver(self, svix_id: str, body: dict[str, Any]) -> None:
        for _ in range(5):
            close_old_connections()  # as every request does first; the test client alone does not
            status, answer = deliver(body, svix_id)
            Counts.deliveries += 1
            if status == 200:
                return
            # Too many were in its way for too long: it fails cleanly, and comes again, as Svix sends it again.
            assert (status, answer["code"]) in {(500, "failed"), (503, "database_away")}
            Counts.failed += 1
        raise AssertionError(f"{svix_id} failed five times")

    def pull(self, snapshot: dict[str, Any]) -> None:
        for attempt in range(5):
            close_old_connections()
            try:
                mirror_user(snapshot)
            except OperationalError:  # the same; whoever pulls runs the command again
                Counts.failed += 1
                if attempt == 4:
                    raise
            else:
                return

    def compare(self) -> None:
        rows = {row.clerk_user_id: row for row in User.objects.exclude(clerk_user_id=None)}
        for user in self.clerk.users.values():
            row = rows.pop(user.id, None)
            if user.deleted:
                # One whose deletion came first was never created.
                assert row is None or (row.is_active, row.email) == (False, None)
                continue
            assert row is not None
            is_active = not (user.banned or user.id in self.deactivated_here)
            # Staff keep their address, whoever has verified it at Clerk.
            email = user.verified_email if user.verified_email != "staff@example.com" else None
            assert (row.name, row.email, row.is_active) == (user.first_name[:200], email, is_active)
        assert not rows
        assert not Membership.objects.filter(user__clerk_updated_at=2**63 - 1).exists()
        assert WebhookEvent.objects.count() == len(self.clerk.events)
        assert not WebhookEvent.objects.filter(processed_at=None).exists()


def begin_anew() -> None:
    Membership.objects.all().delete_even_last_owners()
    for model in (Organization, User, MetadataSync, WebhookEvent, DeletedClerkUser):
        model.objects.all().delete()


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    barrier = Barrier(AT_A_TIME)

    def close(_: int) -> None:
        barrier.wait()  # so that each thread closes its own: an open one would keep the test database from going
        connections.close_all()

    with ThreadPoolExecutor(AT_A_TIME) as threads:
        yield threads
        list(threads.map(close, range(AT_A_TIME)))


def test_local_users_end_as_clerks_last_word_says(
    threads: ThreadPoolExecutor, capsys: pytest.CaptureFixture[str]
) -> None:
    MirrorMachine.threads = threads
    run_state_machine_as_test(
        MirrorMachine,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
    print(f"{Counts.deliveries} deliveries, {Counts.failed} of them failed and sent again")
    assert Counts.failed * 100 <= Counts.deliveries
    assert Counts.deliveries >= at_length(10, 10_000)
