"""Running a study: what is shared first, then every run that is not finished yet."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.studies.contracts import Watch, Workers
from pipeline.studies.folder import StudyFolder, ended
from pipeline.studies.jobs import PREPARED, Job, Outcome, Preparing, Running, perform
from pipeline.studies.study import PlannedRun
from vqlso.errors import MissingExtraError
from vqlso.progress import SILENT, Progress

FAILURES = "failures"


@dataclass(frozen=True)
class InThisProcess:
    """One job after the other, without Ray.

    Attributes:
        progress: shows each job's long steps.
    """

    progress: Progress = SILENT

    def __enter__(self) -> InThisProcess:
        return self

    def __exit__(self, *error: object) -> None:
        """Nothing is left running."""

    def work(
        self,
        jobs: Sequence[Job],
        watch: Watch,
        at_once: int | None = None,  # noqa: ARG002
    ) -> None:
        """Do all jobs in their order."""
        for job in jobs:
            watch.began(job)
            watch.ended(job, perform(job, self.progress))


def ray_workers(count: int | None, address: str | None) -> Workers:
    """Workers on this machine or on a cluster.

    Args:
        count: how many; None takes the cores, or the GPUs, that there are.
        address: HOST:PORT of a cluster's head; None starts workers here.

    Raises:
        MissingExtraError: Ray is not installed.
    """
    try:
        from pipeline.studies.ray_workers import RayWorkers
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "ray":
            raise
        raise MissingExtraError(
            "Several workers need Ray, which is not installed: `pip install '.[sweep]'` in the "
            "project's clone. "
            "Without it `vqlso sweep STUDY --workers 0` does the runs one after the other."
        ) from error
    return RayWorkers(count, address)


def sweep(
    name: str,
    runs: Sequence[PlannedRun],
    folder: StudyFolder,
    workers: Workers,
    watch: Watch,
    command: Sequence[str] = (),
) -> dict[str, str]:
    """Bring every run of a study to its end; calling it again continues where it was stopped.

    Args:
        name: of the study.
        runs: all of them, checked.
        folder: where everything is kept.
        workers: do the work.
        watch: is told of it.
        command: continues the study.

    Returns:
        Why runs failed, by their folders' names; empty if all are finished.

    Raises:
        StudyError: another sweep is in the folder, or it cannot be written.
        KeyboardInterrupt: with a message that says how to continue.
    """
    with folder.locked():
        folder.require(name)
        folder.keep_plan(name, runs)
        recorder = _Recorder(name, runs, folder, watch)
        unfinished = [run for run in runs if not ended(folder.run_of(run))]
        jobs = {run.name: _job(run, folder) for run in unfinished}
        watch.begins(list(jobs.values()), len(runs) - len(jobs))
        try:
            with workers:
                workers.work(_preparations(jobs.values()), recorder, at_once=1)
                _pass_on(jobs.values(), recorder)
                ready = [job for run, job in jobs.items() if run not in recorder.reasons]
                workers.work(ready, recorder)
        except KeyboardInterrupt as interrupt:
            raise KeyboardInterrupt(
                "Interrupted. Finished runs are kept, the others go on from where they were: "
                f"`{shlex.join(command)}` continues the study."
            ) from interrupt
    return recorder.reasons


def _job(run: PlannedRun, folder: StudyFolder) -> Running:
    return Running(
        run.label,
        run.config,
        folder.run_of(run),
        run.command,
        folder.preparation_of(run.config),
    )


def _preparations(runs: Iterable[Running]) -> list[Preparing]:
    """What unfinished runs share, each once.

    They are made one after the other, on all cores: two of them may need the same scorer.
    """
    first: dict[Path, Running] = {}
    for run in runs:
        first.setdefault(run.prepared, run)
    return [
        Preparing(f"data and networks of {run.label}", run.config, path)
        for path, run in first.items()
        if not (path / PREPARED).is_file()
    ]


def _pass_on(runs: Iterable[Running], recorder: _Recorder) -> None:
    """What could not be prepared fails every run that needs it."""
    for run in runs:
        if run.prepared in recorder.unprepared:
            recorder.ended(run, recorder.unprepared[run.prepared])


class _Recorder:
    """Keeps in the study's folder why runs failed, as soon as they do."""

    def __init__(
        self, name: str, runs: Sequence[PlannedRun], folder: StudyFolder, watch: Watch
    ) -> None:
        self.reasons: dict[str, str] = {}
        self.unprepared: dict[Path, Outcome] = {}
        self._name, self._runs, self._folder, self._watch = name, runs, folder, watch
        self.began, self.lost, self.tick = watch.began, watch.lost, watch.tick
        self.begins = watch.begins

    def ended(self, job: Job, outcome: Outcome) -> None:
        if outcome.reason and isinstance(job, Preparing):
            self.unprepared[job.folder] = outcome
        elif outcome.reason:
            self.reasons[job.folder.name] = outcome.reason
            self._folder.keep_plan(self._name, self._runs, self.reasons)
            if outcome.trace:
                self._folder.write(f"{FAILURES}/{job.folder.name}.txt", outcome.trace.encode())
        self._watch.ended(job, outcome)
