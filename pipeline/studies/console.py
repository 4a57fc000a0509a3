"""How a sweep shows what it does: bars on a terminal, lines elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from time import monotonic

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from pipeline.report.headline import duration
from pipeline.studies.jobs import Job, Outcome, Preparing, Running

QUERY = b'{"event": "query"'
SPEED_SECONDS = 600.0  # queries come in bursts between retrainings


class Quiet:
    """Counts, and says only what a person must know.

    Args:
        complain: writes a paragraph on the error stream.
    """

    def __init__(self, complain: Callable[[str], None]) -> None:
        self._complain = complain
        self.planned = self.before = self.done = self.failed = 0

    def begins(self, runs: Sequence[Job], finished: int) -> None:
        """Remember how much there is to do."""
        self.planned, self.before = len(runs), finished

    def began(self, job: Job) -> None:
        """Nothing to say."""

    def ended(self, job: Job, outcome: Outcome) -> None:
        """Say why a run failed, and what its worker remarked."""
        if isinstance(job, Preparing):
            return  # what it fails, fails with its reason
        self.done += not outcome.reason
        self.failed += bool(outcome.reason)
        for remark in outcome.remarks:
            self._complain(remark)
        if outcome.reason:
            self._complain(f"{job.label} failed: {outcome.reason}")

    def lost(self, job: Job, reason: str) -> None:
        """Say that a worker died."""
        self._complain(f"{job.label}: {reason} It is tried again.")

    def tick(self) -> None:
        """Nothing to say."""


class Lines(Quiet):
    """A line whenever something begins or ends, for logs.

    Args:
        complain: writes a paragraph on the error stream.
        say: writes a line on it.
    """

    def __init__(self, complain: Callable[[str], None], say: Callable[[str], None]) -> None:
        super().__init__(complain)
        self._say = say
        self._began: dict[str, float] = {}
        self._first = monotonic()

    def begins(self, runs: Sequence[Job], finished: int) -> None:
        """Say how much there is to do."""
        super().begins(runs, finished)
        self._say(f"{len(runs)} runs to do, {finished} finished before")

    def began(self, job: Job) -> None:
        """Say so."""
        self._began[job.label] = monotonic()
        if isinstance(job, Preparing):
            self._say(f"preparing {job.label}")
            self._first = monotonic()

    def ended(self, job: Job, outcome: Outcome) -> None:
        """Say so, and how long the rest will take if it goes on like this."""
        super().ended(job, outcome)
        over, now = self.done + self.failed, monotonic()
        if isinstance(job, Preparing):
            self._first = now
        elif not outcome.reason:
            left = (now - self._first) * (self.planned - over) / over
            self._say(
                f"{over} of {self.planned}: {job.label} finished in "
                f"{duration(now - self._began.pop(job.label, now))}"
                + (f"; {self.failed} failed" if self.failed else "")
                + (f"; about {duration(left)} left" if over < self.planned else "")
            )


class Bars(Quiet):
    """A bar of all queries with an ETA, and one of each run that is running.

    Args:
        complain: writes a paragraph on the error stream.
        console: where the bars are drawn.

    Attributes:
        bars: the first one is of all queries.
    """

    def __init__(self, complain: Callable[[str], None], console: Console) -> None:
        super().__init__(complain)
        self.bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("queries"),
            TimeElapsedColumn(),
            TextColumn("ETA"),
            TimeRemainingColumn(),
            console=console,
            speed_estimate_period=SPEED_SECONDS,
            transient=True,
        )
        self._working: dict[Path, TaskID] = {}
        self._answered: dict[Path, int] = {}
        self._answered_before = 0
        self._all = self.bars.add_task("")

    def __enter__(self) -> Bars:
        self.bars.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.bars.stop()

    def begins(self, runs: Sequence[Job], finished: int) -> None:
        """Count the queries."""
        super().begins(runs, finished)
        self._answered = {run.folder: _answered(run.folder) for run in runs}
        self._answered_before = sum(self._answered.values())
        queries = sum(run.config.queries for run in runs)
        self.bars.update(self._all, total=queries - self._answered_before)
        self._draw()

    def began(self, job: Job) -> None:
        """Add its bar; nobody knows how long a preparation takes."""
        if isinstance(job, Preparing):
            bar = self.bars.add_task(f"  preparing {job.label}", total=None)
        else:
            bar = self.bars.add_task(f"  {job.label}", total=job.config.queries)
        self._working[job.folder] = bar
        self._draw()

    def ended(self, job: Job, outcome: Outcome) -> None:
        """Remove its bar."""
        super().ended(job, outcome)
        self._remove(job)
        if isinstance(job, Running):
            self._answered[job.folder] = job.config.queries
        self._draw()

    def lost(self, job: Job, reason: str) -> None:
        """Remove its bar until it is tried again."""
        super().lost(job, reason)
        self._remove(job)

    def tick(self) -> None:
        """See how far the running runs are."""
        for folder, bar in self._running():
            self._answered[folder] = _answered(folder)
            self.bars.update(bar, completed=self._answered[folder])
        self._draw()

    def _running(self) -> list[tuple[Path, TaskID]]:
        return [each for each in self._working.items() if each[0] in self._answered]

    def _remove(self, job: Job) -> None:
        if job.folder in self._working:
            self.bars.remove_task(self._working.pop(job.folder))

    def _draw(self) -> None:
        self.bars.update(
            self._all,
            completed=sum(self._answered.values()) - self._answered_before,
            description=(
                f"runs: {self.before + self.done} of {self.before + self.planned} done, "
                f"{len(self._running())} running, {self.failed} failed"
            ),
        )


def _answered(run: Path) -> int:
    """How many queries a run's journal tells of; it may be writing it."""
    journal = run / "journal.jsonl"
    return journal.read_bytes().count(QUERY) if journal.is_file() else 0
