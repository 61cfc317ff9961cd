"""What follows from a publishable key, with the vectors of Clerk's own tests."""

import pytest
from pytest_django import Settings

from clerk_sync.instance import clerk_instance, cookie_suffix, frontend_api_host


@pytest.mark.parametrize(
    ("key", "suffix"),
    [
        ("pk_live_ZmFrZS1jbGVyay10ZXN0LmNsZXJrLmFjY291bnRzLmRldiQ=", "qReyu04C"),
        ("pk_test_Y2xlcmsuY2xlcmsuZGV2JA", "QvfNY2dr"),
        ("pk_test_ZW5vdWdoLWFscGFjYS04Mi5jbGVyay5hY2NvdW50cy5sY2xjbGVyay5jb20k", "jtYvyt_H"),
        ("pk_test_eHh4eHh4LXhhYWFhYS1hYS5jbGVyay5hY2NvdW50cy5sY2xjbGVyay5jb20k", "tZJdb-5s"),
    ],
)
def test_cookie_suffix_hashes_the_key_as_written(key: str, suffix: str) -> None:
    assert cookie_suffix(key) == suffix


@pytest.mark.parametrize(
    ("key", "host"),
    [
        ("pk_test_Y2xlcmsuY2xlcmsuZGV2JA", "clerk.clerk.dev"),
        ("pk_test_Y2xlcmsuY2xlcmsuZGV2JA==", "clerk.clerk.dev"),
        ("pk_test_MTI3LjAuMC4xOjgwMDEk", "127.0.0.1:8001"),
        ("", ""),
        ("pk_test_", ""),
        ("sk_test_Y2xlcmsuY2xlcmsuZGV2JA", ""),
        ("pk_demo_Y2xlcmsuY2xlcmsuZGV2JA", ""),
        ("pk_test_Y2xlcmsuY2xlcmsuZGV2", ""),  # no $ at the end
        ("pk_test_Y2xlcmsuY2xlcmsuZGV2JCQ", ""),  # two of them
        ("pk_test_Y2xlcmsk", ""),  # no dot
        ("pk_test_ZXZpbC50ZXN0L2NsZXJrJA", ""),  # a path
        ("pk_test_not base64!", ""),
        ("pk_test_/w==", ""),
    ],
)
def test_frontend_api_host_is_read_from_the_key(key: str, host: str) -> None:
    assert frontend_api_host(key) == host


@pytest.mark.parametrize(
    ("key", "sign_in_url", "is_production"),
    [
        ("pk_test_YnJhdmUtb3R0ZXItMS5jbGVyay5hY2NvdW50cy5kZXYk", "https://brave-otter-1.accounts.dev/sign-in", False),
        ("pk_live_Y2xlcmsuZXhhbXBsZS5jb20k", "https://accounts.example.com/sign-in", True),
    ],
)
def test_hosted_pages_follow_from_the_key(settings: Settings, key: str, sign_in_url: str, is_production: bool) -> None:
    settings.CLERK_PUBLISHABLE_KEY = key

    instance = clerk_instance()

    assert instance.sign_in_url == sign_in_url
    assert instance.sign_up_url == sign_in_url.replace("sign-in", "sign-up")
    assert instance.issuer == f"https://{frontend_api_host(key)}"
    assert instance.is_production is is_production


def test_a_local_clerk_serves_its_pages_beside_its_frontend_api(settings: Settings) -> None:
    settings.CLERK_PUBLISHABLE_KEY = "pk_test_MTI3LjAuMC4xOjgwMDEk"
    settings.CLERK_FRONTEND_API_URL = "http://127.0.0.1:8001"

    instance = clerk_instance()

    assert instance.issuer == "http://127.0.0.1:8001"
    assert instance.sign_in_url == "http://127.0.0.1:8001/sign-in"


def test_an_unreadable_key_raises_nothing(settings: Settings) -> None:
    settings.CLERK_PUBLISHABLE_KEY = "nonsense"

    assert clerk_instance().issuer == ""
