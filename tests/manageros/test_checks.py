"""A site without its settings does not start, and is told of every one at once."""

import os
import subprocess
import sys

import pytest
from django.conf import settings

NEEDED = (
    "DJANGO_SECRET_KEY",
    "DJANGO_ALLOWED_HOSTS",
    "CLERK_PUBLISHABLE_KEY",
    "CLERK_SECRET_KEY",
    "CLERK_WEBHOOK_SIGNING_SECRET",
)


@pytest.mark.parametrize("start", [("manage.py", "check"), ("-c", "import manageros.wsgi")], ids=["check", "wsgi"])
def test_without_any_setting_each_that_is_needed_is_named(start: tuple[str, ...]) -> None:
    ours = ("CLERK_", "DJANGO_", "DATABASE_", "CACHE_")
    bare = {name: value for name, value in os.environ.items() if not name.startswith(ours)}

    ended = subprocess.run(
        [sys.executable, *start], cwd=settings.BASE_DIR, env=bare, capture_output=True, text=True, check=False
    )

    assert ended.returncode != 0
    assert [name for name in NEEDED if f"{name} is not set." not in ended.stderr] == []
