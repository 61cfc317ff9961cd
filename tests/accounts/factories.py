"""Rows that tests start from, made by the same calls as everywhere else."""

from itertools import count

from accounts.models import Membership, Organization, Person, Role, User

numbers = count(1)


def a_user(name: str = "", **fields: object) -> User:
    number = next(numbers)
    defaults = {"clerk_user_id": f"user_{number}", "email": f"user{number}@example.com", "name": name}
    user: User = User.objects.create(**(defaults | fields))
    return user


def an_organization(name: str = "Acme", *, owner: User | None = None) -> Organization:
    return Organization.objects.create_with_owner(name=name, owner=owner or a_user(f"Owner of {name}"))


def a_member(organization: Organization, role: Role = Role.MEMBER, *, user: User | None = None) -> Membership:
    return Membership.objects.create(user=user or a_user(), organization=organization, role=role)


def a_person(organization: Organization, name: str = "Ada", **fields: object) -> Person:
    return Person.objects.create(organization=organization, name=name, **fields)
