"""Who does the jobs of a study, and who is told how it goes on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from pipeline.studies.jobs import Job, Outcome


class Watch(Protocol):
    """Something that is told how a sweep goes on."""

    def begins(self, runs: Sequence[Job], finished: int) -> None:
        """So many runs will be started, and so many were finished before."""

    def began(self, job: Job) -> None:
        """A worker has the job."""

    def ended(self, job: Job, outcome: Outcome) -> None:
        """The job is finished or failed."""

    def lost(self, job: Job, reason: str) -> None:
        """The job's worker died; it will be tried again."""

    def tick(self) -> None:
        """Time passes."""


class Workers(Protocol):
    """Somebody who does jobs, within a context."""

    def __enter__(self) -> Workers:
        """Begin."""

    def __exit__(self, *error: object) -> None:
        """Leave nothing running."""

    def work(self, jobs: Sequence[Job], watch: Watch, at_once: int | None = None) -> None:
        """Do all jobs, at most so many at once, and tell how each ended."""
