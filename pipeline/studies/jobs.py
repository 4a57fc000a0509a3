"""What a worker does: prepare what runs share, or bring one run to its end."""

from __future__ import annotations

import shutil
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import monotonic, sleep

from pipeline.configuration.settings import ExperimentConfig
from pipeline.experiment import resume, start
from pipeline.preparation.preparing import prepare
from pipeline.runs.folder import RunFolder
from pipeline.runs.shelf import TRAINED_HERE
from pipeline.threads import threads_of
from vqlso.errors import RunFolderError, VqlsoError
from vqlso.files import write_whole
from vqlso.hardware import limit_threads
from vqlso.progress import SILENT, Progress

TRAINED_FOR_STUDY = "trained for this study"
PREPARED = "preparation.json"
# A worker whose driver was killed lives on until it notices.
SECONDS_TO_DIE = 60.0


@dataclass(frozen=True)
class Outcome:
    """How a job ended.

    Attributes:
        reason: why it failed; empty if it did not.
        trace: the traceback of what nobody foresaw.
        remarks: what its worker had to say besides.
    """

    reason: str = ""
    trace: str = ""
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Preparing:
    """Trains what several runs need and scores the training set: the same for all of them.

    Attributes:
        label: in a few words.
        config: of any of these runs.
        folder: where it is kept, and continues from if it was interrupted.
    """

    label: str
    config: ExperimentConfig
    folder: Path

    def perform(self, progress: Progress) -> tuple[str, ...]:
        """Do it; see `perform`."""
        folder = RunFolder(self.folder)
        wait_for(folder)
        with folder.locked():
            limit_threads(threads_of(self.config))
            folder.write_json(PREPARED, prepare(self.config, folder, progress).facts)
        return ()


@dataclass(frozen=True)
class Running:
    """One run, from its beginning or from where it was interrupted.

    Attributes:
        label: in a few words.
        config: of the run.
        folder: of the run.
        command: what a person would type for it.
        prepared: the folder of what it shares with others.
    """

    label: str
    config: ExperimentConfig
    folder: Path
    command: Sequence[str]
    prepared: Path

    def perform(self, progress: Progress) -> tuple[str, ...]:
        """Do it; see `perform`."""
        remarks: list[str] = []
        folder = RunFolder(self.folder)
        wait_for(folder)
        if folder.config.is_file() and folder.begun:
            resume(self.folder, progress, tell=remarks.append)
        else:
            hand_over(RunFolder(self.prepared), folder)
            config = replace(self.config, out=str(self.folder))
            start(config, self.command, progress, remarks.append)
        return tuple(remarks)


Job = Preparing | Running


def perform(job: Job, progress: Progress = SILENT) -> Outcome:
    """Do a job; what goes wrong is told, not raised, so that the others go on."""
    try:
        return Outcome(remarks=job.perform(progress))
    except VqlsoError as error:
        return Outcome(str(error))
    except MemoryError as error:
        return Outcome(f"Out of memory: {error}. Run fewer at once with --workers N.")
    except Exception as error:  # one run's defect is no reason to lose the others
        return Outcome(f"{type(error).__name__}: {error}", traceback.format_exc())


def wait_for(folder: RunFolder) -> None:
    """Wait until no worker of a killed sweep writes to a folder any more.

    Raises:
        RunFolderError: another process keeps it.
    """
    give_up = monotonic() + SECONDS_TO_DIE
    while True:
        try:
            with folder.locked():
                return
        except RunFolderError:
            if monotonic() > give_up:
                raise
            sleep(0.2)


def hand_over(prepared: RunFolder, run: RunFolder) -> None:
    """Copy what was prepared into a run, which is then complete by itself.

    The note of a network's origin comes after it: without the note it does not count.
    """
    shared = [*(prepared.path / "networks").glob("*.safetensors")]
    for network in shared:
        copied = run.path / "networks" / network.name
        copied.parent.mkdir(exist_ok=True)
        shutil.copyfile(network, copied)
        origin = network.with_suffix(".origin").read_text()
        told = TRAINED_FOR_STUDY if origin == TRAINED_HERE else origin
        write_whole(copied.with_suffix(".origin"), told.encode())
    scored = "archive/initial.npz"
    run.write_arrays(scored, **prepared.read_arrays(scored))
