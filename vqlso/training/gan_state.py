"""What a StyleGAN2's training consists of between two steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from vqlso.generators.stylegan2.discriminator import Discriminator
from vqlso.generators.stylegan2.network import StyleGAN2Network
from vqlso.generators.stylegan2.settings import StyleGAN2Settings
from vqlso.training.adversarial_state import STEPS_REPORTED, AdversarialState
from vqlso.training.gan_settings import StyleGAN2Training

__all__ = ["STEPS_REPORTED", "GANState"]


@dataclass
class GANState(AdversarialState):
    """Everything that decides how the training goes on.

    Attributes:
        augmentation: probability of each change to what the discriminator sees.
        path_length: running mean, for the path length regularisation.
        others: as in `AdversarialState`.
    """

    generator: StyleGAN2Network
    discriminator: Discriminator
    average: StyleGAN2Network
    augmentation: float = 0.0
    path_length: float = 0.0

    VALUES: ClassVar[tuple[str, ...]] = (*AdversarialState.VALUES, "augmentation", "path_length")

    @classmethod
    def begin(
        cls,
        settings: StyleGAN2Settings,
        training: StyleGAN2Training,
        seed: int,
        device: torch.device,
    ) -> GANState:
        """New networks and fresh optimisers on a device; the seed is of the first weights."""
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            generator = StyleGAN2Network(settings)
            discriminator = Discriminator(training.discriminator_settings(settings))
        adam = (training.generator_adam, training.discriminator_adam)
        return cls.of(generator, discriminator, adam, device)
