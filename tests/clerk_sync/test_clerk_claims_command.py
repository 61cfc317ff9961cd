import json
import shlex

import pytest
from django.core.management import call_command

SIX_CLAIMS = {
    "managerOSUserId": "{{user.public_metadata.managerOSUserId}}",
    "organizationId": "{{user.public_metadata.organizationId}}",
    "organizationName": "{{user.public_metadata.organizationName}}",
    "organizationSlug": "{{user.public_metadata.organizationSlug}}",
    "personId": "{{user.public_metadata.personId}}",
    "role": "{{user.public_metadata.role}}",
}


def test_prints_the_json_that_the_dashboard_takes(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("clerk_claims")

    assert json.loads(capsys.readouterr().out) == SIX_CLAIMS


def test_one_line_form_is_one_shell_word(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("clerk_claims", "--cli")

    line = capsys.readouterr().out
    (word,) = shlex.split(line)
    assert line.count("\n") == 1
    assert json.loads(word) == SIX_CLAIMS
