"""What a process loaded at its start is never looked through for garbage: that would stop everything for 0.1 s."""

import gc
import subprocess
import sys

import pytest
from django.conf import settings

from clerk_sync.tasks import deliver_pending, keep_what_is_loaded


@pytest.mark.parametrize("start", ["import manageros.wsgi", "import manageros.asgi"])
def test_what_a_site_loaded_is_no_garbage(start: str) -> None:
    program = f"import tests.settings\n{start}\nimport gc\nprint(gc.get_freeze_count(), len(gc.get_objects()))"

    ended = subprocess.run(
        [sys.executable, "-c", program],
        cwd=settings.BASE_DIR, env={"DJANGO_SETTINGS_MODULE": "tests.settings", "PYTHONPATH": "."},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    kept, looked_through = map(int, ended.stdout.split())

    assert looked_through < kept / 10


@pytest.mark.django_db
def test_what_a_worker_loaded_is_no_garbage() -> None:
    keep_what_is_loaded.cache_clear()
    try:
        deliver_pending.call()
        kept = gc.get_freeze_count()
    finally:
        gc.unfreeze()

    assert kept > 10_000
