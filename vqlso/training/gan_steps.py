"""One step of an adversarial training: the generator's, then the discriminator's."""

from __future__ import annotations

import torch
from lightning_fabric import Fabric
from torch import Tensor

from vqlso.hardware import bfloat16_pays
from vqlso.training.alternating import AlternatingSteps
from vqlso.training.augmentation import augmented
from vqlso.training.gan_losses import (
    PATH_LENGTH_DECAY,
    discriminator_loss,
    generator_loss,
    path_lengths,
    r1_penalty,
)
from vqlso.training.gan_settings import StyleGAN2Training
from vqlso.training.gan_state import GANState


class AdversarialSteps(AlternatingSteps):
    """Steps of both networks, with random numbers from torch's global stream.

    Args:
        state: is moved on.
        training: how.
        fabric: of the device.
    """

    def __init__(self, state: GANState, training: StyleGAN2Training, fabric: Fabric) -> None:
        super().__init__(state, fabric)
        self._state, self._training = state, training
        reduced = training.mixed_precision and bfloat16_pays()
        self._dtype = torch.bfloat16 if reduced else torch.float32

    def step(self, images: Tensor) -> None:
        """Learn from a batch of (n, 3, H, W) uint8 images.

        Raises:
            DivergedError: a loss is infinite or NaN; the state is then half moved on.
        """
        state, training = self._state, self._training
        real = images.to(self._fabric.device).float().div_(127.5).sub_(1)
        self._let_generator_learn()
        measures = self._fool()
        if training.path_weight > 0 and state.done % training.path_interval == 0:
            measures |= self._smooth_paths()
        self._let_discriminator_learn()
        measures |= self._tell_apart(real)
        if training.r1_gamma > 0 and state.done % training.r1_interval == 0:
            measures |= self._flatten_scores(real)
        state.done += 1
        state.follow(training.average_decay(state.done))
        state.note(measures)
        self._adapt_augmentation()

    def _fool(self) -> dict[str, float]:
        fake, _ = self._generated(self._training.batch_size, self._dtype)
        loss = generator_loss(self._scores(fake, self._dtype))
        self._descend(loss, self._generator_optimiser)
        return {"generator loss": self._finite(loss)}

    def _smooth_paths(self) -> dict[str, float]:
        state, training = self._state, self._training
        # Half a batch, as in the official training: its memory holds two graphs.
        images, ws = self._generated(max(1, training.batch_size // 2), torch.float32)
        lengths = path_lengths(images, ws)
        length = self._finite(lengths.mean())
        state.path_length += (1 - PATH_LENGTH_DECAY) * (length - state.path_length)
        penalty = (lengths - state.path_length).square().mean()
        weight = training.path_weight * training.path_interval
        self._descend(penalty * weight, self._generator_optimiser)
        return {"path length": length}

    def _tell_apart(self, real: Tensor) -> dict[str, float]:
        with torch.no_grad():
            fake, _ = self._generated(len(real), self._dtype)
        real_scores, fake_scores = self._scores(real, self._dtype), self._scores(fake, self._dtype)
        loss = discriminator_loss(real_scores, fake_scores)
        self._descend(loss, self._discriminator_optimiser)
        real_scores, fake_scores = real_scores.detach(), fake_scores.detach()
        return {
            "discriminator loss": self._finite(loss),
            "real judged real": float((real_scores > 0).float().mean()),
            "fake judged fake": float((fake_scores < 0).float().mean()),
            "mean sign of real": float(real_scores.sign().mean()),
        }

    def _flatten_scores(self, real: Tensor) -> dict[str, float]:
        # Second derivatives lose too much in the 8 bits of bf16.
        images = real.requires_grad_()
        penalty = r1_penalty(self._scores(images, torch.float32), images)
        weight = self._training.r1_gamma * self._training.r1_interval
        self._descend(penalty * weight, self._discriminator_optimiser)
        return {"R1 penalty": self._finite(penalty)}

    def _adapt_augmentation(self) -> None:
        rule, state = self._training.augmentation, self._state
        if rule is None or state.done % rule.interval:
            return
        signs = state.recent["mean sign of real"][-rule.interval :]
        images = rule.interval * self._training.batch_size
        state.augmentation = rule.corrected(state.augmentation, sum(signs) / len(signs), images)
        state.note({"augmentation": state.augmentation})

    def _generated(self, n: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        training = self._training
        z = torch.randn(n, self._state.generator.settings.z_dim, device=self._fabric.device)
        made: tuple[Tensor, Tensor] = self._generator(
            z, mixing=training.mixing, noise=training.noise, dtype=dtype
        )
        return made

    def _scores(self, images: Tensor, dtype: torch.dtype) -> Tensor:
        scores: Tensor = self._discriminator(
            augmented(images, self._state.augmentation), dtype=dtype
        )
        return scores
