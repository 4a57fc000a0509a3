"""A trained diffusion model as an immutable generator over its initial noise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from functools import cached_property, partial
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from vqlso.checkpoints import load_state, read_checkpoint, save_checkpoint
from vqlso.errors import ConfigError, LatentSpaceError
from vqlso.generators.diffusion.coarse_noise import CoarseNoise
from vqlso.generators.diffusion.ddim import Predict, inverted, sampled
from vqlso.generators.diffusion.network import DDIMNetwork
from vqlso.generators.diffusion.settings import DDIMSettings, Sampling
from vqlso.generators.network_generators import require_images, weights_version
from vqlso.spaces import RealVectors

KIND = "ddim"


class DDIM:
    """A diffusion model whose images are decided by the noise that sampling starts from.

    Space "z" is all of that noise, flattened: 3 H W numbers. Space "coarse" is its coarse part
    under fixed fine noise (`CoarseNoise`): few enough to be searched without gradients. In both,
    a standard normal latent is a sample of the model (of those samples that share the fine noise);
    one much longer or shorter than the root of its dimension is noise that the network was not
    trained on.

    It has no `encode`: that would have to answer in the searched space, and images have no latents
    in "coarse". `invert` finds their latents in "z".

    Like the VAE it computes in float32, whatever it was trained in.

    Args:
        network: the trained network; it is put into evaluation mode.
        sampling: how latents become images.
        searched: the space that is searched unless another is named.
        batch_size: images at once in `decode`.

    Raises:
        ConfigError: the coarse side does not divide the image's size.
        LatentSpaceError: there is no space of the searched one's name.
    """

    def __init__(
        self,
        network: DDIMNetwork,
        sampling: Sampling = Sampling(),  # noqa: B008
        *,
        searched: str = "z",
        batch_size: int = 32,
    ) -> None:
        self.network = network.eval().requires_grad_(False)
        self.settings = network.settings
        self.sampling = sampling
        self.batch_size = batch_size
        size, side = self.settings.image_size, sampling.coarse_side
        if size % side:
            raise ConfigError(
                f"coarse_side={side} does not divide the image's size of {size}: choose one that "
                "does."
            )
        self._coarse = CoarseNoise(size, side, sampling.fine_seed, self._device)
        self._spaces = {
            "z": RealVectors("z", (3 * size**2,)),
            "coarse": RealVectors("coarse", (3 * side**2,)),
        }
        self.space = self._require(searched)

    @property
    def spaces(self) -> Mapping[str, RealVectors]:
        """ "z" and "coarse"."""
        return self._spaces

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(3, H, W)."""
        return (3, self.settings.image_size, self.settings.image_size)

    @cached_property
    def version(self) -> str:
        """Hash of all weights and of the sampling, 12 hexadecimal digits."""
        return weights_version(self._described(), self.network)

    def decode(self, z: NDArray[Any], space: str | None = None) -> Tensor:
        """(n, d) latents -> (n, 3, H, W) float32 in [0, 1], in chunks.

        Args:
            z: latents.
            space: that they belong to; None for the searched one.

        Raises:
            LatentSpaceError: an unknown space, or latents that are not a batch of its finite real
                vectors.
        """
        wanted = self._require(space)
        latents = torch.from_numpy(wanted.validate(z))
        with torch.inference_mode():
            images = [
                self.decode_tensor(chunk, wanted.name).cpu()
                for chunk in torch.split(latents, self.batch_size)
            ]
        # Outside the inference mode, so that the images may enter a graph.
        return torch.cat(images)

    def decode_tensor(self, z: Tensor, space: str | None = None) -> Tensor:
        """(n, d) latents -> (n, 3, H, W) float32 in [0, 1], differentiable in `z`.

        All at once. For gradients only the noisy image of each step is kept, and the network is
        evaluated again on the way back (Chen et al. 2016, "Training deep nets with sublinear
        memory cost"): a third more time, and the memory of one step instead of all.

        Raises:
            LatentSpaceError: an unknown space, or latents of another shape than its own.
        """
        wanted = self._require(space)
        if tuple(z.shape[1:]) != wanted.shape or z.ndim != 2:
            raise LatentSpaceError(
                f"Latents of space '{wanted.name}' have shape (n, {wanted.shape[0]}); got "
                f"{tuple(z.shape)}."
            )
        noise = self._noise(z.to(self._device, torch.float32), wanted.name)
        differentiated = torch.is_grad_enabled() and noise.requires_grad
        predict = partial(checkpoint, self.network, use_reentrant=False)
        images = sampled(
            cast(Predict, predict if differentiated else self.network), noise, self.sampling.steps
        )
        return images.add(1).div(2).clamp(0, 1)

    def invert(self, images: Tensor) -> NDArray[np.float64]:
        """(n, 3, H, W) float in [0, 1] -> (n, 3 H W) float64, latents of "z" of about these images.

        It takes four times as long as decoding. How near their images are depends on the network:
        decode them to see it.

        Raises:
            DataError: images of another size.
            ConfigError: sampling takes a single step, which makes the same image of all noise.
        """
        require_images(images, self.image_shape, "DDIM")
        if self.sampling.steps < 2:
            raise ConfigError("Inversion needs sampling of at least 2 steps; here it has 1.")
        with torch.inference_mode():
            noise = [
                self._inverted_batch(batch).cpu() for batch in torch.split(images, self.batch_size)
            ]
        return torch.cat(noise).flatten(1).double().numpy()

    def save(self, path: Path) -> None:
        """Write weights, settings and sampling; the file replaces an older one as a whole."""
        save_checkpoint(path, KIND, self._described(), self.network)

    @classmethod
    def load(cls, path: Path, *, sampling: Sampling | None = None, **options: Any) -> DDIM:
        """A DDIM from its file.

        Args:
            path: what `save` wrote.
            sampling: in place of the saved one; the version is then another.
            options: further keywords of the constructor, such as `searched`.

        Raises:
            CheckpointError: the file is missing, damaged or of another architecture.
        """
        (settings, saved), state = read_checkpoint(path, KIND, _understood)
        network = DDIMNetwork(settings)
        load_state(network, state, str(path), "the diffusion model that its settings describe")
        return cls(network, saved if sampling is None else sampling, **options)

    @property
    def _device(self) -> torch.device:
        return next(self.network.parameters()).device

    def _described(self) -> dict[str, Any]:
        return {"network": asdict(self.settings), "sampling": asdict(self.sampling)}

    def _inverted_batch(self, images: Tensor) -> Tensor:
        pixels = images.to(self._device, torch.float32).mul(2).sub(1)
        return inverted(self.network, pixels, self.sampling.steps)

    def _noise(self, z: Tensor, space: str) -> Tensor:
        return self._coarse.noise(z) if space == "coarse" else z.view(-1, *self.image_shape)

    def _require(self, space: str | None) -> RealVectors:
        if space is None:
            return self.space
        if space not in self._spaces:
            raise LatentSpaceError(
                f"A DDIM decodes latents of the spaces {', '.join(self._spaces)}, not '{space}'."
            )
        return self._spaces[space]


def _understood(values: Mapping[str, Any]) -> tuple[DDIMSettings, Sampling]:
    return DDIMSettings.from_dict(values["network"]), Sampling(**values["sampling"])
