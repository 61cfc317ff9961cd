"""Each write of a signed-in person leaves one line in the log."""

import logging

import pytest
from django.test import Client

from accounts.models import User
from tests.instance import ClerkInstance, claims_of, sign_in

pytestmark = pytest.mark.django_db


def test_address_with_a_line_break_cannot_forge_a_line(
    clerk: ClerkInstance, ada: User, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    sign_in(client, clerk.token(claims=claims_of(ada)))

    with caplog.at_level(logging.INFO, "clerk_sync.identification"):
        client.post("/nowhere/%0AERROR%20forged")

    (line,) = [record.getMessage() for record in caplog.records if record.name == "clerk_sync.identification"]
    assert line == "POST /nowhere/%0AERROR%20forged was answered with 404, for user_1."
