"""Which origins a token may have been made for, by scheme. `test_signed_out` has the hosts."""

import pytest
from pytest_django import Settings

from clerk_sync.tokens import is_authorized_party


@pytest.fixture(autouse=True)
def _no_parties_named(settings: Settings) -> None:
    settings.CLERK_AUTHORIZED_PARTIES = []
    settings.ALLOWED_HOSTS = ["people.example.com"]


@pytest.mark.parametrize(("https_only", "in_clear"), [(True, False), (False, True)])
def test_only_a_site_that_is_served_in_clear_has_origins_in_clear(
    settings: Settings, https_only: bool, in_clear: bool
) -> None:
    settings.SECURE_SSL_REDIRECT = https_only

    assert is_authorized_party("https://people.example.com")
    assert is_authorized_party("http://people.example.com") is in_clear
    assert not is_authorized_party("ftp://people.example.com")


def test_named_parties_are_all_there_are(settings: Settings) -> None:
    settings.CLERK_AUTHORIZED_PARTIES = ["https://app.example.net"]

    assert is_authorized_party("https://app.example.net")
    assert not is_authorized_party("https://people.example.com")
