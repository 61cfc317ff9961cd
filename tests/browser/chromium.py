"""Debian's Chromium, as Playwright is to start it."""

import os
import shutil

FLAGS = [
    "--no-sandbox",  # it will not run as root, as CI does, with one
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PATIENCE = 45_000  # milliseconds; a page takes a fraction of a second, on a machine that is not busy
NAMES = ("chromium", "chromium-browser", "google-chrome")
MISSING = "Chromium is not installed: apt install chromium, or name one in the variable CHROMIUM."


def executable() -> str | None:
    return os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
