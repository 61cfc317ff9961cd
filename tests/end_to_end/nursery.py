"""A process that forks workers and writers on command, so that a round of killing does not wait for Django to load.

    python -m tests.end_to_end.nursery TROUBLES

It reads lines `worker`, `writer SEED CHANGES` and `settle` from standard input, and answers each with the child's pid.
What a child did not expect goes into the file TROUBLES.
"""

import os
import random
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import django
from django.db import Error as DatabaseError
from django.db import connection


def main(troubles: Path) -> None:
    django.setup()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel buries the children
    children: dict[str, Callable[..., None]] = {"worker": work, "writer": write, "settle": settle}
    for line in sys.stdin:
        name, *arguments = line.split()
        pid = os.fork()
        if pid == 0:
            run(children[name], [int(argument) for argument in arguments], troubles)
        sys.stdout.write(f"{pid}\n")
        sys.stdout.flush()


def run(child: Callable[..., None], arguments: list[int], troubles: Path) -> None:
    try:
        child(*arguments)
    except BaseException:  # noqa: BLE001  the outermost of the process: it records, and the test fails for it
        with troubles.open("a") as file:
            traceback.print_exc(file=file)
    finally:
        connection.close()
        os._exit(0)


def work() -> None:
    """Deliver until killed."""
    from clerk_sync.delivery import deliver

    while True:
        deliver(patience=0.1)
        time.sleep(0.02)


def settle() -> None:
    """Deliver until nothing is pending."""
    from clerk_sync.delivery import deliver
    from clerk_sync.models import MetadataSync

    while MetadataSync.objects.exclude(state="synced").exists():
        deliver(patience=10)


def write(seed: int, changes: int) -> None:
    """Make random changes of all kinds, each in a transaction. Writers collide, and may be refused by a rule."""
    from django.core.exceptions import ValidationError

    chance = random.Random(seed)
    for _ in range(changes):
        try:
            chance.choice(CHANGES)(chance)
        except (ValidationError, DatabaseError) as refusal:
            # Two writers may choose the same row: one finds it gone, already there, or locked in the other order.
            if isinstance(refusal, DatabaseError):
                connection.close()
        time.sleep(chance.uniform(0, 0.02))


def any_of(chance: random.Random, rows: Any) -> Any:
    keys = list(rows.order_by("pk").values_list("pk", flat=True))
    return rows.filter(pk=chance.choice(keys)).first() if keys else None


def change_role(chance: random.Random) -> None:
    from accounts.models import Membership, Role

    if membership := any_of(chance, Membership.objects.exclude(role=Role.OWNER)):
        membership.role = chance.choice([Role.MEMBER, Role.ADMIN])
        membership.save(update_fields=["role"])


def change_roles(chance: random.Random) -> None:
    from accounts.models import Membership, Organization, Role

    if organization := any_of(chance, Organization.objects.all()):
        members = Membership.objects.filter(organization=organization).exclude(role=Role.OWNER)
        members.update(role=chance.choice([Role.MEMBER, Role.ADMIN]))


def rename(chance: random.Random) -> None:
    from accounts.models import Organization

    if organization := any_of(chance, Organization.objects.all()):
        organization.name = f"Organization {chance.randrange(10**6)}"
        organization.save()


def rename_all(chance: random.Random) -> None:
    from accounts.models import Organization

    Organization.objects.update(name=f"Everywhere {chance.randrange(10**6)}")


def switch(chance: random.Random) -> None:
    from accounts.models import Membership

    if membership := any_of(chance, Membership.objects.filter(is_active=False)):
        try:
            membership.activate()
        except Membership.DoesNotExist:
            return  # ended by another writer


def join_or_leave(chance: random.Random) -> None:
    from accounts.models import Membership, Organization, Role, User

    if chance.random() < 0.5:
        user, organization = any_of(chance, User.objects.all()), any_of(chance, Organization.objects.all())
        Membership.objects.create(user=user, organization=organization)
    elif membership := any_of(chance, Membership.objects.exclude(role=Role.OWNER)):
        membership.delete()


def link_person(chance: random.Random) -> None:
    from accounts.models import Membership, Person

    if (membership := any_of(chance, Membership.objects.all())) and (person := any_of(chance, Person.objects.all())):
        person.user = membership.user if chance.random() < 0.7 else None
        person.organization = membership.organization if chance.random() < 0.2 else person.organization
        person.save()


def unlink_people(chance: random.Random) -> None:
    from accounts.models import Organization

    if organization := any_of(chance, Organization.objects.all()):
        organization.people.update(user=None)


def toggle_user(chance: random.Random) -> None:
    from accounts.models import User

    if user := any_of(chance, User.objects.all()):
        user.is_active = not user.is_active
        user.save(update_fields=["is_active"])


def relink_user(chance: random.Random) -> None:
    """Take a user's Clerk account away, and give it to another who has none."""
    from django.db import transaction

    from accounts.models import User

    giver = any_of(chance, User.objects.filter(clerk_user_id__isnull=False))
    taker = any_of(chance, User.objects.filter(clerk_user_id__isnull=True))
    if giver and taker:
        with transaction.atomic():
            account, giver.clerk_user_id = giver.clerk_user_id, None
            giver.save(update_fields=["clerk_user_id"])
            taker.clerk_user_id = account
            taker.save(update_fields=["clerk_user_id"])


CHANGES = [
    change_role, change_role, change_role, change_roles, rename, rename_all, switch, switch, join_or_leave,
    join_or_leave, link_person, link_person, unlink_people, toggle_user, relink_user,
]  # fmt: skip


if __name__ == "__main__":
    main(Path(sys.argv[1]))
