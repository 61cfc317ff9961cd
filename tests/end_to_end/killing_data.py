"""Fills the database for the processes that are killed, and tells what Clerk should hold in the end.

python -m tests.end_to_end.killing_data seed CLERK_USER_ID...
python -m tests.end_to_end.killing_data desired
"""

import json
import sys

import django
from django.core.management import call_command


def seed(accounts: list[str]) -> None:
    """Organizations with people, members of one or two of them, and a few users without a Clerk account."""
    from accounts.models import Membership, Organization, Person, User

    call_command("migrate", verbosity=0)
    users = [User.objects.create(clerk_user_id=account) for account in accounts]
    users += [User.objects.create() for _ in range(5)]
    for number in range(4):
        organization = Organization.objects.create_with_owner(name=f"Organization {number}", owner=users[number])
        Person.objects.bulk_create(Person(organization=organization, name=f"Person {each}") for each in range(10))
        for user in users[4 + number :: 3]:
            Membership.objects.create(user=user, organization=organization)


def desired() -> dict[str, dict[str, str | None]]:
    from clerk_sync.metadata import NO_METADATA, desired_metadata
    from clerk_sync.models import MetadataSync

    rows = dict(MetadataSync.objects.values_list("pk", "user"))
    metadata = desired_metadata([user for user in rows.values() if user])
    return {pk: dict(metadata[user] if user else NO_METADATA) for pk, user in rows.items()}


if __name__ == "__main__":
    django.setup()
    if sys.argv[1] == "seed":
        seed(sys.argv[2:])
    else:
        sys.stdout.write(json.dumps(desired()))
