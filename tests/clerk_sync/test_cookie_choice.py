"""Clerk's eight steps between the suffixed and the plain cookies, one row each and more."""

import time

import pytest
from pytest_django import Settings

from clerk_sync.cookies import chosen_cookies, client_uat
from clerk_sync.instance import clerk_instance
from tests.instance import ClerkInstance


def token(clerk: ClerkInstance, kind: str | None) -> str | None:
    now = int(time.time())
    match kind:
        case "ours":
            return clerk.token(iat=now - 20)
        case "newer":
            return clerk.token(iat=now - 10)
        case "expired":
            return clerk.token(iat=now - 120, exp=now - 60)
        case "foreign":
            return clerk.token(iss="https://clerk.another.test")
        case "without iss":
            return clerk.token(iss=None)
    return kind


PLAIN, OWN = "plain", "suffixed"
# plain session, plain client_uat, suffixed session, suffixed client_uat, production, the choice
CHOICES: list[tuple[str | None, str | None, str | None, str | None, bool, str]] = [
    # 1. a plain session without an issuer
    ("without iss", "1", "ours", "1", True, PLAIN),
    ("garbage", "1", "ours", "1", True, PLAIN),
    # 2. a plain session of another instance
    ("foreign", "1", "ours", "1", True, OWN),
    ("foreign", "1", None, None, True, OWN),
    # 3. nothing suffixed
    ("ours", "1", None, None, True, PLAIN),
    (None, None, None, None, True, PLAIN),
    (None, "0", None, None, False, PLAIN),
    # 4. the plain session is the newer one
    ("newer", "1", "ours", "1", True, PLAIN),
    ("newer", "1", None, "1", True, PLAIN),
    ("ours", "1", "newer", "1", True, OWN),
    ("ours", "1", "ours", "1", True, OWN),
    ("newer", None, "ours", "1", True, PLAIN),
    # 5. signed out under the suffix alone
    (None, "1", None, "0", True, PLAIN),
    (None, None, "ours", "0", True, PLAIN),
    ("newer", "0", "ours", "0", True, OWN),
    # 6. development: signed out under the plain name, and the suffixed session is over
    (None, "0", "expired", "1", False, PLAIN),
    (None, "0", "expired", "1", True, OWN),
    (None, "0", "ours", "1", False, OWN),
    # 7. a suffixed session without its client_uat
    (None, None, "ours", None, True, PLAIN),
    ("ours", "1", "newer", None, True, PLAIN),
    # 8. otherwise
    (None, None, "ours", "1", True, OWN),
    (None, "0", "ours", "1", True, OWN),
    (None, None, None, "1", True, OWN),
]


@pytest.mark.parametrize(("plain", "plain_uat", "own", "own_uat", "production", "choice"), CHOICES)
def test_choice(
    settings: Settings,
    clerk: ClerkInstance,
    plain: str | None,
    plain_uat: str | None,
    own: str | None,
    own_uat: str | None,
    production: bool,
    choice: str,
) -> None:
    if production:
        settings.CLERK_PUBLISHABLE_KEY = settings.CLERK_PUBLISHABLE_KEY.replace("pk_test_", "pk_live_")
    instance = clerk_instance()
    suffix = instance.cookie_suffix
    given = {
        "__session": token(clerk, plain),
        "__client_uat": plain_uat,
        f"__session_{suffix}": token(clerk, own),
        f"__client_uat_{suffix}": own_uat,
    }
    cookies = {name: value for name, value in given.items() if value is not None}

    chosen = chosen_cookies(cookies, instance)

    ending = "" if choice == PLAIN else f"_{suffix}"
    assert chosen.suffixed is (choice == OWN)
    assert chosen.session == cookies.get(f"__session{ending}")
    assert chosen.client_uat == int(cookies.get(f"__client_uat{ending}", "0"))


def test_cookies_that_only_look_like_ours_are_not_read(clerk: ClerkInstance) -> None:
    token = clerk.token()
    cookies = {"__session_OTHERAPP": token, "__sessionfoo": token, "__session_": token, "__client_uat_OTHERAPP": "1"}

    chosen = chosen_cookies(cookies, clerk_instance())

    assert (chosen.session, chosen.client_uat, chosen.refresh) == (None, 0, None)


def test_the_refresh_cookie_has_a_suffix_always(clerk: ClerkInstance) -> None:
    suffix = clerk_instance().cookie_suffix

    assert chosen_cookies({"__refresh": "plain"}, clerk_instance()).refresh is None
    assert chosen_cookies({f"__refresh_{suffix}": "own"}, clerk_instance()).refresh == "own"


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("1700000000", 1700000000),
        ("0", 0),
        (None, 0),
        ("", 0),
        ("-1", 0),
        ("1.5", 0),
        ("x", 0),
        ("9" * 5000, 0),
        ("٣", 0),
    ],
)
def test_a_time_that_is_none_is_signed_out(value: str | None, seconds: int) -> None:
    assert client_uat(value) == seconds
