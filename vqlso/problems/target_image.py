"""Inversion as a problem: the latent whose image is nearest to a target (paper 001)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vqlso.contracts import (
    DifferentiableGenerator,
    EncodingGenerator,
    Generator,
    LatentSpace,
)
from vqlso.errors import ConfigError, DataError
from vqlso.images import to_bytes
from vqlso.objectives.criteria import Criterion
from vqlso.objectives.failures import reason_of
from vqlso.objectives.feature_networks import resized
from vqlso.problems.image_score import require_latents_of
from vqlso.records import Context, Proposal, Scores, ScoreStatus


@dataclass(frozen=True)
class TargetImage:
    """Minus the criterion between the decoded image and a target, so that it is maximised.

    The image is scored before it is rounded to 8 bits: then `evaluate` and `value` tell the same,
    and what a gradient method climbs is what is recorded. Images in records are rounded.

    Several targets are searched for at once: id i is scored by target i % targets.

    Attributes:
        generator: decodes latents.
        criterion: compares images.
        wanted: (t, 3, h, w) float in [0, 1], the targets, of any size.
        space_name: which of the generator's latent spaces is searched; None for its own choice.
        batch_size: images at once in `evaluate`.

    Raises:
        DataError: the targets are no images of this form.
        ConfigError: a batch size below 1.
    """

    generator: Generator
    criterion: Criterion
    wanted: Tensor
    space_name: str | None = None
    batch_size: int = 32

    def __post_init__(self) -> None:
        shape = tuple(self.wanted.shape)
        if len(shape) != 4 or shape[1] != 3 or 0 in shape or not self.wanted.is_floating_point():
            raise DataError(
                "Targets are float tensors of shape (t, 3, h, w); got "
                f"{self.wanted.dtype} of {shape}. Read pictures by `read_target`."
            )
        # A comparison with NaN is false.
        if not bool(((self.wanted >= 0) & (self.wanted <= 1)).all()):
            raise DataError(
                "Targets have pixels in [0, 1]; some here lie outside. Divide 8-bit pixels by 255."
            )
        if self.batch_size < 1:
            raise ConfigError(f"batch_size must be at least 1, got {self.batch_size}.")

    @property
    def space(self) -> LatentSpace:
        """The latent space that is searched."""
        if self.space_name is None:
            return self.generator.space
        return self.generator.spaces[self.space_name]

    @property
    def version(self) -> str:
        """Of the generator."""
        return self.generator.version

    @property
    def targets(self) -> int:
        """How many targets are searched for at once."""
        return len(self.wanted)

    def moved_to(self, generator: Generator) -> TargetImage:
        """The same targets behind a retrained generator."""
        return replace(self, generator=generator)

    def value(self, z: Tensor) -> Tensor:
        """(n, *space.shape) -> (n,) minus the criterion, differentiable in `z`.

        Row i is compared with target i % targets. All rows are decoded in one pass.

        Raises:
            ConfigError: no gradients flow through the generator.
        """
        return self.decoded_and_scored(z, np.arange(len(z)))[1]

    def decoded_and_scored(self, z: Tensor, ids: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        """(n, 3, H, W) images of (n, *space.shape) latents, and `value` as if of these (n,) ids.

        Raises:
            ConfigError: no gradients flow through the generator.
        """
        if not isinstance(self.generator, DifferentiableGenerator):
            raise ConfigError(
                f"No gradients flow through a {type(self.generator).__name__}: use a solver that "
                "needs none, such as CMA-ES, Nevergrad's or, for codes, coordinate search."
            )
        images = self.generator.decode_tensor(z, self.space.name)
        return images, -self.criterion(images, z, self._compared(ids, images))

    def evaluate(self, proposal: Proposal, context: Context) -> Scores:  # noqa: ARG002
        """Scores of the proposal and of its controls.

        Raises:
            LatentSpaceError: the latents belong to another generator version or space.
            DataError: the criterion takes images of another size than the generator's.
        """
        require_latents_of(proposal, self.space, self.generator)
        images, values, reasons = self._scored(proposal.z, proposal.ids)
        controls = {name: self._scored(z, proposal.ids) for name, z in proposal.controls.items()}
        return Scores(
            ids=proposal.ids,
            values=values,
            status=tuple(ScoreStatus.FAIL if reason else ScoreStatus.OK for reason in reasons),
            reason=tuple(reasons),
            images=images,
            control_values={name: scored[1] for name, scored in controls.items()},
            control_images={name: scored[0] for name, scored in controls.items()},
        )

    def encoded(self, noise: float = 0.0, rng: np.random.Generator | None = None) -> NDArray[Any]:
        """(targets, *space.shape) what the generator's encoder makes of the targets.

        Args:
            noise: deviation of what is added to each pixel before, so that codes change which
                have near rivals.
            rng: of the noise; needed where there is any.

        Raises:
            ConfigError: it has no encoder, or encodes into another space.
        """
        if not isinstance(self.generator, EncodingGenerator) or self.space != self.generator.space:
            raise ConfigError(
                f"A {type(self.generator).__name__} does not encode images into space "
                f"'{self.space.name}': start from samples of the space."
            )
        images = resized(self.wanted.float(), self._size)
        if rng is not None:
            added = noise * torch.from_numpy(rng.standard_normal(images.shape))
            images = (images + added.to(images)).clamp(0, 1)
        return self.generator.encode(images)

    @property
    def _size(self) -> tuple[int, int]:
        return self.generator.image_shape[1:]

    @cached_property
    def _of_targets(self) -> tuple[Tensor, ...]:
        # Half precision is too coarse for squares of differences, and slow without a GPU.
        exact = torch.promote_types(self.wanted.dtype, torch.float32)
        return self.criterion.wanted(self.wanted.to(exact), self._size)

    def _compared(self, ids: NDArray[np.int64], images: Tensor) -> Sequence[Tensor]:
        """What each term compares with the images of these ids."""
        rows = torch.from_numpy(ids % self.targets)
        return [each[rows].to(images) for each in self._of_targets]

    def _scored(
        self, z: NDArray[Any], ids: NDArray[np.int64]
    ) -> tuple[NDArray[np.uint8], NDArray[np.float64], list[str]]:
        """Images, scores (NaN where there is none) and reasons of the failures."""
        images, values, reasons = [], np.full(len(z), np.nan), [""] * len(z)
        for start in range(0, len(z), self.batch_size):
            rows = slice(start, start + self.batch_size)
            decoded = self.generator.decode(z[rows], self.space.name)
            images.append(to_bytes(decoded))
            values[rows], reasons[rows] = self._score_batch(decoded, z[rows], ids[rows])
        return np.concatenate(images), values, reasons

    @torch.no_grad()
    def _score_batch(
        self, images: Tensor, z: NDArray[Any], ids: NDArray[np.int64]
    ) -> tuple[NDArray[np.float64], list[str]]:
        # torch cannot share reversed arrays.
        latents = torch.from_numpy(np.ascontiguousarray(z))
        try:
            criterion = self.criterion(images, latents, self._compared(ids, images))
            values = -criterion.double().cpu().numpy()
        except DataError:
            raise  # images of the wrong size fail every time: a mistake of the set-up, not data
        except Exception as error:
            return np.full(len(z), np.nan), [reason_of(error)] * len(z)
        return told(values)


def told(values: NDArray[np.float64]) -> tuple[NDArray[np.float64], list[str]]:
    """(n,) scores with NaN where they are not finite, and why; "" where they are."""
    fine = np.isfinite(values)
    reasons = [
        "" if good else f"the criterion is {-value}"
        for good, value in zip(fine, values, strict=True)
    ]
    return np.where(fine, values, np.nan), reasons
