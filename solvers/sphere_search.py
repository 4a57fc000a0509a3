"""Search on the sphere where a generator's latents lie (Menon et al. 2020, "PULSE")."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from solvers.ascent import adam, on_spheres
from solvers.gradient import GradientSearch
from solvers.starts import Start
from vqlso.contracts import DifferentiableProblem


class SphereSearch(GradientSearch):
    """Adam whose every step ends on the sphere that it began on.

    Most of a high-dimensional normal distribution lies near a sphere around the origin, and what a
    generator was trained on lies there. Of latents with several rows, such as "w+", each row
    keeps its own length.

    Args:
        problem: as `GradientSearch`.
        betas: decay of Adam's moments.
        evaluations, steps, starts, start, seed: as `GradientSearch`; step and evaluations are by
            default those of the authors.
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
            on_spheres(partial(adam, betas=betas)),
            evaluations=evaluations,
            steps=steps,
            starts=starts,
            start=start,
            seed=seed,
        )
