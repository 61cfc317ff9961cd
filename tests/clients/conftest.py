import os
from pathlib import Path

import pytest

from tests.browser.conftest import chromium, context, page

__all__ = ["chromium", "context", "page"]

CLIENTS = Path(__file__).resolve().parents[2] / ".clients"


@pytest.fixture(autouse=True)
def _installed() -> None:
    if (CLIENTS / "installed").exists():
        return
    message = "Clerk's own SDKs are not installed: run make clients."
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)
