"""One input at a time under watch: what may be raised, done, and taken.

An audit hook tells what Python is asked to do (PEP 578). It stays for good, and so do limits of
memory: whoever watches does it in a process of its own.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

from vqlso.errors import VqlsoError

MIB = 2**20
MOST_MIB = 1024  # of address space beyond what is there before the first case
HANGS = 10  # processor seconds of one case
# Code, processes, the network, and libraries that are loaded because data say so.
FORBIDDEN = ("compile", "exec", "import", "pickle.find_class", "marshal.loads", "ctypes.dlopen")
FORBIDDEN_PARTS = ("subprocess.", "socket.", "os.system", "os.exec", "os.fork", "os.posix_spawn")
# They turn annotations and fields of own classes into code; ast parses literals and runs nothing.
OWN_CODE = ("typing", "dataclasses", "ast")
WRITES = ("os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.symlink", "os.link", "os.truncate")
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


class HangError(BaseException):
    """A case that takes too long; no reader may catch it."""


@dataclass
class Watch:
    """Watches what a reader does with inputs.

    Args:
        within: the only folder that may be written.

    Attributes:
        refused: cases that ended in an error that a user is meant to see.
        accepted: cases that were read.
        failed: cases that ended otherwise.
        defects: what went wrong otherwise, by a line that tells it, with one such input.
    """

    within: Path
    refused: int = 0
    accepted: int = 0
    failed: int = 0
    defects: dict[str, bytes] = field(default_factory=dict)
    _watching: bool = False
    _known: frozenset[str] = frozenset()
    _seen: list[str] = field(default_factory=list)

    def begin(self) -> None:
        """Limit memory and time, and listen; there is no way back."""
        self._known = frozenset(
            {*sys.stdlib_module_names, *(name.partition(".")[0] for name in sys.modules)}
        )
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
        most = pages * resource.getpagesize() + MOST_MIB * MIB
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
        signal.signal(signal.SIGPROF, _hang)
        sys.addaudithook(self._hear)

    def case(self, read: Callable[[Any], object], given: Any) -> None:
        """Let the reader have one input, and keep what becomes of it."""
        self._seen.clear()
        told = ""
        signal.setitimer(signal.ITIMER_PROF, HANGS)
        self._watching = True
        try:
            read(given)
            self.accepted += 1
        except VqlsoError as error:
            self.refused += 1
            if not str(error):
                told = f"an empty message of {_where(error)}"
        except HangError as error:
            self.failed += 1
            told = f"longer than {HANGS} s at {_where(error)}"
        except BaseException as error:
            self.failed += 1
            told = f"{type(error).__name__} at {_where(error)}: {error}"[:300]
        finally:
            self._watching = False
            signal.setitimer(signal.ITIMER_PROF, 0)
        for line in [told, *self._seen] if told else self._seen:
            self.defects.setdefault(
                line, given if isinstance(given, bytes) else repr(given).encode()
            )

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self._watching:
            return
        if event in FORBIDDEN or event.startswith(FORBIDDEN_PARTS):
            if event == "import" and str(arguments[0]).partition(".")[0] in self._known:
                return
            if event != "import" and _of_own_code():
                return
            self._keep(f"{event} of {arguments[:1]!r}")
        elif event in WRITES or (event == "open" and _for_writing(arguments)):
            places = [each for each in arguments[:2] if isinstance(each, str | bytes)]
            for place in places[:1] if event == "open" else places:
                path = Path(os.fsdecode(place)).absolute()
                if "__pycache__" in path.parts:  # Numba's, of what it compiled
                    continue
                if not path.is_relative_to(self.within):
                    self._keep(f"{event} of {os.fsdecode(place)}")

    def _keep(self, line: str) -> None:
        self._watching = False  # what tells of it must not be heard
        self._seen.append(line[:300])
        self._watching = True


def peak_mib() -> float:
    """The largest memory that this process has held so far, MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _for_writing(arguments: tuple[Any, ...]) -> bool:
    _, mode, flags = arguments[:3]
    if isinstance(mode, str):
        return any(letter in mode for letter in "wax+")
    return bool(isinstance(flags, int) and flags & WRITING)


def _of_own_code() -> bool:
    """Whether classes are made, or a known package imports its parts."""
    frame: FrameType | None = sys._getframe(2)
    if frame and frame.f_globals.get("__name__") in OWN_CODE:
        return True
    while frame and frame.f_globals.get("__name__") != "importlib._bootstrap":
        frame = frame.f_back
    return frame is not None


def _hang(_signal: int, _frame: FrameType | None) -> None:
    raise HangError


def _where(error: BaseException) -> str:
    """The innermost line of the project's own packages, or of any."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [
        each for each in frames if {"vqlso", "solvers", "pipeline"} & {*Path(each.filename).parts}
    ]
    own = [each for each in own if "site-packages" not in each.filename] or frames
    return f"{Path(own[-1].filename).name}:{own[-1].lineno}" if own else "nowhere"
