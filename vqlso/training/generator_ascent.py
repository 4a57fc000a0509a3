"""Fine-tuning a generator on -S: the first way of the discussion on score maximisation.

"Random samplings from G to form a dataset. For each sample, evaluate it with S, then finetune G to
maximise S with loss = -S. Keep repeating". Nothing in that loss keeps G from making one image for
all latents, so a penalty on leaving what the original made of the same latent can be added.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from vqlso.contracts import DifferentiableGenerator, DifferentiableObjective
from vqlso.errors import ConfigError, TrainingError
from vqlso.problems.score_ascent import as_stored
from vqlso.randomness import stream
from vqlso.spaces import RealVectors

STEP_AND_LATENT = "step x "


@runtime_checkable
class TunableGenerator(DifferentiableGenerator, Protocol):
    """A generator that is one network, which can be copied, trained on and saved."""

    @property
    def network(self) -> nn.Module:
        """Everything that `decode_tensor` computes with."""

    def save(self, path: Path) -> None:
        """Write everything that its `load` needs."""


@dataclass(frozen=True)
class AscentTraining:
    """How a generator is fine-tuned.

    Attributes:
        batch_size: samples a step, each of which is scored.
        learning_rate: Adam's.
        anchor: weight of the mean squared difference, over pixels in [0, 1], between what the
            generator and the original make of the same latents; 0 leaves the generator free.

    Raises:
        ConfigError: a setting outside its range.
    """

    batch_size: int = 16
    learning_rate: float = 1e-3
    anchor: float = 100.0

    def __post_init__(self) -> None:
        if self.batch_size < 1 or not self.learning_rate > 0 or not self.anchor >= 0:
            raise ConfigError(
                "Fine-tuning on a score needs a batch of at least 1, a positive learning rate and "
                f"an anchor from 0; got {self}."
            )


class TunedGenerators:
    """A generator and what becomes of it, step by step, as one generator.

    A latent is a step k and a latent of the original: its image is what G_k makes of that. The
    images of step k are those that G_k is changed on, so that a run which scores them in turn
    knows the score of every image that the fine-tuning has learnt from. All G_k follow from the
    original, the objective and the seed; only the newest is held, and an older one is computed
    again.

    Args:
        original: stays whole.
        objective: what its images are to score high with.
        training: how.
        space_name: the original's latent space that is sampled.
        seed: of the samples.

    Raises:
        ConfigError: the original is not one network that gradients flow through.
    """

    def __init__(
        self,
        original: DifferentiableGenerator,
        objective: DifferentiableObjective,
        training: AscentTraining = AscentTraining(),
        *,
        space_name: str = "z",
        seed: int = 0,
    ) -> None:
        if not isinstance(original, TunableGenerator):
            raise ConfigError(
                f"A {type(original).__name__} cannot be fine-tuned on a score: use a StyleGAN2 or "
                "a VAE, or a method that leaves the generator as it is."
            )
        self.original = original
        self.objective = objective
        self.training = training
        self.seed = seed
        self._own = original.spaces[space_name]
        self._begin()

    @property
    def space(self) -> RealVectors:
        """The step, then the entries of the original's latent."""
        (dimension,) = self._own.shape
        return RealVectors(STEP_AND_LATENT + self._own.name, (1 + dimension,), self._drawn)

    @property
    def spaces(self) -> Mapping[str, RealVectors]:
        """One."""
        return {self.space.name: self.space}

    @cached_property
    def version(self) -> str:
        """Of the original: what is fine-tuned here follows from it."""
        return self.original.version

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(3, H, W)."""
        return self.original.image_shape

    def latents(self, step: int) -> NDArray[np.float64]:
        """(batch_size, 1 + d) the latents whose images G_step is changed on."""
        rng = stream(self.seed, "tuned samples", step)
        return self._at(step, self._own.sample(self.training.batch_size, rng))

    def decode(self, z: NDArray[np.floating[Any]], space: str) -> Tensor:
        """(n, 1 + d) latents -> (n, 3, H, W) float32 in [0, 1], on the way to the highest step.

        Raises:
            LatentSpaceError: latents of another space or shape.
        """
        rows = self.spaces[space].validate(z) if space in self.spaces else self.space.validate(z)
        images = torch.empty(len(rows), *self.image_shape)
        for step in np.unique(rows[:, 0]).astype(int):
            chosen = rows[:, 0] == step
            images[torch.from_numpy(chosen)] = self.at(step).decode(
                rows[chosen, 1:], self._own.name
            )
        return images

    def at(self, step: int) -> TunableGenerator:
        """G_step, until another step is asked for."""
        if step < self._step:
            self._begin()
        while self._step < step:
            self._climb(torch.from_numpy(self.latents(self._step)[:, 1:]))
            self._step += 1
        return self._tuned

    def _begin(self) -> None:
        self._step = 0
        self._tuned = copy.deepcopy(self.original)
        # What it remembers of its weights would be wrong after the first step.
        self._tuned.__dict__.pop("version", None)
        parameters = self._tuned.network.requires_grad_(True).parameters()
        self._optimiser = torch.optim.Adam(parameters, lr=self.training.learning_rate)

    def _climb(self, z: Tensor) -> None:
        with torch.enable_grad():
            images = self._tuned.decode_tensor(z, self._own.name)
            loss = -self.objective.value(as_stored(images)).mean()
            if self.training.anchor:
                with torch.no_grad():
                    first = self.original.decode_tensor(z, self._own.name)
                loss = loss + self.training.anchor * (images - first).square().mean()
            if not torch.isfinite(loss):
                raise TrainingError(
                    f"Fine-tuning diverged: its loss was {loss.item()} at step {self._step + 1}. "
                    "Lower ascent.learning_rate."
                )
            self._optimiser.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            self._optimiser.step()

    def _drawn(self, n: int, rng: np.random.Generator) -> NDArray[np.float64]:
        return self._at(0, self._own.sample(n, rng))

    def _at(self, step: int, z: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.concatenate([np.full((len(z), 1), float(step)), z], axis=1)
