"""What docs/deploy.md names exists."""

import re

import pytest
from django.conf import settings
from django.core.management import get_commands

from clerk_sync.metrics import exposition

GUIDE = (settings.BASE_DIR / "docs" / "deploy.md").read_text()
README = (settings.BASE_DIR / "README.md").read_text()


def test_commands_exist() -> None:
    named = set(re.findall(r"python manage\.py ([a-z_]+)", GUIDE))

    assert named <= get_commands().keys()


def test_settings_are_those_of_the_readme() -> None:
    named = {
        name.removesuffix("_FILE") for name in re.findall(r"\b(?:CLERK|DJANGO|METRICS|LOG|TASKS)_[A-Z_]+\b", GUIDE)
    }

    assert [name for name in sorted(named) if f"`{name}`" not in README] == []


@pytest.mark.django_db
def test_metrics_are_those_of_the_site() -> None:
    exposed = set(re.findall(r"^# HELP (manageros_\w+)", exposition().decode(), re.MULTILINE))
    named = set(re.findall(r"^\| .*", GUIDE, re.MULTILINE))
    named = {name for row in named for name in re.findall(r"`(manageros_\w+)[`{]", row)}

    assert named == {name for name in exposed if not name.endswith("_created")}
