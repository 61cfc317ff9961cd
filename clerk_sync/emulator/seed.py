"""The demo's data: in the database organizations with their people and users, at the local Clerk the same users.

The two sides meet in the email address alone, as they would in an organization that begins to use Clerk: the first
sign-in links them. All names are invented.
"""

import hashlib
from dataclasses import dataclass

from django.db import transaction

from accounts.models import Membership, Organization, Person, Role, User
from clerk_sync.emulator import state

ADMIN_EMAIL, ADMIN_PASSWORD = "admin@example.com", "demo"


@dataclass(frozen=True)
class Entry:
    """Someone in an organization. `role` None: a person who never signs in. `works_here` False: active elsewhere."""

    name: str
    title: str
    manager: str | None = None
    role: Role | None = None
    works_here: bool = True


ORGANIZATIONS = {
    ("Harborlight Robotics", "harborlight"): [
        Entry("Marta Ellison", "VP Engineering", None, Role.OWNER),
        Entry("Tomas Grainger", "Engineering Manager, Platform", "Marta Ellison", Role.ADMIN),
        Entry("Ines Carvel", "Engineering Manager, Product", "Marta Ellison", Role.ADMIN),
        Entry("Rafe Dunmore", "Staff Engineer", "Tomas Grainger", Role.MEMBER),
        Entry("Lena Oakes", "Engineer", "Tomas Grainger", Role.MEMBER),
        Entry("Piotr Vance", "Engineer", "Tomas Grainger"),
        Entry("Yara Holt", "Senior Engineer", "Ines Carvel", Role.MEMBER),
        Entry("Odile Marsh", "Designer", "Ines Carvel"),
    ],
    ("Fernhill Studio", "fernhill"): [
        Entry("Gideon Pell", "Founder", None, Role.OWNER),
        Entry("Nora Wickes", "Engineering Manager", "Gideon Pell", Role.ADMIN),
        Entry("Silas Trent", "Engineer", "Nora Wickes", Role.MEMBER),
        Entry("Bea Lindgren", "Engineer", "Nora Wickes"),
        Entry("Tomas Grainger", "Adviser", "Gideon Pell", Role.MEMBER, works_here=False),
    ],
}
WITHOUT_ORGANIZATION = "Wren Abbott"
AT_CLERK_ALONE = "Juno Falk"


def email(name: str) -> str:
    return f"{name.lower().replace(' ', '.')}@example.com"


def seed_database() -> bool:
    """Fill an empty database; False where it holds an organization already, which is left as it is."""
    with transaction.atomic():
        if Organization.objects.exists():
            return False
        User.objects.create_superuser(ADMIN_EMAIL, ADMIN_PASSWORD, name="Demo administrator")
        User.objects.create_user(email(WITHOUT_ORGANIZATION), name=WITHOUT_ORGANIZATION)
        for (name, slug), entries in ORGANIZATIONS.items():
            seed_organization(Organization.objects.create(name=name, slug=slug), entries)
        return True


def seed_organization(organization: Organization, entries: list[Entry]) -> None:
    """`entries` name managers before their reports."""
    people: dict[str | None, Person] = {}
    for entry in entries:
        user = None
        if entry.role:
            user = User.objects.filter(email=email(entry.name)).first()
            user = user or User.objects.create_user(email(entry.name), name=entry.name)
            Membership.objects.create(user=user, organization=organization, role=entry.role, is_active=entry.works_here)
        people[entry.name] = Person.objects.create(
            organization=organization,
            user=user,
            name=entry.name,
            email=email(entry.name),
            title=entry.title,
            manager=people.get(entry.manager),
        )


def clerk_users(now: int) -> list[state.User]:
    """Everyone who can sign in, with the same ids in every run. `now` in milliseconds since 1970."""
    names = [entry.name for entries in ORGANIZATIONS.values() for entry in entries if entry.role]
    return [clerk_user(name, now) for name in dict.fromkeys([*names, WITHOUT_ORGANIZATION, AT_CLERK_ALONE])]


def clerk_user(name: str, now: int) -> state.User:
    mark = hashlib.sha256(name.encode()).hexdigest()[:26]
    address = state.EmailAddress(id=f"idn_2{mark}", address=email(name), created_at=now, updated_at=now)
    first_name, last_name = name.split(" ", 1)
    return state.User(
        id=f"user_2{mark}",
        first_name=first_name,
        last_name=last_name,
        emails=[address],
        primary_email_address_id=address.id,
        created_at=now,
        updated_at=now,
    )
