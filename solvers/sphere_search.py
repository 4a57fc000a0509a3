"""Search on the sphere where a generator's latents lie (Menon et al. 2020, "PULSE")."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import cast

from solvers.ascent import Rule, adam, on_spheres
from solvers.gaussian_coordinates import GaussianCoordinates, in_coordinates
from solvers.gradient import GradientSearch
from solvers.starts import Start
from vqlso.contracts import DifferentiableProblem
from vqlso.spaces import RealVectors


class SphereSearch(GradientSearch):
    """Adam whose every step ends on the sphere that it began on.

    Most of a high-dimensional normal distribution lies near a sphere around the origin, and what a
    generator was trained on lies there. A "z" is normal as it is; a "w" becomes so in
    `GaussianCoordinates`, and it is there that the length is kept. Of latents with several rows,
    such as "w+", each row keeps its own.

    Unlike the authors' code, which returns its last image, and like every search here, it keeps the
    best.

    Args:
        problem: as `GradientSearch`.
        betas: decay of Adam's moments.
        evaluations, steps, starts, start, seed: as `GradientSearch`; step and evaluations are by
            default those of the authors. The seed is also that of the coordinates' samples.
    """

    def __init__(
        self,
        problem: DifferentiableProblem,
        *,
        betas: tuple[float, float] = (0.9, 0.999),
        evaluations: int = 100,
        steps: Sequence[float] = (0.4,),
        starts: int = 1,
        start: Start = "prior",
        seed: int = 0,
    ) -> None:
        super().__init__(
            problem,
            self._rule(problem, betas, seed),
            evaluations=evaluations,
            steps=steps,
            starts=starts,
            start=start,
            seed=seed,
        )
        self.betas = betas

    def follow(self, problem: DifferentiableProblem) -> None:
        """As `GradientSearch`; the coordinates are those of the new generator's samples."""
        super().follow(problem)
        self.rule = self._rule(problem, self.betas, self.seed)

    @staticmethod
    def _rule(problem: DifferentiableProblem, betas: tuple[float, float], seed: int) -> Rule:
        coordinates = GaussianCoordinates.of(cast(RealVectors, problem.space), seed=seed)
        return in_coordinates(on_spheres(partial(adam, betas=betas)), coordinates)
