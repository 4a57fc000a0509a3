"""A study's folder: the plan, what became of each run, and the runs themselves."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pipeline.configuration.settings import ExperimentConfig
from pipeline.runs.folder import RunFolder
from pipeline.studies.study import PlannedRun
from vqlso.errors import RunFolderError, StudyError
from vqlso.files import locked, write_whole

PLAN = "study.json"
RUNS = "runs"


@dataclass(frozen=True)
class Planned:
    """A run as the study's folder remembers it.

    Attributes:
        method: its name.
        settings: what the grid gives it, by key.
        seed: of the run.
        run: its folder, relative to the study's.
        reason: why it failed; empty unless it did.
    """

    method: str
    settings: Mapping[str, Any]
    seed: int
    run: str
    reason: str = ""


class StudyFolder:
    """Paths and atomic writes of one study.

    Args:
        path: the folder; made where it is missing.
    """

    def __init__(self, path: Path) -> None:
        self.named = path
        self.path = path.absolute()
        with self._writing(self.path):
            self.path.mkdir(parents=True, exist_ok=True)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep every other sweep from this folder.

        Raises:
            StudyError: one is already working here.
        """
        with ExitStack() as held:
            try:
                held.enter_context(locked(self.path / ".lock"))
            except BlockingIOError as error:
                raise StudyError(
                    f"Another sweep is working in {self.named}. Wait for its end, stop it, or "
                    "choose another folder with --out DIR."
                ) from error
            yield

    def require(self, study: str) -> None:
        """Make sure that the folder is of no other study.

        Raises:
            StudyError: it is.
        """
        if is_study(self.path) and (known := kept_plan(self.path)[0]) != study:
            raise StudyError(
                f"{self.named} holds the study '{known}'. Choose another folder with --out DIR."
            )

    def run_of(self, run: PlannedRun) -> Path:
        """Where a run lies: an ordinary run folder."""
        return self.named / RUNS / run.name

    def preparation_of(self, config: ExperimentConfig) -> Path:
        """Where lies what all runs with this data, these scorers and this generator start from."""
        shared = [asdict(each) for each in (config.data, config.objective, config.generator)]
        key = hashlib.sha256(repr(shared).encode()).hexdigest()[:8]
        return self.named / "preparations" / key

    def keep_plan(
        self, name: str, runs: Sequence[PlannedRun], reasons: Mapping[str, str] | None = None
    ) -> None:
        """Write what is to be run, and why what failed did, by the run's name."""
        told = [
            Planned(
                run.method,
                run.settings,
                run.config.seed,
                f"{RUNS}/{run.name}",
                (reasons or {}).get(run.name, ""),
            )
            for run in runs
        ]
        plan = {"study": name, "runs": [asdict(each) for each in told]}
        self.write(PLAN, f"{json.dumps(plan, indent=2)}\n".encode())

    def write(self, name: str, content: bytes) -> None:
        """Write a file, whole or not at all.

        Raises:
            StudyError: the disk is full or the folder cannot be written.
        """
        with self._writing(self.path / name):
            write_whole(self.path / name, content)

    @contextmanager
    def _writing(self, path: Path) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            room = shutil.disk_usage(next(each for each in path.parents if each.exists()))
            raise StudyError(
                f"{path} cannot be written ({error.strerror}; {room.free / 1e6:.0f} MB are free). "
                "Make room, mend the folder's rights or choose another --out DIR; the same "
                "command then continues the study."
            ) from error


def is_study(path: Path) -> bool:
    """Whether a sweep has written this folder."""
    return (path / PLAN).is_file()


def kept_plan(path: Path) -> tuple[str, list[Planned]]:
    """A study's name and its runs.

    Raises:
        StudyError: the plan is damaged.
    """
    try:
        plan = json.loads((path / PLAN).read_text(encoding="utf-8"))
        return str(plan["study"]), [Planned(**each) for each in plan["runs"]]
    except (ValueError, KeyError, TypeError) as error:
        raise StudyError(
            f"{path / PLAN} is damaged. Delete it: the command that made the study writes it anew."
        ) from error


def is_finished(path: Path) -> bool:
    """Whether a run has ended and its figures are there.

    Raises:
        RunFolderError: its journal is damaged.
    """
    if not (path / "config.yaml").is_file():
        return False
    folder = RunFolder(path)
    return folder.summary.is_file() and bool(folder.journal.events("end"))


def ended(path: Path) -> bool:
    """Whether nothing is left to do for a run; one that is damaged is not, and will say so."""
    try:
        # The report comes last: a run that was killed before it still owes it.
        return is_finished(path) and (path / "report.html").is_file()
    except RunFolderError:
        return False
