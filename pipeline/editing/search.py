"""One search for an edit direction, in a folder of its own or the run's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.configuration.settings import ExperimentConfig
from pipeline.loop import Budget, Loop
from pipeline.parts.direction_solvers import build_direction_solver
from pipeline.runs.folder import RunFolder
from solvers.directions import FindsDirection, start_from
from vqlso.contracts import CountsImages
from vqlso.problems.direction import Direction
from vqlso.progress import Progress
from vqlso.records import Proposal, Scores

LINE = 1000  # images that a line of the journal tells of: about what a kill loses
LOOKS = 12  # at most, beside the last


@dataclass(frozen=True)
class Found:
    """What a search ended with.

    Attributes:
        d: (*shape), at most L long.
        looks: images scored so far, and the vector then.
        images: scored in all.
        failures: candidates without a value.
        seconds: of the search, whatever was interrupted.
    """

    d: NDArray[np.float64]
    looks: Sequence[tuple[int, NDArray[np.float64]]]
    images: int
    failures: int
    seconds: float


class DirectionLoop(Loop):
    """The loop around a search for a direction: it looks at the vector now and then.

    A look is a function of the journal: a continued run looks where an uninterrupted one does.

    Args:
        problem: scores the candidates.
        solver: the search.
        folder, budget, seed, progress: as `Loop`.
    """

    def __init__(
        self,
        *,
        problem: Direction,
        solver: FindsDirection,
        folder: RunFolder,
        budget: Budget,
        seed: int,
        progress: Progress,
    ) -> None:
        super().__init__(
            problem=problem,
            generator=problem.generator,
            archive=start_from(problem),
            solver=solver,
            folder=folder,
            budget=budget,
            group=max(1, LINE // images_a_proposal(problem, solver, budget.batch)),
            seed=seed,
            progress=progress,
        )
        self._finder = solver
        self._space = problem.space
        self.looks: list[tuple[int, NDArray[np.float64]]] = []

    @property
    def direction(self) -> NDArray[np.float64]:
        """(*shape), shortened to L where the solver itself knows none."""
        return np.asarray(self._space.within(self._finder.direction[None])[0])

    def absorb(self, proposal: Proposal, scores: Scores) -> None:
        before = self.queries
        super().absorb(proposal, scores)
        every = self.budget.queries / LOOKS
        if self.queries // every > before // every:
            self.looks.append((self.queries, self.direction))


def images_a_proposal(problem: Direction, solver: FindsDirection, batch: int) -> int:
    """Images that the first proposal of so many candidates takes, the solver's own included."""
    own = solver.images_of(batch) if isinstance(solver, CountsImages) else 0
    return own + problem.images_of(batch)


def find(
    config: ExperimentConfig, folder: RunFolder, problem: Direction, progress: Progress
) -> Found:
    """Search, or continue to search, by the configured solver.

    Raises:
        RunFolderError: the folder cannot be written, or belongs to another search.
        VqlsoError: whatever generator, attribute and solver raise.
    """
    solver, batch = build_direction_solver(config, problem)
    loop = DirectionLoop(
        problem=problem,
        solver=solver,
        folder=folder,
        budget=Budget(config.queries, batch),
        seed=config.seed,
        progress=progress,
    )
    loop.run()
    events = folder.journal.events()
    told = [event for event in events if event["event"] == "proposals"]
    return Found(
        d=loop.direction,
        looks=[*loop.looks, (loop.queries, loop.direction)],
        images=loop.queries,
        failures=sum(len(event["reasons"]) for event in told),
        seconds=sum(sum(event["time"]["seconds"].values()) for event in events),
    )
