"""Searches for many targets at once, and how near they were after so many evaluations."""

from __future__ import annotations

from dataclasses import dataclass
from time import process_time
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from pipeline.configuration.composition import composed
from pipeline.parts.target_solvers import TARGET_SOLVERS, build_target_solver
from solvers.gradient import GradientSearch
from solvers.inversion import scored_starts
from vqlso.archive import Archive
from vqlso.contracts import LatentSpace, Solver
from vqlso.problems.target_image import TargetImage
from vqlso.progress import SILENT, Progress
from vqlso.randomness import stream
from vqlso.records import Context, Proposal, Scores, ScoreStatus

STARTS = 16  # as `vqlso run invert`
FOUND = 1e-9  # of the criterion: an image that was found again, to the last bit of a pixel


@dataclass(frozen=True)
class Course:
    """What one method found.

    Attributes:
        z: (t, d) the best latents.
        curve: (1 + evaluations, t) the criterion of the best so far, the starts' best first.
        clock: (1 + evaluations,) seconds of the processor until then, the starts left out.
    """

    z: NDArray[np.float64]
    curve: NDArray[np.float64]
    clock: NDArray[np.float64]

    @property
    def seconds(self) -> float:
        """Of the processor, the starts left out."""
        return float(self.clock[-1])


def search(
    problem: TargetImage,
    settings: tuple[str, ...],
    evaluations: int,
    *,
    seed: int = 0,
    progress: Progress = SILENT,
) -> Course:
    """Let a solver of `vqlso run invert` search for all targets of a problem.

    Args:
        problem: the targets.
        settings: such as ("solver=adam", "solver.steps=[0.1]").
        evaluations: for each target, those of the starts among them.
        seed: of starts and solver.
        progress: shows evaluations.
    """
    kept, solver, best = begun(problem, settings, evaluations, seed=seed)
    began = process_time()
    clock = [0.0]
    label = " ".join(settings)
    with progress.task(label, evaluations - STARTS) as advance:
        for _ in range(evaluations - STARTS):
            z, values = _step(kept, solver)
            best.take(z, values)
            clock.append(process_time() - began)
            advance(1)
            if best.values.min() >= -FOUND:
                break
    return Course(best.z, -np.stack(best.curve), np.array(clock))


def begun(
    problem: TargetImage, settings: tuple[str, ...], evaluations: int, *, seed: int = 0
) -> tuple[Kept, Solver, Best]:
    """A solver that has been told of its starts, with what it climbs and the best start so far.

    Args:
        problem, settings, evaluations, seed: as `search`.
    """
    config = composed("invert", [*settings, f"queries={evaluations}", f"seed={seed}"])
    kept = Kept(problem)
    solver = build_target_solver(config, kept if climbs(settings) else problem)  # type: ignore[arg-type]
    starts = problem.space.sample(STARTS, stream(seed, "inversion starts"))
    first, scores = scored_starts(problem, np.repeat(starts, problem.targets, axis=0), seed=seed)
    solver.rebase(Archive(scores.images, scores.values, first.z, first.version))
    return kept, solver, Best(first.z, scores.values, problem.targets)


def climbs(settings: tuple[str, ...]) -> bool:
    """Whether a solver, such as ("solver=adam",), takes gradients."""
    return TARGET_SOLVERS[settings[0].partition("=")[2]].climbs


def _step(kept: Kept, solver: Solver) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """One more evaluation of every target: latents and scores, of the step before if it climbs."""
    problem = kept.problem
    proposal = solver.ask(problem.targets)
    if not isinstance(solver, GradientSearch):
        scores = problem.evaluate(proposal, Context(seed=0, round=0))
        solver.tell(proposal, scores)
        return proposal.z, scores.values
    # A gradient comes with its score: to score the point again would cost a third more.
    solver.tell(proposal, unscored(proposal))
    return kept.z, kept.values


def unscored(proposal: Proposal) -> Scores:
    """Answers that say nothing, for a solver that learns only the ids."""
    n = len(proposal)
    images = np.zeros((n, 3, 1, 1), np.uint8)
    return Scores(proposal.ids, np.zeros(n), (ScoreStatus.OK,) * n, ("",) * n, images)


class Kept:
    """A problem that keeps the last latents that were differentiated, and their scores."""

    def __init__(self, problem: TargetImage) -> None:
        self.problem = problem
        self.z = np.empty((0, *problem.space.shape))
        self.values = np.empty(0)

    @property
    def space(self) -> LatentSpace:
        return self.problem.space

    @property
    def version(self) -> str:
        return self.problem.version

    @property
    def targets(self) -> int:
        return self.problem.targets

    def value(self, z: Tensor) -> Tensor:
        values = self.problem.value(z)
        self.z, self.values = z.detach().numpy().copy(), values.detach().double().numpy()
        return values


class Best:
    """The best of each target so far."""

    def __init__(self, z: NDArray[Any], values: NDArray[np.float64], targets: int) -> None:
        rows = values.reshape(-1, targets).argmax(0) * targets + np.arange(targets)
        self.z, self.values = z[rows].copy(), values[rows].copy()
        self.curve = [self.values.copy()]

    def take(self, z: NDArray[Any], values: NDArray[np.float64]) -> None:
        """The latest point of each target; none before the first gradient."""
        if len(values):
            better = values > self.values
            self.z[better], self.values[better] = z[better], values[better]
        self.curve.append(self.values.copy())
