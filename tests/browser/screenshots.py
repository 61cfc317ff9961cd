"""Takes the README's pictures of the main pages, from a demo of its own: `make screenshots`."""

import sys
import tempfile
from pathlib import Path

from django.utils.text import slugify
from playwright.sync_api import sync_playwright

from tests.browser import chromium
from tests.browser.signing_in import sign_in, wait_for_claims
from tests.end_to_end.demo import running_demo

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "screenshots"
PORTS = ("--port", "16000", "--clerk-port", "16100")
WHO = "Marta Ellison"
WIDE, PHONE = {"width": 1200, "height": 800}, {"width": 390, "height": 800}
# The title of a page, its path, and how it is looked at.
SHOTS = [
    ("Dashboard", "/dashboard/", WIDE, "light"),
    ("People", "/people/", WIDE, "light"),
    ("Chart", "/people/chart/", WIDE, "light"),
    ("Members", "/organization/members/", WIDE, "dark"),
    ("Session", "/account/session/", WIDE, "light"),
    ("Dashboard on a phone", "/dashboard/", PHONE, "dark"),
]
NAMES = [f"{slugify(title)}.png" for title, *_ in SHOTS]


def main() -> int:
    executable = chromium.executable()
    if executable is None:
        sys.exit(chromium.MISSING)
    FOLDER.mkdir(exist_ok=True)
    with (
        tempfile.TemporaryDirectory(prefix="manageros-screenshots-") as folder,
        running_demo(Path(folder), *PORTS) as demo,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=executable, args=chromium.FLAGS)
        page = browser.new_page()
        page.set_default_timeout(chromium.PATIENCE)
        sign_in(page, demo, WHO)
        wait_for_claims(page, demo)
        for (title, path, size, scheme), name in zip(SHOTS, NAMES, strict=True):
            page.set_viewport_size(size)  # type: ignore[arg-type]
            page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
            page.goto(f"{demo.site}{path}")
            page.wait_for_load_state("networkidle")
            page.screenshot(path=FOLDER / name)
            print(f"{title}: {FOLDER / name}")
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
