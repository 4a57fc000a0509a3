"""Running a solver of directions without a run folder, and counting the runs that fail."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from time import perf_counter
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from vqlso.archive import Archive
from vqlso.contracts import CountsImages, Solver
from vqlso.errors import ObjectiveError, TrainingError
from vqlso.problems.direction import Direction
from vqlso.records import Context

FAILURES_IN_A_ROW = 20


class FindsDirection(Solver, Protocol):
    """A solver that has an answer at any time."""

    @property
    def direction(self) -> NDArray[np.float64]:
        """(*shape), the vector found so far."""


@dataclass(frozen=True)
class FoundDirection:
    """What a search ended with.

    Attributes:
        d: (*shape), the vector.
        images: that were scored.
        proposals: that were told.
        failures: candidates without a value.
        seconds: wall-clock time.
    """

    d: NDArray[np.float64]
    images: int
    proposals: int
    failures: int
    seconds: float


def start_from(problem: Direction, d: NDArray[np.float64] | None = None) -> Archive:
    """What a search of edit vectors begins from.

    Args:
        problem: whose vectors are searched.
        d: (*shape), a vector to go on from; by default the null vector, which changes nothing.
    """
    vector = np.zeros(problem.space.shape) if d is None else d
    images = np.zeros((1, *problem.generator.image_shape), dtype=np.uint8)
    return Archive(
        images, np.zeros(1), problem.space.validate(vector[None]), problem.generator.version
    )


def find_direction(
    problem: Direction,
    solver: FindsDirection,
    *,
    images: int,
    batch: int = 2,
    seed: int = 0,
    start: NDArray[np.float64] | None = None,
) -> FoundDirection:
    """Search until another proposal would cost more than the images that are left.

    Args:
        problem: scores the candidates.
        solver: a fresh one.
        images: budget of scored images, the solver's own included.
        batch: candidates a proposal: 2 for a local search, a generation for CMA-ES, 1 for those
            that learn by themselves.
        seed: of anchors and signs.
        start: where the search begins; None for the null vector.

    Raises:
        ObjectiveError: too many candidates in a row had no value.
        TrainingError: a search by gradients met a loss or a gradient that is not finite.
    """
    begun = perf_counter()
    solver.rebase(start_from(problem, start))
    spent = proposals = failures = in_a_row = 0
    while spent + (cost := _cost(problem, solver, batch)) <= images:
        proposal = solver.ask(batch)
        scores = problem.evaluate(proposal, Context(seed, 0))
        solver.tell(proposal, scores)
        spent += cost
        proposals += 1
        failures += int((~scores.ok).sum())
        in_a_row = 0 if scores.ok.any() else in_a_row + len(proposal)
        if in_a_row >= FAILURES_IN_A_ROW:
            raise ObjectiveError(
                f"The objective failed {in_a_row} times in a row, lastly with "
                f"'{scores.reason[-1]}'."
            )
    return FoundDirection(solver.direction, spent, proposals, failures, perf_counter() - begun)


def numerical_failures(search: Callable[[int], FoundDirection], seeds: Iterable[int]) -> list[str]:
    """Why each seed's search failed; empty where it did not (Meißner et al. 2022, section 4.1).

    A search has failed if it gave up, as by gradients it does at the first loss that is no finite
    number, or if its vector is not finite.
    """
    return [_failure(search, seed) for seed in seeds]


def _failure(search: Callable[[int], FoundDirection], seed: int) -> str:
    try:
        found = search(seed)
    except (ObjectiveError, TrainingError) as error:
        return str(error)
    return "" if np.isfinite(found.d).all() else "the vector is not finite"


def _cost(problem: Direction, solver: FindsDirection, batch: int) -> int:
    own = solver.images_of(batch) if isinstance(solver, CountsImages) else 0
    return problem.images_of(batch) + own
