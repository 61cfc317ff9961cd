"""schemathesis against the site's own OpenAPI document: nothing is answered 500, and nothing undocumented."""

import subprocess
import time

import pytest
from pytest_django import Settings
from pytest_django.live_server_helper import LiveServer

from accounts.models import Role, User
from tests.accounts.factories import a_member, a_person, a_user, an_organization
from tests.clients.conftest import CLIENTS
from tests.instance import ClerkInstance
from tests.length import at_length

pytestmark = [pytest.mark.prove, pytest.mark.django_db(transaction=True)]

CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"


@pytest.fixture(params=["admin", "member", "stranger"])
def caller(request: pytest.FixtureRequest) -> User:
    acme = an_organization("Acme")
    for number in range(5):
        a_person(acme, f"Person {number}")
    if request.param == "stranger":
        return a_user()
    return a_member(acme, Role(request.param)).user


def test_api_answers_as_it_says_it_does(
    caller: User, live_server: LiveServer, clerk: ClerkInstance, settings: Settings
) -> None:
    settings.CLERK_AUTHORIZED_PARTIES = [live_server.url]
    settings.API_REQUESTS_PER_MINUTE = 10**6
    token = clerk.token(caller.clerk_user_id, azp=live_server.url, exp=int(time.time()) + 3600)
    command = [
        str(CLIENTS / "python" / "bin" / "schemathesis"),
        "run",
        f"{live_server.url}/api/schema/?format=json",
        f"--header=Authorization: Bearer {token}",
        f"--checks={CHECKS}",
        f"--max-examples={at_length(10, 200)}",
        f"--max-time={at_length(15, 600)}",
        "--request-timeout=30",
        "--no-color",
    ]

    run = subprocess.run(command, capture_output=True, text=True, check=False, cwd=CLIENTS)

    assert run.returncode == 0, run.stdout[-8000:] + run.stderr[-2000:]
    assert "Tested: " in run.stdout
    assert "Tested: 0" not in run.stdout
