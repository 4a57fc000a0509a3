"""A search without a run folder, as for a notebook: the best so far, and whether it will do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from solvers.gradient import GradientSearch
from solvers.random_search import RandomLatents
from vqlso.archive import Archive
from vqlso.contracts import Solver
from vqlso.errors import SolverError
from vqlso.problems.image_score import ImageScore
from vqlso.problems.target_image import TargetImage
from vqlso.randomness import stream
from vqlso.records import Context, Proposal, Scores


@dataclass(frozen=True)
class Inversion:
    """What was found for each of t targets; t = 1 for problems that have none.

    Attributes:
        z: (t, *space.shape), the best latents.
        value: (t,) float64, their scores: of a target, minus the criterion.
        reached: (t,) bool, whether the score is at least minus the tolerance.
        curve: (evaluations, t) float64, the best score after each scored image; -inf before the
            first.
        gradients: how many the solver computed.
    """

    z: NDArray[Any]
    value: NDArray[np.float64]
    reached: NDArray[np.bool_]
    curve: NDArray[np.float64]
    gradients: int


def invert(
    problem: TargetImage | ImageScore,
    solver: Solver | Sequence[Solver],
    *,
    evaluations: int = 1000,
    tolerance: float = 0.0,
    batch: int = 1,
    starts: NDArray[Any] | None = None,
    seed: int = 0,
) -> Inversion:
    """Search until every target is reached or the images are spent.

    The best so far is returned in any case, and `reached` tells whether it will do.

    Args:
        problem: what is maximised.
        solver: the search. For several targets it is a gradient method or random search; of any
            other method give one solver for each target, whose images are made in common batches.
        evaluations: images that are scored in all, those of the starts among them.
        tolerance: a target is reached where the score is at least minus this.
        batch: latents that each solver is asked for at a time.
        starts: (m * targets, *space.shape) latents that are scored first and that searches may
            begin at, row i for target i % targets, such as `TargetImage.encoded`; None samples
            one for each target.
        seed: of the starts.

    Raises:
        SolverError: as many solvers as targets are needed, more evaluations, or a start that can
            be scored.
    """
    targets = problem.targets if isinstance(problem, TargetImage) else 1
    solvers = [solver] if isinstance(solver, Solver) else list(solver)
    _require_one_per_target(solvers, targets)
    if starts is None:
        starts = problem.space.sample(targets, stream(seed, "inversion starts"))
    if not targets <= len(starts) <= evaluations:
        raise SolverError(
            f"{len(starts)} starts were given for {targets} targets and {evaluations} evaluations: "
            "give at least one start for each target and no more than evaluations."
        )
    first, scores = scored_starts(problem, starts, seed=seed)
    for position, each in enumerate(solvers):
        own = slice(position, None, len(solvers))
        each.rebase(Archive(scores.images[own], scores.values[own], first.z[own], first.version))
    best = _Best(targets, evaluations)
    best.take(first, scores)
    gradients = dict.fromkeys(range(len(solvers)), 0)
    while best.left and not best.reached(tolerance).all():
        asked = solvers[: best.left]
        proposals = [each.ask(max(1, min(batch, best.left // len(asked)))) for each in asked]
        together = _together(proposals, len(solvers))
        scores = problem.evaluate(together, Context(seed=seed, round=0))
        best.take(together, scores)
        for position, proposal in enumerate(proposals):
            asked[position].tell(proposal, _own(scores, proposal, position, len(solvers)))
            gradients[position] = int(proposal.details.get("gradients", 0))
    return Inversion(
        z=best.z,
        value=best.value,
        reached=best.reached(tolerance),
        curve=np.array(best.curve),
        gradients=sum(gradients.values()),
    )


class _Best:
    """The best answer of each target so far."""

    def __init__(self, targets: int, evaluations: int) -> None:
        self._evaluations = evaluations
        self.value = np.full(targets, -np.inf)
        self.z: NDArray[Any] = np.empty(0)
        self.curve: list[NDArray[np.float64]] = []

    @property
    def left(self) -> int:
        return self._evaluations - len(self.curve)

    def reached(self, tolerance: float) -> NDArray[np.bool_]:
        return np.asarray(self.value >= -tolerance)

    def take(self, proposal: Proposal, scores: Scores) -> None:
        """Rows of proposal and scores are matched by id."""
        if not len(self.z):
            self.z = proposal.z[: len(self.value)].copy()
        row = {int(id_): position for position, id_ in enumerate(proposal.ids)}
        for id_, value in zip(scores.ids.tolist(), scores.values.tolist(), strict=True):
            target = id_ % len(self.value)
            # False for a failure, whose value is NaN.
            if value > self.value[target]:
                self.value[target] = value
                self.z[target] = proposal.z[row[id_]]
            self.curve.append(self.value.copy())


def _require_one_per_target(solvers: Sequence[Solver], targets: int) -> None:
    tells_apart = isinstance(solvers[0], GradientSearch | RandomLatents) if solvers else False
    if len(solvers) != targets and not (len(solvers) == 1 and tells_apart):
        raise SolverError(
            f"{len(solvers)} solvers were given for {targets} targets: give a gradient method, or "
            "one solver for each target."
        )


def scored_starts(
    problem: TargetImage | ImageScore, starts: NDArray[Any], *, seed: int = 0
) -> tuple[Proposal, Scores]:
    """Given latents as a proposal with ids from 0, and their scores: what an archive is made of.

    Args:
        problem: scores them.
        starts: (n, *space.shape) latents.
        seed: of the problem's context.

    Raises:
        SolverError: a start that cannot be scored.
    """
    proposal = Proposal.unproven(
        problem.space.validate(starts),
        space=problem.space.name,
        version=problem.generator.version,
    )
    scores = problem.evaluate(proposal, Context(seed=seed, round=0))
    if not scores.ok.all():
        reason = next(reason for reason in scores.reason if reason)
        raise SolverError(f"A start cannot be scored ({reason}): give others by starts or seed.")
    return proposal, scores


def _together(proposals: Sequence[Proposal], solvers: int) -> Proposal:
    """One proposal whose ids tell the targets: solver s's id i becomes i * solvers + s."""
    first = proposals[0]
    if solvers == 1:
        return replace(first, controls={})

    def joined(name: str) -> Any:
        return np.concatenate([getattr(each, name) for each in proposals])

    return replace(
        first,
        ids=np.concatenate([p.ids * solvers + place for place, p in enumerate(proposals)]),
        z=joined("z"),
        parents=joined("parents"),
        predicted=joined("predicted"),
        acquisition=joined("acquisition"),
        bound=joined("bound"),
        status=sum((each.status for each in proposals), ()),
        controls={},
        details={},
    )


def _own(scores: Scores, proposal: Proposal, position: int, solvers: int) -> Scores:
    """The answers to one solver's proposal, under its own ids."""
    row = {int(id_): place for place, id_ in enumerate(scores.ids)}
    rows = [row[int(id_) * solvers + position] for id_ in proposal.ids]
    return Scores(
        ids=proposal.ids,
        values=scores.values[rows],
        status=tuple(scores.status[place] for place in rows),
        reason=tuple(scores.reason[place] for place in rows),
        images=scores.images[rows],
    )
