"""How far an image is from a target: the criterion of paper 001, section III-C, term by term."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from torch import Tensor

from vqlso.errors import ConfigError
from vqlso.generators.stylegan2.discriminator import StyleGAN2Discriminator
from vqlso.objectives.feature_networks import FeatureNetwork, resized

# Under the root of a deviation: a map that is constant has no gradient there otherwise. It moves
# no deviation by more than 0.0001.
SMALLEST_VARIANCE = 1e-8


class Term(Protocol):
    """One term: non-negative weight times a number for each image."""

    @property
    def name(self) -> str:
        """A name for tables."""

    @property
    def weight(self) -> float:
        """What the term is multiplied by."""

    def wanted(self, targets: Tensor, size: tuple[int, int]) -> Tensor:
        """What is compared of (t, 3, h, w) targets in [0, 1] with images of size H x W: (t, ...).

        It is computed once for all images.
        """

    def __call__(self, images: Tensor, z: Tensor, wanted: Tensor) -> Tensor:
        """(n, 3, H, W) images of (n, *shape) latents, (n, ...) wanted -> (n,), without the weight.

        No row depends on another.
        """


@dataclass(frozen=True)
class PixelDistance:
    """L2, equation (4): the mean squared difference of pixels in [-1, 1].

    The range is that of the networks that the paper's weight of 50 was chosen for. The target is
    resized to the image.
    """

    weight: float = 50.0
    name: str = "L2"

    def wanted(self, targets: Tensor, size: tuple[int, int]) -> Tensor:
        """(t, 3, H, W), the targets at the images' size."""
        return resized(targets, size)

    def __call__(self, images: Tensor, z: Tensor, wanted: Tensor) -> Tensor:  # noqa: ARG002
        """(n,) in [0, 4]."""
        return (2 * (images - wanted)).square().flatten(1).mean(1)


@dataclass(frozen=True)
class FeatureStatistics:
    """Equation (5): means and deviations of each channel over the image, squared differences.

    They are averaged over a layer's channels, as the weight of 0.1 was chosen for, and added up
    over layers. The paper writes deviations; its code compares variances.

    Attributes:
        network: gives the maps.
    """

    network: FeatureNetwork
    weight: float = 0.1

    @property
    def name(self) -> str:
        """With the network's name."""
        return f"statistics of {self.network.name}"

    def wanted(self, targets: Tensor, size: tuple[int, int]) -> Tensor:  # noqa: ARG002
        """(t, c), the targets' statistics; the network resizes images by itself."""
        return self._statistics(targets)

    def __call__(self, images: Tensor, z: Tensor, wanted: Tensor) -> Tensor:  # noqa: ARG002
        """(n,) from 0."""
        return (self._statistics(images) - wanted).square().sum(1)

    def _statistics(self, images: Tensor) -> Tensor:
        """(n, 2 c), divided by the root of a layer's channels: squares then add up to means."""
        statistics = []
        for maps in self.network(images):
            flat = maps.flatten(2)
            deviation = (flat.var(2, correction=0) + SMALLEST_VARIANCE).sqrt()
            both = torch.cat([flat.mean(2), deviation], 1)
            statistics.append(both / maps.shape[1] ** 0.5)
        return torch.cat(statistics, 1)


@dataclass(frozen=True)
class LatentNorm:
    """Equation (6): (mean(z^2) - 1)^2, for spaces whose samples have unit variance, such as z."""

    weight: float = 1.0
    name: str = "latent norm"

    def wanted(self, targets: Tensor, size: tuple[int, int]) -> Tensor:  # noqa: ARG002
        """(t, 0): it looks at no target."""
        return targets.new_empty(len(targets), 0)

    def __call__(self, images: Tensor, z: Tensor, wanted: Tensor) -> Tensor:  # noqa: ARG002
        """(n,) from 0."""
        return (z.square().flatten(1).mean(1) - 1).square().to(images)


@dataclass(frozen=True)
class Realism:
    """Equation (7): -D(G(z)).

    Attributes:
        discriminator: (n, 3, H, W) in [-1, 1] -> (n,) or (n, 1), the higher the more real.
        weight: to be lowered for a discriminator with large outputs (paper 001, section V-A).
    """

    discriminator: Callable[[Tensor], Tensor]
    weight: float = 1.0
    name: str = "realism"

    def wanted(self, targets: Tensor, size: tuple[int, int]) -> Tensor:  # noqa: ARG002
        """(t, 0): it looks at no target."""
        return targets.new_empty(len(targets), 0)

    def __call__(self, images: Tensor, z: Tensor, wanted: Tensor) -> Tensor:  # noqa: ARG002
        """(n,), of any sign."""
        pixels = 2 * images - 1
        if isinstance(self.discriminator, StyleGAN2Discriminator):
            return -self.discriminator(pixels)
        # One image at a time: other discriminators compare the images of a batch with each other
        # (Karras et al. 2018, section 3), and a score would depend on its neighbours.
        each = [self.discriminator(image).view(1) for image in torch.split(pixels, 1)]
        return -torch.cat(each)


class Criterion:
    """A weighted sum of terms, equation (8); the smaller, the nearer.

    Args:
        terms: those of weight 0 are left out.

    Raises:
        ConfigError: a negative weight, no term with a positive one, or a term twice.
    """

    def __init__(self, terms: Sequence[Term]) -> None:
        for term in terms:
            if not term.weight >= 0:
                raise ConfigError(f"The weight of '{term.name}' is {term.weight}: give one from 0.")
        self.terms = tuple(term for term in terms if term.weight > 0)
        if not self.terms:
            raise ConfigError("A criterion needs at least one term with a positive weight.")
        names = [term.name for term in self.terms]
        if len(set(names)) < len(names):
            raise ConfigError(f"A criterion has a term twice: {', '.join(names)}. Add up weights.")

    @property
    def name(self) -> str:
        """Such as "50 L2 + 1 latent norm"."""
        return " + ".join(f"{term.weight:g} {term.name}" for term in self.terms)

    def wanted(self, targets: Tensor, size: tuple[int, int]) -> tuple[Tensor, ...]:
        """What each term compares of (t, 3, h, w) targets with images of `size`."""
        with torch.no_grad():
            return tuple(term.wanted(targets, size) for term in self.terms)

    def __call__(self, images: Tensor, z: Tensor, wanted: Sequence[Tensor]) -> Tensor:
        """(n,), differentiable in images and latents; `wanted` has n rows, or one for all."""
        parts = self.parts(images, z, wanted).values()
        return sum(parts, start=images.new_zeros(len(images)))

    def parts(self, images: Tensor, z: Tensor, wanted: Sequence[Tensor]) -> Mapping[str, Tensor]:
        """(n,) each term times its weight, by name."""
        return {
            term.name: term.weight * term(images, z, of_target)
            for term, of_target in zip(self.terms, wanted, strict=True)
        }


# Table I of paper 001.
WEIGHTS = {
    "l2": {"pixels": 50.0, "features": 0.0, "realism": 0.0},
    "l2+features": {"pixels": 50.0, "features": 0.1, "realism": 1.0},
    "features": {"pixels": 0.0, "features": 0.1, "realism": 1.0},
}


def inspirational(
    kind: Literal["l2", "l2+features", "features"],
    *,
    features: FeatureNetwork,
    discriminator: Callable[[Tensor], Tensor] | None = None,
    realism_weight: float | None = None,
    norm_weight: float = 1.0,
) -> Criterion:
    """A criterion with the weights of paper 001, table I.

    Args:
        kind: the table's column; the paper's features are VGG-19's.
        features: of the feature statistics.
        discriminator: of the realism; None leaves the term out.
        realism_weight: of that term; None for the table's.
        norm_weight: of the latent norm, which the table does not tell; 0 for spaces whose
            samples do not have unit variance, such as w.

    Raises:
        ConfigError: another kind.
    """
    if kind not in WEIGHTS:
        raise ConfigError(f"There is no criterion '{kind}': choose of {', '.join(WEIGHTS)}.")
    weights = WEIGHTS[kind]
    terms: list[Term] = [
        PixelDistance(weights["pixels"]),
        FeatureStatistics(features, weights["features"]),
        LatentNorm(norm_weight),
    ]
    if discriminator is not None:
        weight = weights["realism"] if realism_weight is None else realism_weight
        terms.append(Realism(discriminator, weight))
    return Criterion(terms)
