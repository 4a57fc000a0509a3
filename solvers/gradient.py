"""Gradient ascent on a problem that can be differentiated, as ask and tell (paper 001, III-D)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray

from solvers.ascent import Ascent, Point, Rule, adam, lbfgs, nesterov, with_decays
from solvers.history import History
from solvers.starts import Start, require_start, starting_latent
from vqlso.archive import Archive
from vqlso.contracts import DifferentiableProblem, KeepsGradients
from vqlso.errors import SolverError
from vqlso.records import Proposal, Scores


class GradientSearch:
    """The points at which a gradient method evaluates the problem, one after the other.

    The solver differentiates the problem by itself; scores that are told teach it nothing but
    ids. So its path follows from the archive and the seed alone: id i is a point of chain
    i % chains, and a killed run is restored by computing the path again, at one gradient a point.
    `ask` counts the gradients behind a proposal since `rebase` as the detail "gradients"; images
    are counted where they are scored. Failed points are not replaced.

    Chains run in lockstep, each evaluation of all in one batch: one for every target of the
    problem, every trial step (the grid search of paper 001) and every start.

    Args:
        problem: what is climbed.
        rule: the method.
        evaluations: of all chains together, for the decay of the step at one and two thirds.
        steps: base steps that are tried side by side, each > 0.
        starts: how many starts, >= 1.
        start: "prior" begins at samples of the space, "best" at the best training latents.
        seed: of the samples.

    Raises:
        SolverError: a setting outside its range.
    """

    def __init__(
        self,
        problem: DifferentiableProblem,
        rule: Rule,
        *,
        evaluations: int = 1000,
        steps: Sequence[float] = (1.0,),
        starts: int = 1,
        start: Start = "prior",
        seed: int = 0,
    ) -> None:
        require_start(start)
        if not steps or not all(0 < step < np.inf for step in steps) or starts < 1:
            raise SolverError(
                "A gradient search needs positive steps and at least one start; got "
                f"{list(steps)} and {starts}."
            )
        self.problem = problem
        self.rule = rule
        self.evaluations = evaluations
        self.steps = tuple(steps)
        self.starts = starts
        self.start: Start = start
        self.seed = seed
        self._history = History(problem.space)
        self._path: _Lockstep | None = None
        self._next_id = 0
        self._first_round = 0

    @property
    def chains(self) -> int:
        """How many paths run in lockstep."""
        return self.problem.targets * len(self.steps) * self.starts

    def follow(self, problem: DifferentiableProblem) -> None:
        """Climb the problem under a retrained generator from the next `rebase` on."""
        self.problem = problem

    def rebase(self, archive: Archive) -> None:
        """Start afresh."""
        self._history.rebase(archive)
        self._path = None
        self._first_round = self._next_id // self.chains

    def tell(self, proposal: Proposal, scores: Scores) -> None:
        """Only the ids are learnt from.

        Raises:
            SolverError: as `History.tell`.
        """
        self._history.tell(proposal, scores)
        self._next_id = max(self._next_id, int(proposal.ids.max()) + 1)

    def ask(self, n: int) -> Proposal:
        """The next n >= 1 points of the chains in turn.

        Raises:
            SolverError: nothing is asked for, before `rebase`, the problem's generator is another
                one than the archive's, or the score is not finite where a chain begins.
        """
        ids = self._history.new_ids(n)
        if self.problem.version != self._history.version:
            raise SolverError(
                f"The archive's latents belong to generator {self._history.version}, the problem "
                f"that is climbed to {self.problem.version}: call follow before rebase."
            )
        if self._path is None:
            self._path = _Lockstep(self.problem, [self._chain(c) for c in range(self.chains)])
        z = np.stack([self._point(self._path, int(id_)) for id_ in ids])
        return self._history.proposal(ids, z, details={"gradients": self._path.gradients})

    def _point(self, path: _Lockstep, id_: int) -> NDArray[np.float64]:
        round_, chain = divmod(id_, self.chains)
        path.advance_to(round_ - self._first_round)
        return np.asarray(path.z[chain])

    def _chain(self, index: int) -> Ascent:
        """Targets change fastest, as the ids' targets do."""
        rest, target = divmod(index, self.problem.targets)
        rank, step = divmod(rest, len(self.steps))
        z = starting_latent(
            self._history,
            self.start,
            seed=self.seed,
            rank=rank,
            target=target,
            targets=self.problem.targets,
        )
        evaluations = max(1, self.evaluations // self.chains)
        return with_decays(self.rule, z, self.steps[step], evaluations)


class Adam(GradientSearch):
    """Adam, by default with the moments' decay of PGAN's training (paper 001, section IV-C).

    Args:
        problem: as `GradientSearch`.
        betas: decay of the first and the second moment.
        evaluations, steps, starts, start, seed: as `GradientSearch`.
    """

    def __init__(
        self,
        problem: DifferentiableProblem,
        *,
        betas: tuple[float, float] = (0.0, 0.99),
        evaluations: int = 1000,
        steps: Sequence[float] = (1.0,),
        starts: int = 1,
        start: Start = "prior",
        seed: int = 0,
    ) -> None:
        super().__init__(
            problem,
            partial(adam, betas=betas),
            evaluations=evaluations,
            steps=steps,
            starts=starts,
            start=start,
            seed=seed,
        )


class Nesterov(GradientSearch):
    """Nesterov's momentum; its steps scale with the criterion, unlike Adam's: try several.

    Args:
        problem: as `GradientSearch`.
        momentum: in [0, 1).
        evaluations, steps, starts, start, seed: as `GradientSearch`.
    """

    def __init__(
        self,
        problem: DifferentiableProblem,
        *,
        momentum: float = 0.9,
        evaluations: int = 1000,
        steps: Sequence[float] = (1.0,),
        starts: int = 1,
        start: Start = "prior",
        seed: int = 0,
    ) -> None:
        super().__init__(
            problem,
            partial(nesterov, momentum=momentum),
            evaluations=evaluations,
            steps=steps,
            starts=starts,
            start=start,
            seed=seed,
        )


class LBFGS(GradientSearch):
    """LBFGS with a backtracking line search, each trial of which is an evaluation of its own.

    Args:
        problem: as `GradientSearch`.
        memory: pairs of steps and gradient differences that are kept.
        evaluations, steps, starts, start, seed: as `GradientSearch`.
    """

    def __init__(
        self,
        problem: DifferentiableProblem,
        *,
        memory: int = 10,
        evaluations: int = 1000,
        steps: Sequence[float] = (1.0,),
        starts: int = 1,
        start: Start = "prior",
        seed: int = 0,
    ) -> None:
        super().__init__(
            problem,
            partial(lbfgs, memory=memory),
            evaluations=evaluations,
            steps=steps,
            starts=starts,
            start=start,
            seed=seed,
        )


class _Lockstep:
    """Chains whose points are evaluated together.

    Attributes:
        z: (chains, *shape) where the chains are.
        gradients: computed so far.
    """

    def __init__(self, problem: DifferentiableProblem, chains: Sequence[Ascent]) -> None:
        self._problem = problem
        self._chains = chains
        self._steps = 0
        self.z = np.stack([next(chain) for chain in chains])

    @property
    def gradients(self) -> int:
        return self._steps * len(self._chains)

    def advance_to(self, steps: int) -> None:
        """Go on to the points behind so many evaluations of each chain."""
        while self._steps < steps:
            values, gradients = value_and_gradient(self._problem, self.z)
            points = map(Point, self.z, values.tolist(), gradients)
            moved = [chain.send(point) for chain, point in zip(self._chains, points, strict=True)]
            self.z = np.stack(moved)
            self._steps += 1


def value_and_gradient(
    problem: DifferentiableProblem, z: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(n, *shape) latents -> (n,) scores and their (n, *shape) gradients, in one batch."""
    if isinstance(problem, KeepsGradients):
        return problem.value_and_gradient(z)
    with torch.enable_grad():
        leaf = torch.from_numpy(z).requires_grad_(True)
        values = problem.value(leaf)
        (gradient,) = torch.autograd.grad(values.sum(), leaf)
    return values.detach().double().cpu().numpy(), gradient.numpy()
