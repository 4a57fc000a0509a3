"""Commands in forks of a process that has imported everything and computed nothing.

Importing torch takes longer than a small run; a fork has it already. The parent learns through a
pipe when its fork reaches a moment, and ends it from outside with SIGKILL, as a power cut would.
"""

from __future__ import annotations

import importlib
import json
import os
import select
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep

import numpy as np

from benchmarks.faults.stages import WHOLE, Watched
from pipeline.cli import app
from solvers.surrogates import LightGBM

HANGS = 300.0  # seconds: a small run that takes longer does not end


@dataclass(frozen=True)
class Moment:
    """When a run is killed.

    Attributes:
        stage: one of `STAGES`.
        number: the how-manieth of its calls, from 1.
        seconds: after that call began.
    """

    stage: str
    number: int
    seconds: float


@dataclass(frozen=True)
class Ended:
    """How a fork ended.

    Attributes:
        code: its exit code; minus the signal that ended it.
        stage: what it was doing then.
        output: what it wrote to both of its streams.
    """

    code: int
    stage: str
    output: str

    @property
    def killed(self) -> bool:
        """Whether it was killed before it could end."""
        return self.code == -signal.SIGKILL


def timed(arguments: Sequence[str], log: Path) -> dict[str, list[float]]:
    """The seconds of every call of a whole run's stages.

    Whatever it imported late, this process then imports too, so that later forks need not.

    Raises:
        RuntimeError: the run failed.
    """
    notes = log.with_suffix(".json")
    watched = Watched()

    def work() -> None:
        try:
            watched.during(WHOLE, app)(list(arguments))
        finally:
            told = {"seconds": watched.seconds, "modules": sorted(sys.modules)}
            notes.write_text(json.dumps(told), encoding="utf-8")

    ended = _waited(_forked(work, watched, log), watched, log)
    if ended.code:
        raise RuntimeError(f"vqlso {' '.join(arguments)} failed:\n{ended.output}")
    told = json.loads(notes.read_text(encoding="utf-8"))
    for module in told["modules"]:
        with suppress(Exception):  # names that libraries make up are no modules
            importlib.import_module(module)
    load_compiled_code()
    seconds: dict[str, list[float]] = told["seconds"]
    return seconds


def load_compiled_code() -> None:
    """Numba's cached functions: to load them takes each fork longer than its solves."""
    codes = np.arange(16).reshape(8, 2) % 4
    surrogate = LightGBM(4, trees=1, min_samples_leaf=1)
    surrogate.fit(codes, codes.sum(axis=1, dtype=np.float64))
    trees = surrogate.ensemble()
    trees.predict(codes)
    trees.goes_left(trees.roots, codes[0, :1].astype(np.float64))
    trees.left_table(trees.roots, codes[0, :1].astype(np.float64))


def ended(arguments: Sequence[str], log: Path, moment: Moment | None = None) -> Ended:
    """A run that is killed at a moment, if it is not over by then."""
    reading, writing = os.pipe()

    def entered(stage: str, number: int) -> None:
        if moment and (stage, number) == (moment.stage, moment.number):
            os.write(writing, b"!")

    watched = Watched(entered)
    process = _forked(lambda: watched.during(WHOLE, app)(list(arguments)), watched, log)
    os.close(writing)
    if moment and os.read(reading, 1):  # nothing comes from a run that ends before
        _outlast(process, moment.seconds)
        os.kill(process, signal.SIGKILL)  # a fork that has ended waits for its parent: it is there
    os.close(reading)
    return _waited(process, watched, log)


def _forked(work: Callable[[], object], watched: Watched, log: Path) -> int:
    process = os.fork()
    if process:
        return process
    code = 1
    try:
        with log.open("w", encoding="utf-8") as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
        watched.install()
        work()
        code = 0
    except SystemExit as leave:
        code = leave.code if isinstance(leave.code, int) else 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)  # what the parent would do at its end is not the fork's to do
    raise AssertionError("still alive")


def _outlast(process: int, seconds: float) -> None:
    """Sleep, but no longer than the process lives."""
    descriptor = os.pidfd_open(process)
    try:
        select.select([descriptor], [], [], seconds)
    finally:
        os.close(descriptor)


def _waited(process: int, watched: Watched, log: Path) -> Ended:
    give_up = monotonic() + HANGS
    while True:
        done, status = os.waitpid(process, os.WNOHANG)
        if done:
            break
        if monotonic() > give_up:
            os.kill(process, signal.SIGKILL)
        sleep(0.005)
    code = os.waitstatus_to_exitcode(status)
    return Ended(code, watched.stage, log.read_text(encoding="utf-8", errors="replace"))
