"""One step of a PGAN's training, and the state that it moves on."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from lightning_fabric import Fabric
from torch import Tensor
from torch.nn import functional as F

from vqlso.generators.pgan.network import PGANDiscriminator, PGANNetwork, doubled
from vqlso.generators.pgan.settings import PGANSettings
from vqlso.hardware import bfloat16_pays
from vqlso.training.adversarial_state import AdversarialState
from vqlso.training.alternating import AlternatingSteps
from vqlso.training.pgan_losses import between, class_loss, gradient_penalty, wasserstein_loss
from vqlso.training.pgan_settings import PGANTraining, Phase


@dataclass
class PGANState(AdversarialState):
    """Everything that decides how the training goes on; see `AdversarialState`."""

    generator: PGANNetwork
    discriminator: PGANDiscriminator
    average: PGANNetwork

    @classmethod
    def begin(
        cls, settings: PGANSettings, training: PGANTraining, seed: int, device: torch.device
    ) -> PGANState:
        """New networks and fresh optimisers on a device; the seed is of the first weights."""
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            generator, discriminator = PGANNetwork(settings), PGANDiscriminator(settings)
        return cls.of(generator, discriminator, (training.adam, training.adam), device)


class PGANSteps(AlternatingSteps):
    """Steps of both networks, with random numbers from torch's global stream.

    Args:
        state: is moved on.
        training: how.
        fabric: of the device.
    """

    def __init__(self, state: PGANState, training: PGANTraining, fabric: Fabric) -> None:
        super().__init__(state, fabric)
        self._state, self._training = state, training
        self._classes = state.generator.settings.classes
        reduced = training.mixed_precision and bfloat16_pays()
        self._dtype = torch.bfloat16 if reduced else torch.float32

    def step(self, images: Tensor, labels: Tensor) -> None:
        """Learn from a batch of (n, 3, H, W) uint8 images of (n, groups) integer labels.

        Raises:
            DivergedError: a loss is infinite or NaN; the state is then half moved on.
        """
        phase = self._training.phase(self._state.done)
        pixels = images.to(self._fabric.device).float().div_(127.5).sub_(1)
        real = faded(pixels, self._state.generator.settings.side(phase.level), phase.alpha)
        self._let_generator_learn()
        measures = self._fool(len(real), phase)
        self._let_discriminator_learn()
        measures |= self._tell_apart(real, labels.to(self._fabric.device), phase)
        self._state.done += 1
        self._state.follow(self._training.average_decay)
        self._state.note(measures)

    def _fool(self, n: int, phase: Phase) -> dict[str, float]:
        fake, asked = self._generated(n, phase)
        scores, logits = self._judged(fake, phase)
        loss = -scores.mean()
        measures = {"generator loss": self._finite(loss)}
        if self._classes:
            recognised = class_loss(logits, asked, self._classes)
            loss = loss + self._training.generator_class_weight * recognised
            measures["generated class loss"] = self._finite(recognised)
        self._descend(loss, self._generator_optimiser)
        return measures

    def _tell_apart(self, real: Tensor, labels: Tensor, phase: Phase) -> dict[str, float]:
        training = self._training
        with torch.no_grad():
            fake, _ = self._generated(len(real), phase)
        real_scores, logits = self._judged(real, phase)
        fake_scores, _ = self._judged(fake, phase)
        loss = wasserstein_loss(real_scores, fake_scores)
        penalty = self._penalty(real, fake, phase)
        measures = {
            "discriminator loss": self._finite(loss),
            "gradient penalty": self._finite(penalty),
        }
        loss = loss + training.penalty * penalty + training.drift * real_scores.square().mean()
        if self._classes:
            recognised = class_loss(logits, labels, self._classes)
            loss = loss + training.class_weight * recognised
            measures["real class loss"] = self._finite(recognised)
        self._descend(loss, self._discriminator_optimiser)
        return measures

    def _penalty(self, real: Tensor, fake: Tensor, phase: Phase) -> Tensor:
        # Second derivatives lose too much in the 8 bits of bf16.
        images = between(real, fake).requires_grad_()
        return gradient_penalty(self._discriminator(images, phase.alpha)[0], images)

    def _generated(self, n: int, phase: Phase) -> tuple[Tensor, Tensor]:
        """Images of n random latents, and the (n, groups) classes that were asked for."""
        settings, device = self._state.generator.settings, self._fabric.device
        z = torch.randn(n, settings.z_dim, device=device)
        asked = [torch.randint(count, (n,), device=device) for count in self._classes]
        parts = zip(asked, self._classes, strict=True)
        one_hot = [F.one_hot(chosen, count).float() for chosen, count in parts]
        latent = torch.cat([z, *one_hot], dim=1)
        images = self._generator(latent, phase.level, phase.alpha, self._dtype)
        return images, torch.stack(asked, dim=1) if asked else z.new_empty(n, 0)

    def _judged(self, images: Tensor, phase: Phase) -> tuple[Tensor, Tensor]:
        verdict: tuple[Tensor, Tensor] = self._discriminator(images, phase.alpha, self._dtype)
        return verdict


def faded(pixels: Tensor, side: int, alpha: float) -> Tensor:
    """Images at a lower resolution, blurred as far as the generator's are while a block fades in.

    Args:
        pixels: (n, C, H, W).
        side: wanted height and width, a power of two below H.
        alpha: 0 leaves what half the resolution shows, 1 everything.
    """
    images = F.avg_pool2d(pixels, pixels.shape[-1] // side)
    if alpha == 1:
        return images
    return doubled(F.avg_pool2d(images, 2)).lerp(images, alpha)
