"""The runs folder as the page sees it: nothing outside it, and nothing that is not a run's."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.evolution.settings import TASK
from pipeline.runs.folder import RunFolder
from vqlso.errors import RunFolderError

DEPTH = 3  # levels at which run folders are looked for: studies keep theirs deeper than others
MOST = 500  # run folders listed
SHOWN = 12  # best images
_CONFIG = "config.yaml"
_EVALUATION = "evaluation.npz"
_TASK = re.compile(r"^task: (\w+)$", re.MULTILINE)


@dataclass(frozen=True)
class Run:
    """A run folder in a list.

    Attributes:
        name: its path below the runs folder, with slashes.
        changed: when its newest file at the top was written.
        is_session: whether a person picks in it.
        has_report: whether it has a page.
    """

    name: str
    changed: datetime
    is_session: bool
    has_report: bool

    @property
    def can_be_picked_in(self) -> bool:
        """Whether the page opens it: sessions lie directly in the runs folder."""
        return self.is_session and "/" not in self.name


class RunsFolder:
    """Run folders below one folder.

    Args:
        root: made where it is missing.

    Raises:
        RunFolderError: it cannot be made.
    """

    def __init__(self, root: Path) -> None:
        self.root = RunFolder(root).path.resolve()

    def all(self) -> list[Run]:
        """The run folders, the newest first."""
        found = [self._described(path) for path in self._paths()]
        return sorted(found, key=lambda run: run.changed, reverse=True)[:MOST]

    def described(self, name: str) -> Run:
        """One run as the list has it.

        Raises:
            RunFolderError: as `path`.
        """
        return self._described(self.path(name))

    def path(self, name: str) -> Path:
        """Where a run lies.

        Args:
            name: as the page was told it, and so of any content.

        Raises:
            RunFolderError: it is no run folder below the root, or a link that leads out of it.
        """
        return self.file(name, _CONFIG).parent

    def file(self, name: str, file: str) -> Path:
        """A file at the top of a run folder, every link followed.

        Raises:
            RunFolderError: there is none, or it lies outside the root.
        """
        try:
            folder = (self.root / name).resolve(strict=True)
            real = (folder / file).resolve(strict=True)
        except (OSError, ValueError, RuntimeError):  # a NUL byte; links in a circle
            raise _unknown(name, file) from None
        inside = folder != self.root and folder.is_relative_to(self.root)
        if not (inside and real.is_relative_to(folder) and real.is_file()):
            raise _unknown(name, file)
        return real

    def new(self, name: str) -> RunFolder:
        """A folder for something that begins."""
        return RunFolder(self.root / name)

    def best_images(self, name: str) -> NDArray[np.uint8]:
        """(n, 3, H, W) uint8, the best of a measured run; none where it has kept none."""
        none = np.empty((0, 3, 0, 0), dtype=np.uint8)
        if not self._holds(name, _EVALUATION):
            return none
        images = RunFolder(self.path(name)).read_arrays(_EVALUATION).get("best_images", none)
        return images[:SHOWN] if images.ndim == 4 and images.dtype == np.uint8 else none

    def _holds(self, name: str, file: str) -> bool:
        try:
            self.file(name, file)
        except RunFolderError:
            return False
        return True

    def _paths(self) -> Iterator[Path]:
        for folder, below, files in os.walk(self.root):
            depth = len(Path(folder).relative_to(self.root).parts)
            is_run = depth > 0 and _CONFIG in files
            below[:] = [] if is_run or depth == DEPTH else sorted(below)
            if is_run:
                yield Path(folder)

    def _described(self, path: Path) -> Run:
        name = path.relative_to(self.root).as_posix()
        times = [entry.stat(follow_symlinks=False).st_mtime for entry in os.scandir(path)]
        return Run(
            name=name,
            changed=datetime.fromtimestamp(max(times)).astimezone(),
            is_session=_task(path / _CONFIG) == TASK,
            has_report=self._holds(name, "report.html"),
        )


def _task(config: Path) -> str | None:
    """Read by a line's pattern: YAML of hundreds of runs would take seconds."""
    try:
        found = _TASK.search(config.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        return None
    return found and found[1]


def _unknown(name: str, file: str) -> RunFolderError:
    if file == _CONFIG:
        return RunFolderError(
            f"There is no run “{name[:80]}” in the runs folder. The list of runs shows those that "
            "can be opened."
        )
    return RunFolderError(f"The run “{name[:80]}” has no {file}.")
