"""A tab in Chromium whose server is killed: it waits, and goes on by itself.

    python -m benchmarks.faults.web_browser ADDRESS

This is a process of its own, since a server that is forked beside Playwright would hold its pipes.
It writes a line when it is about to click "Next", clicks when it reads one, and ends with what it
saw.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
from typing import Any

from playwright.sync_api import sync_playwright

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PATIENCE = 120_000  # milliseconds
ROWS = (1, 1, 4)
SEED = 5


def main(address: str) -> None:
    """Begin, pick, click "Next", wait for the server's end and return, and tell what is shown."""
    executable = next(filter(None, map(shutil.which, BROWSERS)), None)
    with sync_playwright() as playwright:
        # Without a sandbox: containers and root have none, and nothing foreign is opened here.
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        page = browser.new_page(base_url=address)
        page.set_default_timeout(PATIENCE)
        _begin(page)
        for row in ROWS:
            page.get_by_role("button", name=re.compile(f"^Image {row + 1}, ")).click()
        print("picked", flush=True)
        sys.stdin.readline()
        page.get_by_role("button", name="Next").click()
        page.get_by_role("alert").filter(has_text="does not answer").wait_for()
        page.get_by_role("alert").wait_for(state="hidden")
        after = _status(page)
        if "Step 1" in after:
            page.get_by_role("button", name="Next").click()
        page.locator("#status").filter(has_text="Step 2").wait_for()
        shown = page.locator("#grid img").evaluate_all("all => all.map(one => one.src)")
        print(json.dumps({"session": page.url.rsplit("/", 1)[1], "after": after, "shown": shown}))
        browser.close()


def _begin(page: Any) -> None:
    page.goto("/")
    page.locator("summary").click()
    page.get_by_label("Seed").fill(str(SEED))
    page.get_by_role("button", name="Begin").click()
    page.locator("#status").filter(has_text="Step 1").wait_for()


def _status(page: Any) -> str:
    return str(page.locator("#status").text_content())


if __name__ == "__main__":
    main(sys.argv[1])
