"""Runs that kill themselves at a chosen point, as a power cut would: started as a process.

    python driver.py KILL_POINT... -- ARGUMENTS OF VQLSO WITH {point} IN THEM

Each run is forked from a process that has imported everything and computed nothing. Kill points:
`after:N`, the N-th event of the journal was written; `before:N`, it was about to be; `torn:N`,
half of its line was; `state:ROLE:N`, the N-th state of that network's training was written.
With `interrupt:N` it is Ctrl-C after the N-th event instead, which it may survive for a while.
"""

import os
import signal
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from pipeline import experiment
from pipeline.cli import app
from pipeline.runs import shelf
from pipeline.runs.journal import Journal
from vqlso.training import fitting
from vqlso.training.fit_state import FitState, Kept

SEPARATOR = "--"
assert experiment  # the command line imports it late, each fork would again


def killed() -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("still alive")


def interrupted() -> None:
    # A shell starts background processes with Ctrl-C ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.raise_signal(signal.SIGINT)


def kill_at_event(kind: str, number: int) -> None:
    append_all = Journal.append_all
    written = 0

    def counted(
        self: Journal,
        event: str,
        facts: Sequence[Mapping[str, Any]],
        seconds: Mapping[str, float] | None = None,
    ) -> None:
        nonlocal written
        written += len(facts)
        if written >= number and kind == "before":
            killed()
        if written >= number and kind == "torn":
            with self.path.open("a") as file:
                file.write('{"event": "query", "id": 0, "z": [[1, 2')
            killed()
        append_all(self, event, facts, seconds)
        if written >= number:
            interrupted() if kind == "interrupt" else killed()

    Journal.append_all = counted  # type: ignore[method-assign]


def kill_at_state(role: str, number: int) -> None:
    shelf.Checkpointing = partial(fitting.Checkpointing, every=1)  # type: ignore[misc,assignment]
    save = FitState.save

    def counted(self: FitState, path: Path, kept: Kept) -> None:
        save(self, path, kept)
        if path.stem == role and kept["done"] == number:
            killed()

    FitState.save = counted  # type: ignore[method-assign]


def main(arguments: list[str]) -> None:
    split = arguments.index(SEPARATOR)
    for point in arguments[:split]:
        child = os.fork()
        if child == 0:
            kind, *where = point.split(":")
            if kind == "state":
                kill_at_state(where[0], int(where[1]))
            else:
                kill_at_event(kind, int(where[0]))
            app([each.format(point=point) for each in arguments[split + 1 :]])
        _, status = os.waitpid(child, 0)
        print(point, os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    main(sys.argv[1:])
