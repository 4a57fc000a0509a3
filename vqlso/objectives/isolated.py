"""A Python function as the black box in a process of its own, where it may hang or die.

The process is started from nothing, so it shares neither memory nor threads with the run. Images
travel to it as arrays, and numbers or words back as JSON: nothing is unpickled on either side.
"""

from __future__ import annotations

import ctypes
import io
import json
import signal
import subprocess
import sys
import weakref
from collections.abc import Mapping
from contextlib import suppress
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
# A hang within a batch is noticed after the time of all its images.
BATCH = 32
LONGEST_ANSWER = 1 << 20  # bytes, of a batch's numbers or of a reason
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
        buffer = io.BytesIO()
        np.save(buffer, images, allow_pickle=False)
        try:
            answer = self._worker.answer(buffer.getvalue(), seconds)
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

    def answer(self, question: bytes | None, seconds: float | None) -> Mapping[str, Any]:
        """What it says.

        Args:
            question: an .npy file; None waits for its greeting.
            seconds: to wait; None for ever.

        Raises:
            BlackBoxError: it hangs or has died.
        """
        try:
            if question is not None:
                self._connection.send_bytes(question)
            if not self._connection.poll(seconds):
                raise BlackBoxError(f"no answer within {seconds:g} s; its process was ended")
            answer: Mapping[str, Any] = json.loads(self._connection.recv_bytes(LONGEST_ANSWER))
        except (EOFError, OSError) as error:
            raise BlackBoxError(f"its process {self._death()}") from error
        return answer

    def _death(self) -> str:
        code = self._process.wait()
        if code < 0:
            return f"was killed by {signal.Signals(-code).name}"
        return f"ended with exit code {code}"


def _ended(process: subprocess.Popen[bytes], connection: Connection) -> None:
    connection.close()
    process.kill()
    process.wait()


def serve(descriptor: int, target: str) -> None:
    """Answer until there is nobody to answer to; the other process's whole life."""
    _die_with_parent()
    connection = Connection(descriptor)
    try:
        objective = PythonObjective(target)
    except ConfigError as error:
        _tell(connection, {"refused": str(error)})
        return
    _tell(connection, {})
    with suppress(EOFError, OSError):
        while True:
            images = np.load(io.BytesIO(connection.recv_bytes()), allow_pickle=False)
            _tell(connection, _answer(objective, images))


def _answer(objective: PythonObjective, images: NDArray[np.float32]) -> dict[str, Any]:
    try:
        return {"values": objective.of_arrays(images).tolist()}
    except (Exception, SystemExit) as error:
        return {"failed": reason_of(error)[: LONGEST_ANSWER // 8]}


def _tell(connection: Connection, answer: Mapping[str, Any]) -> None:
    connection.send_bytes(json.dumps(answer).encode())


def _die_with_parent() -> None:
    """A function that hangs would outlive a run that was killed, which cannot end it any more."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
