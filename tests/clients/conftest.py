from pathlib import Path

import pytest

from tests.browser.conftest import chromium, context, page

__all__ = ["chromium", "context", "page"]

CLIENTS = Path(__file__).resolve().parents[2] / ".clients"


@pytest.fixture(autouse=True)
def _installed() -> None:
    if not (CLIENTS / "installed").exists():
        pytest.skip("Clerk's own SDKs are not installed: run make clients.")
