"""How a StyleGAN2 is trained, as numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from vqlso.errors import ConfigError
from vqlso.generators.stylegan2.settings import StyleGAN2Settings
from vqlso.generators.stylegan2.synthesis import Noise
from vqlso.training.augmentation import AdaptiveAugmentation

SECOND_MOMENT_DECAY = 0.99


@dataclass(frozen=True)
class StyleGAN2Training:
    """How a StyleGAN2 is trained; lengths are in thousands of real images shown ("kimg").

    Attributes:
        kimg: length of the training.
        batch_size: real images a step, and generated ones.
        generator_rate: Adam's step size.
        discriminator_rate: Adam's step size.
        r1_gamma: weight of the R1 penalty on the discriminator; 0 for none.
        r1_interval: steps between two of them ("lazy regularisation").
        path_weight: weight of the path length regularisation on the generator; 0 for none.
        path_interval: steps between two of them.
        mixing: share of images whose finer layers take another w.
        noise: "random" pixel noise in every layer, whose strength is learnt, or "none", where
            images have no random detail.
        average_kimg: half-life of the running mean of the generator's weights ...
        average_rampup: ... but at most this share of what was shown so far.
        augmentation: changes to what the discriminator sees, for few images; None for none.
            Mirroring is not among them: faces are lit from one side.
        discriminator_base: channel_base of the discriminator; None for the generator's.
        mixed_precision: convolutions in bf16 where the hardware has it.

    Raises:
        ConfigError: a length, batch or interval that is not positive, a negative weight, or a
            share outside [0, 1].
    """

    kimg: float = 1000.0
    batch_size: int = 32
    generator_rate: float = 2e-3
    discriminator_rate: float = 2e-3
    r1_gamma: float = 0.5
    r1_interval: int = 16
    path_weight: float = 0.0
    path_interval: int = 4
    mixing: float = 0.9
    noise: Noise = "random"
    average_kimg: float = 10.0
    average_rampup: float = 0.05
    augmentation: AdaptiveAugmentation | None = None
    discriminator_base: int | None = None
    mixed_precision: bool = True

    def __post_init__(self) -> None:
        if min(self.batch_size, self.r1_interval, self.path_interval) < 1 or self.kimg <= 0:
            raise ConfigError(
                "A StyleGAN2's training needs a positive length and batches and intervals of at "
                f"least 1; got {self}."
            )
        if min(self.r1_gamma, self.path_weight) < 0 or not 0 <= self.mixing <= 1:
            raise ConfigError(
                "A StyleGAN2's training needs weights of at least 0 and a share of mixed styles "
                f"in [0, 1]; got {self}."
            )

    @property
    def steps(self) -> int:
        """Batches of the whole training."""
        return math.ceil(1000 * self.kimg / self.batch_size)

    @property
    def generator_adam(self) -> dict[str, Any]:
        """Arguments of the generator's optimiser."""
        return _adam(self.generator_rate, self.path_interval if self.path_weight > 0 else None)

    @property
    def discriminator_adam(self) -> dict[str, Any]:
        """Arguments of the discriminator's optimiser."""
        return _adam(self.discriminator_rate, self.r1_interval if self.r1_gamma > 0 else None)

    def discriminator_settings(self, generator: StyleGAN2Settings) -> StyleGAN2Settings:
        """The discriminator's architecture: the generator's, perhaps of another width."""
        return generator.with_channel_base(self.discriminator_base or generator.channel_base)

    def average_decay(self, done: int) -> float:
        """Of the running mean of weights, when so many steps are done."""
        half_life = min(1000 * self.average_kimg, done * self.batch_size * self.average_rampup)
        return 0.5 ** (self.batch_size / half_life) if half_life > 0 else 0.0


def _adam(rate: float, interval: int | None) -> dict[str, Any]:
    # A penalty every k steps makes k + 1 steps of k: Adam moves as far with both constants
    # corrected (Karras et al. 2020, appendix B).
    share = 1.0 if interval is None else interval / (interval + 1)
    return {"lr": rate * share, "betas": (0.0, SECOND_MOMENT_DECAY**share)}
