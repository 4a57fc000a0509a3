"""A Python function as the black box in a process of its own, where it may hang or die.

The process is started from nothing, so it shares neither memory nor threads with the run. Images
travel to it as arrays, and numbers or words back as JSON: nothing is unpickled on either side.
"""

from __future__ import annotations

import ctypes
import io
import json
import math
import os
import signal
import subprocess
import sys
import time
import weakref
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection, Pipe
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vqlso.errors import ConfigError
from vqlso.objectives.failures import BlackBoxError, reason_of
from vqlso.objectives.python_callable import PythonObjective

if TYPE_CHECKING:
    from torch import Tensor

SECONDS_TO_START = 300.0  # a function's module may import what it likes
SECONDS_TO_DIE = 5.0  # from the end of its connection to its own
SECONDS_BETWEEN_LOOKS = 0.2  # at whether it still lives; an answer is seen at once
# A hang within a batch is noticed after the time of all its images.
BATCH = 32
LONGEST_ANSWER = 1 << 20  # bytes, of a batch's numbers or of a reason
# JSON turns a byte of UTF-8 into six at most: \u0000.
LONGEST_REASON = LONGEST_ANSWER // 8
NUMBER_BYTES = 8
PR_SET_PDEATHSIG = 1  # linux/prctl.h
START = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[2]); "
    "from vqlso.objectives.isolated import serve; serve(int(sys.argv[1]), sys.argv[3])"
)


class IsolatedObjective:
    """Scores images by the function that "module:function" names, in a process of its own.

    A process that hangs or dies fails the images that it was asked for; the next ones are asked
    of a new process, in which the function has forgotten what it kept in memory.

    Args:
        target: "module:function"; the module may lie in the current directory or in a package.
            It is imported in the other process only.
        timeout: seconds for each image, > 0; None waits for ever.

    Raises:
        ConfigError: the target cannot be imported or called, or its import does not end.
    """

    def __init__(self, target: str, timeout: float | None = None) -> None:
        self._target = target
        self._timeout = timeout
        self._folder = Path.cwd()
        self._worker: _Worker | None = _Worker(target, self._folder)

    @property
    def name(self) -> str:
        """The target as it was given."""
        return self._target

    def __call__(self, images: Tensor) -> NDArray[np.float64]:
        """(n, 3, H, W) float32 in [0, 1] -> (n,) float64.

        Raises:
            BlackBoxError: the function raised, hung, died or returned no n numbers.
        """
        array = np.array(images.detach().cpu().numpy(), dtype=np.float32)
        starts = range(0, len(array), BATCH)
        parts = [self._scored(array[start : start + BATCH]) for start in starts]
        return np.concatenate(parts) if parts else np.empty(0)

    def _scored(self, images: NDArray[np.float32]) -> NDArray[np.float64]:
        if self._worker is None:
            self._worker = _Worker(self._target, self._folder)
        seconds = None if self._timeout is None else self._timeout * len(images)
        try:
            answer = self._worker.answer(images, seconds)
        except BaseException:
            # Also after Ctrl-C: an answer that is still to come belongs to no later question.
            self._worker.end()
            self._worker = None
            raise
        if "failed" in answer:
            raise BlackBoxError(answer["failed"])
        return np.array(answer["values"], dtype=np.float64)


class _Worker:
    """The other process, as this one sees it."""

    def __init__(self, target: str, folder: Path) -> None:
        self._asked = 0
        self._connection, theirs = Pipe()
        descriptor = theirs.fileno()
        arguments = [str(descriptor), json.dumps(sys.path), target]
        self._process = subprocess.Popen(
            [sys.executable, "-c", START, *arguments],
            cwd=folder,
            pass_fds=[descriptor],
            stdin=subprocess.DEVNULL,
            stdout=2,  # what a function prints is no part of a command's output
            start_new_session=True,  # Ctrl-C is for the run, which then ends it
        )
        theirs.close()
        self.end = weakref.finalize(self, _ended, self._process, self._connection)
        try:
            greeting = self.answer(None, SECONDS_TO_START)
        except BlackBoxError as error:
            self.end()
            raise ConfigError(
                f"The process of the objective '{target}' could not be started: {error}. "
                "Try it without objective.isolate."
            ) from error
        if "refused" in greeting:
            self.end()
            raise ConfigError(greeting["refused"])

    def answer(self, images: NDArray[np.float32] | None, seconds: float | None) -> dict[str, Any]:
        """What it says.

        Args:
            images: (n, 3, H, W), to be scored; None waits for its greeting.
            seconds: to wait; None for ever.

        Raises:
            BlackBoxError: it hangs, has died or answers what it was not asked.
        """
        try:
            if images is not None:
                self._ask(images)
            self._wait(seconds)
            answer: dict[str, Any] = json.loads(self._connection.recv_bytes(LONGEST_ANSWER))
        except (EOFError, OSError) as error:
            raise BlackBoxError(f"its process {self._death()}") from error
        if answer["number"] != self._asked:
            raise BlackBoxError("its process answered another question and was ended")
        return answer

    def _ask(self, images: NDArray[np.float32]) -> None:
        if self._process.poll() is not None:
            raise EOFError  # a connection that its child holds open would fill and never empty
        self._asked += 1
        question = io.BytesIO()
        question.write(self._asked.to_bytes(NUMBER_BYTES, "big"))
        np.save(question, images, allow_pickle=False)
        self._connection.send_bytes(question.getvalue())

    def _wait(self, seconds: float | None) -> None:
        """Until there is something to read.

        Its death does not always end the connection, which a child of its own may hold open.
        """
        give_up = math.inf if seconds is None else time.monotonic() + seconds
        left = give_up - time.monotonic()
        while not self._connection.poll(max(0.0, min(SECONDS_BETWEEN_LOOKS, left))):
            # What it said before it died is still heard.
            if self._process.poll() is not None and not self._connection.poll():
                raise EOFError
            left = give_up - time.monotonic()
            if left <= 0:
                raise BlackBoxError(f"no answer within {seconds:g} s; its process was ended")

    def _death(self) -> str:
        try:
            code = self._process.wait(SECONDS_TO_DIE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return "closed its connection and was ended"
        if code < 0:
            return f"was killed by {_signal_name(-code)}"
        return f"ended with exit code {code}"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # of the real-time signals only the first and the last have names
        return f"signal {number}"


def _ended(process: subprocess.Popen[bytes], connection: Connection) -> None:
    connection.close()
    process.kill()
    process.wait()


def serve(descriptor: int, target: str) -> None:
    """Answer until there is nobody to answer to; the other process's whole life."""
    _die_with_parent()
    connection = Connection(descriptor)
    try:
        with _copies_end():
            objective = PythonObjective(target)
    except ConfigError as error:
        _tell(connection, 0, {"refused": _cut(str(error))})
        return
    _tell(connection, 0, {})
    with suppress(EOFError, OSError):
        while True:
            question = io.BytesIO(connection.recv_bytes())
            number = int.from_bytes(question.read(NUMBER_BYTES), "big")
            images = np.load(question, allow_pickle=False)
            _tell(connection, number, _answer(objective, images))


def _answer(objective: PythonObjective, images: NDArray[np.float32]) -> dict[str, Any]:
    try:
        with _copies_end():
            return {"values": objective.of_arrays(images).tolist()}
    except (Exception, SystemExit) as error:
        return {"failed": _cut(reason_of(error))}


@contextmanager
def _copies_end() -> Iterator[None]:
    """Code that forks may return or raise in both processes, of which one answers."""
    process = os.getpid()
    try:
        yield
    finally:
        if os.getpid() != process:
            os._exit(0)


def _cut(reason: str) -> str:
    return reason.encode("utf-8", "replace")[:LONGEST_REASON].decode("utf-8", "ignore")


def _tell(connection: Connection, number: int, answer: Mapping[str, Any]) -> None:
    connection.send_bytes(json.dumps({"number": number, **answer}).encode())


def _die_with_parent() -> None:
    """A function that hangs would outlive a run that was killed, which cannot end it any more."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
