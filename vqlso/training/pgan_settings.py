"""How a PGAN is trained, as numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, NamedTuple

from vqlso.errors import ConfigError


class Phase(NamedTuple):
    """Where in the growth a step is.

    Attributes:
        level: of the images, 0 for 4 pixels.
        alpha: how far this level's blocks are faded in.
    """

    level: int
    alpha: float


@dataclass(frozen=True)
class PGANTraining:
    """How a PGAN is trained; lengths are in thousands of real images shown ("kimg").

    The defaults are those of Karras et al. 2018, appendix A, up to 64 pixels, and AC-GAN's weights
    are 1.

    Attributes:
        kimg: at each resolution, from 4 pixels on.
        fading: at the beginning of each resolution but the first, while its blocks are faded in.
        batch_size: real images a step, and generated ones.
        learning_rate: Adam's step size, for both networks.
        penalty: weight of the gradient penalty.
        drift: weight of the squared scores of real images, which keeps them near 0.
        class_weight: of the classification in the discriminator's loss, equation (2).
        generator_class_weight: and in the generator's, equation (3).
        average_kimg: half-life of the running mean of the generator's weights.
        mixed_precision: convolutions in bf16 where the hardware has it, but for penalties.

    Raises:
        ConfigError: a length, batch or rate that is not positive, or a negative weight.
    """

    kimg: tuple[float, ...] = (600.0, 1200.0, 1200.0, 1200.0, 1200.0)
    fading: float = 600.0
    batch_size: int = 16
    learning_rate: float = 1e-3
    penalty: float = 10.0
    drift: float = 1e-3
    class_weight: float = 1.0
    generator_class_weight: float = 1.0
    average_kimg: float = 10.0
    mixed_precision: bool = True

    def __post_init__(self) -> None:
        positive = (*self.kimg, self.batch_size, self.learning_rate, self.average_kimg)
        if not self.kimg or min(positive) <= 0:
            raise ConfigError(
                f"A PGAN's training needs positive lengths, batches and rates; got {self}."
            )
        weights = (self.penalty, self.drift, self.class_weight, self.generator_class_weight)
        if min(*weights, self.fading) < 0:
            raise ConfigError(f"A PGAN's training needs weights of at least 0; got {self}.")

    @property
    def steps(self) -> int:
        """Batches of the whole training."""
        return sum(self._lengths)

    @property
    def adam(self) -> dict[str, Any]:
        """Arguments of both optimisers."""
        return {"lr": self.learning_rate, "betas": (0.0, 0.99)}

    @property
    def average_decay(self) -> float:
        """Of the running mean of weights, a step."""
        return float(0.5 ** (self.batch_size / (1000 * self.average_kimg)))

    def phase(self, step: int) -> Phase:
        """Where a step is, counted from 0."""
        ends = list(accumulate(self._lengths))
        level = next(level for level, end in enumerate(ends) if step < end)
        shown = (step - ends[level] + self._lengths[level]) * self.batch_size / 1000
        return Phase(level, shown / self.fading if level and shown < self.fading else 1.0)

    @property
    def _lengths(self) -> list[int]:
        return [math.ceil(1000 * each / self.batch_size) for each in self.kimg]
