"""The README names what exists, and all of it."""

import json
import re
from pathlib import Path

from django.conf import settings
from django.core.management import get_commands

from clerk_sync.claims import SESSION_TOKEN_TEMPLATE
from tests.browser import screenshots

README = (settings.BASE_DIR / "README.md").read_text()


def section(title: str) -> str:
    return README.split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0]


def first_column(title: str) -> list[str]:
    rows = [line.split("|")[1] for line in section(title).splitlines() if line.startswith("| `")]
    return [name for row in rows for name in re.findall(r"`([^`]+)`", row)]


def own_commands() -> set[str]:
    return {name for name, app in get_commands().items() if app in {"accounts", "clerk_sync", "manageros"}}


def test_settings_table_holds_every_variable_that_the_settings_read() -> None:
    source = (settings.BASE_DIR / "manageros" / "settings.py").read_text()
    read = set(re.findall(r'env\.\w+\(\s*"([A-Z_]+)"', source))

    assert set(first_column("Settings")) == read


def test_commands_table_holds_every_command() -> None:
    assert set(first_column("Commands")) == own_commands()


def test_make_targets_that_are_named_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (settings.BASE_DIR / "Makefile").read_text(), re.MULTILINE))

    assert set(re.findall(r"\bmake ([a-z-]+)", README)) <= targets


def test_claims_are_the_ones_that_the_command_prints() -> None:
    block = re.search(r"```json\n(.*?)```", README, re.DOTALL)

    assert block is not None
    assert json.loads(block.group(1)) == dict(SESSION_TOKEN_TEMPLATE)


def test_links_to_files_lead_somewhere() -> None:
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", README)

    assert [link for link in links if not (Path(settings.BASE_DIR) / link).exists()] == []


def test_pictures_are_the_ones_that_the_command_takes() -> None:
    shown = re.findall(r"!\[[^\]]+\]\(docs/screenshots/([^)]+)\)", README)

    assert sorted(shown) == sorted(screenshots.NAMES)
