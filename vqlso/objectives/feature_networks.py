"""Feature maps that images are compared in: an untrained default, and any network's layers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from difflib import get_close_matches
from typing import Any, Protocol

from torch import Tensor, nn
from torch.nn import functional

from vqlso.errors import ConfigError
from vqlso.metrics.random_features import RandomFeatures

# Both images are compared at this size, whatever their own (paper 001, appendix "Scaling").
COMPARED_SIZE = 128


class FeatureNetwork(Protocol):
    """Images -> feature maps of the chosen layers."""

    @property
    def name(self) -> str:
        """A name for tables and reports."""

    def __call__(self, images: Tensor) -> Sequence[Tensor]:
        """(n, 3, H, W) float in [0, 1] of any size -> (n, c, h, w) maps, differentiable.

        No image's maps depend on another image.
        """


class RandomTaps:
    """Three scales of fixed random convolutions: nothing to download, nothing that was trained.

    The statistics of random features already tell textures apart (Ustyuzhaninov et al. 2017,
    "What does it take to generate natural textures?").

    Args:
        seed: of the weights; criteria of different seeds are not comparable.
    """

    def __init__(self, seed: int = 0) -> None:
        self._features = RandomFeatures(seed)
        self._seed = seed

    @property
    def name(self) -> str:
        """Such as "random convolutions, untrained (seed 0)"."""
        return f"random convolutions, untrained (seed {self._seed})"

    def __call__(self, images: Tensor) -> Sequence[Tensor]:
        """(n, 3, H, W) float in [0, 1] -> three maps with 16, 32 and 64 channels."""
        return self._features.maps(images)


class LayerTaps:
    """The outputs of named layers of any network.

    Args:
        network: takes what `prepare` returns; it is put into evaluation mode.
        layers: names as in `network.named_modules()`, each with an output (n, c, h, w).
        prepare: images (n, 3, H, W) in [0, 1] -> the network's input; by default the images
            themselves, resized to 128 pixels.
        name: for tables and reports; None for the class and its layers.

    Raises:
        ConfigError: no layer, or one that the network does not have.
    """

    def __init__(
        self,
        network: nn.Module,
        layers: Sequence[str],
        *,
        prepare: Callable[[Tensor], Tensor] | None = None,
        name: str | None = None,
    ) -> None:
        modules = dict(network.named_modules())
        for layer in layers:
            if layer not in modules:
                near = get_close_matches(layer, modules, n=3, cutoff=0.0)
                raise ConfigError(
                    f"A {type(network).__name__} has no layer '{layer}'; the nearest names are "
                    f"{', '.join(near)}."
                )
        if not layers:
            raise ConfigError("Name at least one layer of the feature network.")
        self._network = network.eval().requires_grad_(False)
        self._layers = {layer: modules[layer] for layer in layers}
        self._prepare = prepare or resized_for_comparison
        self.name = name or f"{type(network).__name__} ({', '.join(layers)})"

    def __call__(self, images: Tensor) -> Sequence[Tensor]:
        """(n, 3, H, W) float in [0, 1] -> one map a layer, in the order of the layers."""
        maps: dict[str, Tensor] = {}

        def keeps(layer: str) -> Callable[[nn.Module, Any, Tensor], None]:
            def keep(_: nn.Module, __: Any, output: Tensor) -> None:
                maps[layer] = output

            return keep

        hooks = [
            module.register_forward_hook(keeps(layer)) for layer, module in self._layers.items()
        ]
        try:
            self._network(self._prepare(images))
        finally:
            for hook in hooks:
                hook.remove()
        return [maps[layer] for layer in self._layers]


def resized_for_comparison(images: Tensor) -> Tensor:
    """(n, 3, H, W) -> (n, 3, 128, 128), bilinear and smoothed where it shrinks."""
    return resized(images, (COMPARED_SIZE, COMPARED_SIZE))


def resized(images: Tensor, size: tuple[int, int]) -> Tensor:
    """(n, 3, H, W) -> (n, 3, *size); images of that size are left as they are."""
    if tuple(images.shape[2:]) == size:
        return images
    return functional.interpolate(images, size=size, mode="bilinear", antialias=True)
