"""The loop around a person: each pick is recorded, and any earlier step can be returned to."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.evolution.beginning import damaged
from pipeline.evolution.record import Answer, course
from pipeline.loop import Budget, Loop
from pipeline.runs.folder import RunFolder
from pipeline.runs.journal import Event
from pipeline.runs.replay import replayed
from solvers.preference import PreferenceEvolution
from vqlso.archive import Archive
from vqlso.problems.preference import Preference
from vqlso.records import Proposal, Scores


class PreferenceLoop(Loop):
    """The loop around `Preference`: a person may take an hour between `propose` and `record`.

    What was picked from generations that were left by a way back stays in journal and archive; only
    the solver forgets it.

    Args:
        problem: shows images.
        archive: the start.
        solver: makes the generations.
        folder: of the session.
        population: images a generation.
        seed: of the session.
    """

    def __init__(
        self,
        *,
        problem: Preference,
        archive: Archive,
        solver: PreferenceEvolution,
        folder: RunFolder,
        population: int,
        seed: int,
    ) -> None:
        super().__init__(
            problem=problem,
            generator=problem.generator,
            archive=archive,
            solver=solver,
            folder=folder,
            # A person stops when the image is right.
            budget=Budget(queries=sys.maxsize, batch=population),
            seed=seed,
        )
        self.evolution = solver

    @property
    def journal_bytes(self) -> int:
        """Size of the journal, by which another window tells that the session has gone on."""
        return self.folder.journal.path.stat().st_size

    def begin(self) -> None:
        """Go on from whatever the journal tells.

        Raises:
            RunFolderError: the journal is damaged, belongs to another generator, or its
                generations do not follow each other.
        """
        if [event["event"] for event in self.folder.journal.events()[:1]] not in ([], ["round"]):
            raise damaged("The beginning of the journal")
        self.restore()
        if self.round < 0:
            self._open_round(self.generator, {}, 0.0)

    def answer(
        self, proposal: Proposal, scores: Scores, mutation: float | None, seconds: float
    ) -> None:
        """Record picks, and the size that the person wants the next generation to be made with.

        Raises:
            SolverError: a size outside its range; nothing is recorded.
            RunFolderError: the folder cannot be written.
        """
        self.evolution.choose(mutation)
        details = {**proposal.details, "chosen": mutation}
        self.record(replace(proposal, details=details), scores, seconds)

    def back_to(self, generation: int) -> None:
        """Forget what was picked from this generation of the line on, and say so in the journal.

        Raises:
            SolverError: it was not answered yet; nothing is recorded.
            RunFolderError: the folder cannot be written.
        """
        self.evolution.require_answered(generation)
        self.folder.journal.append("back", {"generation": generation})
        self.evolution.back_to(generation)

    def replay(self, events: list[Event], version: str) -> None:
        """Generation by generation, with the ways back: counts of two are not comparable."""
        if not events:
            return
        ids = [event["id"] for event in events]
        if len(set(ids)) < len(ids):
            raise damaged("The order of the journal")
        for each in course(self.folder.journal.events()):
            if isinstance(each, Answer):
                if each.generation != len(self.evolution.line):
                    raise damaged("The order of the journal")
                self.evolution.choose(each.chosen)
                self.absorb(*replayed(each.events, self._shown(each), version))
            else:
                # What was on show had its ids, on which all later draws depend.
                self.propose()
                self.evolution.back_to(each.generation)

    def _shown(self, answer: Answer) -> NDArray[np.uint8]:
        images = np.stack([self.folder.read_image(event["id"]) for event in answer.events])
        if images.shape[1:] != self.generator.image_shape:
            raise damaged("The folder archive")
        return images

    def reencoded(self, image: NDArray[np.uint8], z: NDArray[Any]) -> dict[str, float]:  # noqa: ARG002
        """Left out: it would double the time that a person waits for the next images."""
        return {}
