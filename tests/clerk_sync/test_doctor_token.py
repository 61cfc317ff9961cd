"""One token explained: what the site would answer, and which of its members is why."""

import json
import time
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from pytest_django import Settings

from accounts.models import User
from clerk_sync import freshness
from clerk_sync.doctor.remedies import FALLBACKS, FOR_FALLBACKS, FOR_REFUSALS
from clerk_sync.doctor.token import Explanation, explained
from clerk_sync.models import EndedSession
from clerk_sync.refusals import Reason
from tests.instance import ClerkInstance, claims_of

pytestmark = pytest.mark.django_db

TEMPLATE = {"cat": "cl_B7d4PD222AAA"}


def wrong(explanation: Explanation) -> dict[str, str]:
    return {line.name: line.remark for line in explanation.lines if line.wrong}


def test_a_token_in_order_is_answered_from_its_claims(clerk: ClerkInstance, ada: User) -> None:
    explanation = explained(clerk.token(claims=claims_of(ada)))

    assert (explanation.answer.source, explanation.answer.reason) == ("session_claims", None)
    assert wrong(explanation) == {}
    remarks = {line.name: line.remark for line in explanation.lines}
    assert remarks["role"] == "as the database says"
    assert remarks["sub"] == f"user {ada.pk}"
    assert remarks["cat"] == "a session token"


@pytest.mark.parametrize(
    ("given", "reason", "culprit"),
    [
        ({"azp": "https://elsewhere.example.com"}, Reason.TOKEN_PARTY, "azp"),
        ({"iss": "https://clerk.elsewhere.test"}, Reason.TOKEN_ISSUER, "iss"),
        ({"exp": 1_700_000_000}, Reason.TOKEN_EXPIRED, "exp"),
        ({"iat": int(time.time()) + 3600}, Reason.TOKEN_FROM_FUTURE, "iat"),
        ({"nbf": int(time.time()) + 3600}, Reason.TOKEN_NOT_YET_VALID, "nbf"),
        ({"iat": "yesterday"}, Reason.TOKEN_CLAIM_INVALID, "iat"),
        ({"exp": None}, Reason.TOKEN_CLAIM_MISSING, "exp"),
        ({"sts": "pending"}, Reason.SESSION_PENDING, "sts"),
        ({"headers": TEMPLATE}, Reason.TOKEN_AUDIENCE, None),
        ({"headers": {"cat": "cl_B7d4PD333AAA"}}, Reason.TOKEN_KIND, "cat"),
    ],
)
def test_a_refused_token_names_the_reason_and_the_member_behind_it(
    clerk: ClerkInstance, ada: User, given: dict[str, Any], reason: Reason, culprit: str | None
) -> None:
    explanation = explained(clerk.token(claims=claims_of(ada), **given))

    assert (explanation.answer.source, explanation.answer.reason) == (None, reason)
    assert explanation.answer.fix
    assert culprit is None or culprit in wrong(explanation)


def test_a_token_that_was_copied_a_while_ago_is_explained_as_it_was(clerk: ClerkInstance, ada: User) -> None:
    answer = explained(clerk.token(exp=int(time.time()) - 300, iat=int(time.time()) - 360)).answer

    assert answer.reason == Reason.TOKEN_EXPIRED
    assert "Before, it was answered from database. The token does not carry the claims." in answer.text
    assert "clerk_claims" in answer.fix


@pytest.mark.parametrize("token", ["", "nonsense", "a.b.c", "x" * 20_000])
def test_what_is_no_token_is_refused(token: str) -> None:
    explanation = explained(token)

    assert explanation.answer.source is None
    assert explanation.answer.reason in {Reason.TOKEN_MALFORMED, Reason.TOKEN_TOO_LARGE}
    assert explanation.lines == []


def test_a_token_of_another_key_is_refused_and_still_read(clerk: ClerkInstance, ada: User) -> None:
    explanation = explained(ClerkInstance(issuer=clerk.issuer).token(claims=claims_of(ada)))

    assert explanation.answer.reason == Reason.TOKEN_SIGNATURE
    assert {"sub", "role"} <= {line.name for line in explanation.lines}


def test_without_keys_it_says_so(settings: Settings, clerk: ClerkInstance) -> None:
    settings.CLERK_JWT_KEY = "nonsense"

    answer = explained(clerk.token()).answer

    assert (answer.source, answer.reason) == (None, "unavailable")
    assert "CLERK_JWT_KEY" in answer.text


@pytest.mark.parametrize(
    ("changed", "reason", "remarks"),
    [
        ({"role": 3}, "claims_invalid", {"role": "a int where text is due"}),
        ({"personId": "null"}, "claims_invalid", {"personId": "a shortcode inside a text: write it alone, in quotes"}),
        (
            {"managerOSUserId": None},
            "metadata_not_synced",
            {"managerOSUserId": "not delivered when this was assembled: the database says {id}"},
        ),
    ],
)
def test_a_claim_that_cannot_be_used_is_named(
    clerk: ClerkInstance, ada: User, changed: dict[str, Any], reason: str, remarks: dict[str, str]
) -> None:
    explanation = explained(clerk.token(claims=claims_of(ada) | changed))

    assert (explanation.answer.source, explanation.answer.reason) == ("database", reason)
    assert wrong(explanation) == {name: remark.format(id=ada.pk) for name, remark in remarks.items()}


@pytest.mark.parametrize(
    ("claims", "culprit"),
    [
        ({"manager_os_user_id": "1", "ORGANIZATIONID": "2"}, "manager_os_user_id"),
        ({"publicMetadata": {"managerOSUserId": "1", "role": "member"}}, "publicMetadata"),
    ],
)
def test_claims_under_another_name_are_found(
    clerk: ClerkInstance, ada: User, claims: dict[str, Any], culprit: str
) -> None:
    explanation = explained(clerk.token(claims=claims))

    assert explanation.answer.reason == "claims_not_configured"
    assert culprit in wrong(explanation)
    assert wrong(explanation)["role"] == "not in the token"


def test_claims_under_metadata_are_read_there(clerk: ClerkInstance, ada: User) -> None:
    explanation = explained(clerk.token(claims={"metadata": claims_of(ada)}))

    assert (explanation.answer.source, wrong(explanation)) == ("session_claims", {})


def test_stale_claims_are_shown_beside_what_the_database_says(clerk: ClerkInstance, ada: User) -> None:
    freshness.announce_stale(["user_1"])

    explanation = explained(clerk.token(claims=claims_of(ada) | {"role": "owner"}))

    assert (explanation.answer.source, explanation.answer.reason) == ("database", "claims_stale")
    assert wrong(explanation) == {"role": "the database says admin"}


def test_an_ended_session_and_a_deactivated_user_are_refused(clerk: ClerkInstance, ada: User) -> None:
    EndedSession.objects.create(session_id="sess_1")
    ended = explained(clerk.token(claims=claims_of(ada)))
    EndedSession.objects.all().delete()
    User.objects.filter(pk=ada.pk).update(is_active=False)
    inactive = explained(clerk.token(claims=claims_of(ada)))

    assert (ended.answer.reason, list(wrong(ended))) == (Reason.SESSION_ENDED, ["sid"])
    assert (inactive.answer.reason, "sub" in wrong(inactive)) == (Reason.USER_INACTIVE, True)


def test_a_token_that_no_cookie_holds_is_named(clerk: ClerkInstance, ada: User) -> None:
    explanation = explained(clerk.token(claims=claims_of(ada) | {"avatar": "x" * 4000}))

    assert {"token", "custom claims"} <= wrong(explanation).keys()


def test_every_reason_has_its_remedy() -> None:
    assert FOR_REFUSALS.keys() == set(Reason)
    assert FOR_FALLBACKS.keys() == FALLBACKS.keys()


@pytest.mark.parametrize("form", [(), ("--json",)])
def test_command_explains_and_does_not_repeat_the_token(
    clerk: ClerkInstance, ada: User, monkeypatch: pytest.MonkeyPatch, form: tuple[str, ...]
) -> None:
    token = clerk.token(claims=claims_of(ada), azp="https://elsewhere.example.com")
    monkeypatch.setattr("sys.stdin", StringIO(f"{token}\n"))
    output = StringIO()

    with pytest.raises(SystemExit) as ended:
        call_command("clerk_doctor", "--token", "-", *form, stdout=output, no_color=True)

    printed = output.getvalue()
    assert ended.value.code == 3
    assert Reason.TOKEN_PARTY in printed
    assert token not in printed
    if form:
        assert json.loads(printed)["answer"]["reason"] == Reason.TOKEN_PARTY
