"""Training a StyleGAN2 from nothing (Karras et al. 2020), on one processor or one GPU."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from time import perf_counter
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from numpy.typing import NDArray
from torch import Tensor, nn

from vqlso.errors import ConfigError, DataError, TrainingError
from vqlso.generators.stylegan2.generator import StyleGAN2
from vqlso.generators.stylegan2.settings import StyleGAN2Settings
from vqlso.generators.stylegan2.synthesis import Noise
from vqlso.hardware import bfloat16_pays
from vqlso.progress import SILENT, Progress
from vqlso.randomness import stream, torch_seed
from vqlso.records import FitReport
from vqlso.training.augmentation import AdaptiveAugmentation, augmented
from vqlso.training.distributed import Team
from vqlso.training.fitting import Checkpointing
from vqlso.training.gan_losses import (
    PATH_LENGTH_DECAY,
    discriminator_loss,
    generator_loss,
    path_lengths,
    r1_penalty,
)
from vqlso.training.gan_state import GANState

SECOND_MOMENT_DECAY = 0.99


@dataclass(frozen=True)
class StyleGAN2Training:
    """How a StyleGAN2 is trained; lengths are in thousands of real images shown ("kimg").

    Attributes:
        kimg: length of the training.
        batch_size: real images a step, and generated ones.
        generator_rate: Adam's step size.
        discriminator_rate: Adam's step size.
        r1_gamma: weight of the R1 penalty on the discriminator.
        r1_interval: steps between two of them ("lazy regularisation").
        path_weight: weight of the path length regularisation on the generator; 0 for none.
        path_interval: steps between two of them.
        mixing: share of images whose finer layers take another w.
        noise: "random" pixel noise in every layer, whose strength is learnt, or "none", where
            images have no random detail.
        average_kimg: half-life of the running mean of the generator's weights ...
        average_rampup: ... but at most this share of what was shown so far.
        augmentation: changes to what the discriminator sees, for few images; None for none.
        discriminator_base: channel_base of the discriminator; None for the generator's.
        mixed_precision: convolutions in bf16 where the hardware has it.

    Raises:
        ConfigError: a batch, an interval or a length that is not positive.
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

    @property
    def steps(self) -> int:
        """Batches of the whole training."""
        return math.ceil(1000 * self.kimg / self.batch_size)

    def average_decay(self, done: int) -> float:
        """Of the running mean of weights, when so many steps are done."""
        shown = done * self.batch_size
        half_life = min(1000 * self.average_kimg, shown * self.average_rampup)
        return 0.5 ** (self.batch_size / half_life) if half_life else 0.0


@dataclass(frozen=True)
class Snapshot:
    """How far a training is.

    Attributes:
        kimg: thousand real images shown.
        generator: the running mean, a copy.
        measures: losses and the like, means over the last steps.
    """

    kimg: float
    generator: StyleGAN2
    measures: dict[str, float]


@dataclass(frozen=True)
class Observer:
    """Who watches a training; it cannot change it.

    Attributes:
        look: is given snapshots.
        every_kimg: thousand images between two.
    """

    look: Callable[[Snapshot], None]
    every_kimg: float = 10.0


def train_stylegan2(
    images: NDArray[np.uint8],
    settings: StyleGAN2Settings,
    training: StyleGAN2Training,
    *,
    seed: int,
    checkpointing: Checkpointing | None = None,
    progress: Progress = SILENT,
    observer: Observer | None = None,
) -> tuple[StyleGAN2, FitReport]:
    """A StyleGAN2 trained from nothing on (n, 3, H, W) uint8 images.

    A training that was interrupted continues to the last bit as it would have gone on; a longer
    one may continue where a shorter one ended. Where torchrun started several processes, the
    first trains alone.

    Args:
        images: without labels.
        settings: the generator's; the discriminator's are the same but for its width.
        training: how.
        seed: of the first weights and of every step.
        checkpointing: where to save and to continue from, if at all.
        progress: shows steps with an ETA.
        observer: watches.

    Returns:
        The running mean of the generator, and the report; its measures are means over the last
        steps.

    Raises:
        CheckpointError: the saved state is damaged or belongs to another training.
        ConfigError: the network is conditioned on labels.
        DataError: the images do not have the generator's shape.
        TrainingError: a loss became infinite or NaN.
    """
    _require(images, settings)
    started = perf_counter()
    fabric = Team().fabric("32-true")
    state = GANState.begin(
        settings,
        replace(settings, channel_base=training.discriminator_base or settings.channel_base),
        _optimisers(training),
        torch_seed(seed, "stylegan2 weights"),
        fabric.device,
    )
    identity = repr((seed, settings, replace(training, kimg=1.0), images.shape))
    if checkpointing:
        state.restore(checkpointing.path, identity)
    game = _Game(state, training, fabric)
    steps, first = training.steps, state.done
    with (
        torch.random.fork_rng(),
        progress.task("training the StyleGAN2", steps) as advance,
    ):
        advance(first)
        for step in range(first, steps):
            torch.manual_seed(torch_seed(seed, "stylegan2 step", step))
            rows = stream(seed, "stylegan2 batch", step).integers(0, len(images), training.batch_size)
            game.play(torch.from_numpy(images[rows]))
            if checkpointing and state.done % checkpointing.every == 0:
                state.save(checkpointing.path, identity)
            if observer and _passes(step * training.batch_size, training.batch_size, observer):
                observer.look(_snapshot(state, training))
            advance(1)
    report = FitReport(
        seconds=perf_counter() - started,
        rows=(steps - first) * training.batch_size,
        measures=state.means(),
    )
    return StyleGAN2(state.average), report


class _Game:
    """The steps of both networks.

    Args:
        state: is moved on.
        training: how.
        fabric: of the device.
    """

    def __init__(self, state: GANState, training: StyleGAN2Training, fabric: Fabric) -> None:
        self.state, self.training, self.fabric = state, training, fabric
        self.generator, self.generator_optimiser = fabric.setup(
            state.generator.train(), state.optimisers[0]
        )
        self.discriminator, self.discriminator_optimiser = fabric.setup(
            state.discriminator.train(), state.optimisers[1]
        )
        reduced = training.mixed_precision and bfloat16_pays()
        self.dtype = torch.bfloat16 if reduced else torch.float32

    def play(self, images: Tensor) -> None:
        """One step on a batch of (n, 3, H, W) uint8 images."""
        state, training = self.state, self.training
        real = images.to(self.fabric.device).float().div_(127.5).sub_(1)
        measures = self._generator_step()
        if training.path_weight > 0 and state.done % training.path_interval == 0:
            measures |= self._path_step()
        measures |= self._discriminator_step(real)
        if training.r1_gamma > 0 and state.done % training.r1_interval == 0:
            measures |= self._r1_step(real)
        state.done += 1
        state.follow(training.average_decay(state.done))
        state.note(measures)
        self._adapt()

    def _generator_step(self) -> dict[str, float]:
        with _only(self.generator, self.discriminator):
            fake, _ = self._generated(self.training.batch_size)
            loss = generator_loss(self._scores(fake))
            self._descend(loss, self.generator_optimiser)
        return {"generator loss": self._finite(loss)}

    def _path_step(self) -> dict[str, float]:
        state, training = self.state, self.training
        with _only(self.generator, self.discriminator):
            images, ws = self._generated(max(1, training.batch_size // 2), torch.float32)
            lengths = path_lengths(images, ws)
            mean = state.path_length
            state.path_length = mean + (1 - PATH_LENGTH_DECAY) * (float(lengths.mean()) - mean)
            penalty = (lengths - state.path_length).square().mean()
            self._descend(
                penalty * (training.path_weight * training.path_interval), self.generator_optimiser
            )
        return {"path length": self._finite(lengths.mean())}

    def _discriminator_step(self, real: Tensor) -> dict[str, float]:
        with _only(self.discriminator, self.generator):
            with torch.no_grad():
                fake, _ = self._generated(len(real))
            real_scores, fake_scores = self._scores(real), self._scores(fake)
            loss = discriminator_loss(real_scores, fake_scores)
            self._descend(loss, self.discriminator_optimiser)
        return {
            "discriminator loss": self._finite(loss),
            "real judged real": float((real_scores.detach() > 0).float().mean()),
            "fake judged fake": float((fake_scores.detach() < 0).float().mean()),
            "mean sign of real": float(real_scores.detach().sign().mean()),
        }

    def _r1_step(self, real: Tensor) -> dict[str, float]:
        training = self.training
        with _only(self.discriminator, self.generator):
            images = real.requires_grad_()
            # Second derivatives lose too much in 8 bits.
            scores = self._scores(images, torch.float32)
            penalty = r1_penalty(scores, images)
            self._descend(
                penalty * (training.r1_gamma * training.r1_interval), self.discriminator_optimiser
            )
        return {"R1 penalty": self._finite(penalty)}

    def _generated(self, n: int, dtype: torch.dtype | None = None) -> tuple[Tensor, Tensor]:
        training = self.training
        z = torch.randn(n, self.state.generator.settings.z_dim, device=self.fabric.device)
        made: tuple[Tensor, Tensor] = self.generator(
            z, mixing=training.mixing, noise=training.noise, dtype=dtype or self.dtype
        )
        return made

    def _scores(self, images: Tensor, dtype: torch.dtype | None = None) -> Tensor:
        changed = augmented(images, self.state.augmentation)
        scores: Tensor = self.discriminator(changed, dtype=dtype or self.dtype)
        return scores

    def _descend(self, loss: Tensor, optimiser: Any) -> None:
        optimiser.zero_grad(set_to_none=True)
        self.fabric.backward(loss)
        optimiser.step()

    def _adapt(self) -> None:
        rule, state = self.training.augmentation, self.state
        if rule is None or state.done % rule.interval:
            return
        signs = state.recent["mean sign of real"][-rule.interval :]
        images = rule.interval * self.training.batch_size
        state.augmentation = rule.corrected(
            state.augmentation, sum(signs) / len(signs), images
        )
        state.note({"augmentation": state.augmentation})

    def _finite(self, value: Tensor) -> float:
        number = float(value.detach())
        if not math.isfinite(number):
            raise TrainingError(
                f"Training the StyleGAN2 diverged: a loss was {number} at step "
                f"{self.state.done + 1} of {self.training.steps}. Lower the learning rates or "
                "raise r1_gamma."
            )
        return number


@contextmanager
def _only(learning: nn.Module, resting: nn.Module) -> Iterator[None]:
    """Compute gradients of the one network's weights, not of the other's."""
    learning.requires_grad_(True)
    resting.requires_grad_(False)
    yield


def _optimisers(training: StyleGAN2Training) -> tuple[dict[str, Any], dict[str, Any]]:
    return (
        _adam(
            training.generator_rate, training.path_interval if training.path_weight > 0 else None
        ),
        _adam(
            training.discriminator_rate, training.r1_interval if training.r1_gamma > 0 else None
        ),
    )


def _adam(rate: float, interval: int | None) -> dict[str, Any]:
    # A penalty every k steps makes k + 1 steps of k: Adam moves as far with both constants
    # corrected (Karras et al. 2020, appendix B, "lazy regularization").
    share = 1.0 if interval is None else interval / (interval + 1)
    return {"lr": rate * share, "betas": (0.0, SECOND_MOMENT_DECAY**share)}


def _passes(before: int, images: int, observer: Observer) -> bool:
    every = 1000 * observer.every_kimg
    return before // every < (before + images) // every


def _snapshot(state: GANState, training: StyleGAN2Training) -> Snapshot:
    shown = state.done * training.batch_size / 1000
    return Snapshot(shown, StyleGAN2(copy.deepcopy(state.average)), state.means())


def _require(images: NDArray[np.uint8], settings: StyleGAN2Settings) -> None:
    if settings.c_dim:
        raise ConfigError(
            f"A StyleGAN2 is trained without labels here; set c_dim = 0 (it is {settings.c_dim})."
        )
    wanted = (settings.image_channels, settings.resolution, settings.resolution)
    if images.shape[1:] != wanted or images.dtype != np.uint8 or not len(images):
        raise DataError(
            f"This StyleGAN2 is trained on uint8 images of shape (n, {wanted[0]}, {wanted[1]}, "
            f"{wanted[2]}); got {images.dtype} of shape {images.shape}."
        )
