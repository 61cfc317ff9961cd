from typing import Any

import pytest

from clerk_sync.emulator.shortcodes import render

METADATA = {"role": "admin", "level": 3, "flag": False, "o": {"a": 1}}
CONTEXT = {"user": {"first_name": "Mira", "public_metadata": METADATA}}


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{{user.public_metadata.role}}", "admin"),
        ("{{ user.public_metadata.level }}", 3),
        ("{{user.public_metadata.missing}}", None),
        ("{{user.public_metadata.missing.deeper}}", None),
        ("{{user.public_metadata.o}}", {"a": 1}),
        ("{{user.public_metadata}}", METADATA),
        ("{{user.public_metadata.flag || 'none'}}", "none"),
        ("{{user.public_metadata.missing || user.first_name}}", "Mira"),
        ("{{user.public_metadata.missing || user.nothing}}", None),
        ("Hello {{user.first_name}}, {{user.public_metadata.level}}", "Hello Mira, 3"),
        ("role: {{user.public_metadata.missing}}", "role: null"),
        ({"deep": ["{{user.first_name}}", 7]}, {"deep": ["Mira", 7]}),
        ("plain", "plain"),
        (None, None),
    ],
)
def test_shortcodes_become_what_the_user_holds(template: Any, expected: Any) -> None:
    assert render(template, CONTEXT) == expected
