"""Score ascent as a problem: the latents whose images a score likes best."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from vqlso.contracts import DifferentiableGenerator, DifferentiableObjective
from vqlso.errors import ConfigError
from vqlso.problems.image_score import ImageScore
from vqlso.records import Context, Proposal, Scores


@dataclass(frozen=True)
class ScoreAscent(ImageScore):
    """S(G(z)) with its gradient, where generator and objective have one."""

    @property
    def version(self) -> str:
        """Of the generator."""
        return self.generator.version

    @property
    def targets(self) -> int:
        """One: all latents climb the same score."""
        return 1

    def value(self, z: Tensor) -> Tensor:
        """(n, *space.shape) -> (n,) scores as in `evaluate`, differentiable in `z`.

        Raises:
            ConfigError: no gradients flow through the generator or the objective.
        """
        if not isinstance(self.generator, DifferentiableGenerator):
            raise ConfigError(
                f"No gradients flow through a {type(self.generator).__name__}: use a method that "
                "needs none, such as method=surrogate."
            )
        images = self.generator.decode_tensor(z, self.space.name)
        return differentiable(self.objective).value(as_stored(images))


@dataclass(frozen=True)
class NearPrior(ScoreAscent):
    """The score minus weight * (mean(z^2) - 1)^2, for spaces whose samples have unit variance.

    It keeps an ascent where the generator was trained: the first answer of the discussion on score
    maximisation asks for "latents with high probability under the prior". The penalty is that of
    paper 001, equation (6).

    Attributes:
        weight: >= 0.
    """

    weight: float = 1.0

    def value(self, z: Tensor) -> Tensor:
        """(n, *space.shape) -> (n,) scores as in `evaluate`, differentiable in `z`."""
        return super().value(z) - self.weight * (z.square().flatten(1).mean(1) - 1).square()

    def evaluate(self, proposal: Proposal, context: Context) -> Scores:
        """Scores minus penalties, of the proposal and of its controls."""
        scores = super().evaluate(proposal, context)
        controls = {
            name: scores.control_values[name] - self._penalty(z)
            for name, z in proposal.controls.items()
        }
        values = scores.values - self._penalty(proposal.z)
        return replace(scores, values=values, control_values=controls)

    def _penalty(self, z: NDArray[np.float64]) -> NDArray[np.float64]:
        squares = np.square(z).reshape(len(z), -1).mean(axis=1)
        return np.asarray(self.weight * (squares - 1) ** 2)


def as_stored(images: Tensor) -> Tensor:
    """(n, 3, H, W) in [0, 1], rounded as 8 bits are; gradients pass as if nothing was rounded.

    So what is climbed is what the black box is asked about (the straight-through estimator of
    Bengio et al. 2013, "Estimating or propagating gradients").
    """
    return images + (images.mul(255).round().clamp(0, 255).div(255) - images).detach()


def differentiable(
    objective: Callable[[Tensor], NDArray[np.float64]],
) -> DifferentiableObjective:
    """The objective, if gradients flow through it.

    Raises:
        ConfigError: they do not.
    """
    if isinstance(objective, DifferentiableObjective):
        return objective
    name = getattr(objective, "name", type(objective).__name__)
    raise ConfigError(
        f"No gradients flow through the score '{name}': use a method that needs none "
        "(method=reinforce, conditional or surrogate, or solver=zeroth_order)."
    )
