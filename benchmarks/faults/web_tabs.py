"""What a killed server costs a tab in Chromium (web_browser.py)."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from benchmarks.faults.web_browser import ROWS, SEED
from benchmarks.faults.web_person import Person
from benchmarks.faults.web_servers import POPULATION, Server

REPOSITORY = Path(__file__).parents[2]


def lost_in_tab(server: Server, seconds: float) -> str:
    """Kill a running server so long after a click on "Next"; what the tab lost, if anything.

    Raises:
        RuntimeError: the tab did not come to its end.
    """
    person = Person(server.address)
    expected = _uninterrupted(person, server.generator)
    command = [sys.executable, "-m", "benchmarks.faults.web_browser", server.address]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command, cwd=REPOSITORY, stdin=pipe, stdout=pipe, stderr=pipe, text=True
    ) as tab:
        assert tab.stdin
        assert tab.stdout
        tab.stdout.readline()
        with server.killed_after(seconds):
            tab.stdin.write("go\n")
            tab.stdin.flush()
        server.start()
        told, complaint = tab.communicate()
    if tab.returncode:
        raise RuntimeError(f"The tab ended with {tab.returncode}:\n{complaint[-2000:]}")
    seen = json.loads(told)
    if "Step 1" in seen["after"] and f"{len(ROWS)} of" not in seen["after"]:
        return f"the picks that were not taken are gone: {seen['after']}"
    if seen["shown"] != expected or person.state(seen["session"])["images"] != expected:
        return "it shows other images than a session that was never killed"
    return ""


def _uninterrupted(person: Person, generator: str) -> list[str]:
    """The images that the same picks lead to."""
    wanted = {"start": "random", "generator": generator, "population": POPULATION, "picks": 4}
    name = person.begin({**wanted, "seed": SEED})
    person.next(name, [ROWS.count(row) for row in range(POPULATION)], None)
    images: list[str] = person.state(name)["images"]
    return images
