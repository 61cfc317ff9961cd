import pytest
from django.core.management import CommandError, call_command
from pytest_django import Settings

from accounts.models import Membership, Organization, Person, Role, User
from clerk_sync.emulator.seed import AT_CLERK_ALONE, WITHOUT_ORGANIZATION, clerk_users, email, seed_database


@pytest.mark.parametrize("command", ["local_clerk", "seed_demo"])
def test_commands_of_the_demo_refuse_to_run_outside_development(command: str, settings: Settings) -> None:
    settings.DEBUG = False
    with pytest.raises(CommandError, match="DJANGO_DEBUG=true"):
        call_command(command)


def test_local_clerk_refuses_the_key_of_a_live_instance(settings: Settings) -> None:
    settings.DEBUG = True
    settings.CLERK_PUBLISHABLE_KEY = "pk_live_Y2xlcmsuZXhhbXBsZS5jb20k"
    with pytest.raises(CommandError, match="live"):
        call_command("local_clerk")


@pytest.mark.django_db
def test_database_and_clerk_are_seeded_with_the_same_people() -> None:
    assert seed_database()
    at_clerk = {user.primary_email.address for user in clerk_users(0) if user.primary_email}
    here = set(User.objects.filter(is_staff=False).values_list("email", flat=True))
    assert at_clerk - here == {email(AT_CLERK_ALONE)}
    assert here <= at_clerk
    assert not User.objects.filter(clerk_user_id__isnull=False).exists()


@pytest.mark.django_db
def test_seed_has_two_organizations_with_a_reporting_line_and_every_role() -> None:
    assert seed_database()
    for organization in Organization.objects.all():
        assert set(organization.memberships.values_list("role", flat=True)) == set(Role)
        assert organization.people.filter(manager__isnull=True).count() == 1
        assert organization.people.filter(manager__manager__isnull=False).exists()
    assert Organization.objects.count() == 2
    assert Person.objects.count() >= 12
    assert not Membership.objects.filter(user__email=email(WITHOUT_ORGANIZATION)).exists()


@pytest.mark.django_db
def test_seeding_again_changes_nothing() -> None:
    assert seed_database()
    Organization.objects.filter(slug="fernhill").update(name="Renamed")
    assert not seed_database()
    assert Organization.objects.get(slug="fernhill").name == "Renamed"


def test_clerk_users_have_the_same_ids_in_every_run() -> None:
    assert [user.id for user in clerk_users(1)] == [user.id for user in clerk_users(2)]
