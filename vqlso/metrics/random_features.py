"""A feature network with fixed random weights: nothing to download, nothing that was trained.

Random convolutions followed by pooling tell textures and shapes apart without any training
(Saxe et al. 2011, "On Random Weights and Unsupervised Feature Learning"), and Naeem et al. 2020
measure generators in them where ImageNet's features do not fit the images. Above
all they share nothing with the objective or the judge, so that no search can have exploited them.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from vqlso.randomness import stream

FEATURES = 64
CHANNELS = (16, 32, 64)
GRID = 4  # the pooled maps keep where on a face something is
INPUT_SIZE = 64
# Brings the features' mean square on faces near 1: far below it the kernel distance's cube is
# nearly a line, which sees means only.
GAIN = 128


class RandomFeatures:
    """Three scales of orthogonal 3x3 convolutions, each pooled to 4x4, projected to 64 features.

    64 features have a covariance of full rank from 65 images on. The first kernels add up to
    zero in each channel, so that edges count and flat colours do not: backgrounds and
    complexions differ far more between two draws of faces than smiles do. Images are compared
    at 64 pixels, the papers' size.

    Args:
        seed: of the weights; distances of different seeds are not comparable.
    """

    def __init__(self, seed: int = 0) -> None:
        self._seed = seed
        self._kernels: list[Tensor] = []
        inputs = 3
        for scale, outputs in enumerate(CHANNELS):
            rows = _orthonormal(outputs, inputs * 9, stream(seed, "random features", scale))
            if scale == 0:
                rows = _without_means(rows)
            # A ReLU takes half the energy; with this gain no scale outweighs another.
            gain = np.sqrt(2 * inputs / outputs)
            self._kernels.append(_tensor(gain * rows).view(outputs, inputs, 3, 3))
            inputs = outputs
        pooled = sum(CHANNELS) * GRID**2
        rows = _orthonormal(FEATURES, pooled, stream(seed, "random features", len(CHANNELS)))
        self._projection = _tensor(GAIN * rows)

    @property
    def name(self) -> str:
        """Such as "random convolutions, untrained (seed 0, 64 features, 64 px)"."""
        return (
            f"random convolutions, untrained (seed {self._seed}, {FEATURES} features, "
            f"{INPUT_SIZE} px)"
        )

    @torch.inference_mode()
    def __call__(self, images: Tensor) -> Tensor:
        """(n, 3, H, W) float in [0, 1] -> (n, 64) float32, on the images' device."""
        pooled = [functional.adaptive_avg_pool2d(x, GRID).flatten(1) for x in self.maps(images)]
        return torch.cat(pooled, 1) @ self._projection.to(images).T

    def maps(self, images: Tensor) -> list[Tensor]:
        """(n, 3, H, W) float in [0, 1] -> the three scales before they are pooled.

        Differentiable in `images`; (n, 16, 64, 64), (n, 32, 32, 32) and (n, 64, 16, 16).
        """
        size = (INPUT_SIZE, INPUT_SIZE)
        x = functional.interpolate(images, size=size, mode="bilinear", antialias=True) - 0.5
        maps = []
        for kernel in self._kernels:
            padded = functional.pad(x, (1, 1, 1, 1), mode="replicate")
            maps.append(functional.relu(functional.conv2d(padded, kernel.to(x))))
            x = functional.avg_pool2d(maps[-1], 2)
        return maps


def _orthonormal(rows: int, columns: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """(rows, columns) with orthonormal rows; no more rows than columns."""
    q, r = np.linalg.qr(rng.normal(size=(columns, rows)))
    # Else the signs are the library's choice, which may differ by machine.
    return np.asarray((q * np.sign(np.diag(r))).T, dtype=np.float64)


def _without_means(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """3x3 kernels (rows, channels * 9) whose nine weights a channel add up to zero, of length 1."""
    kernels = rows.reshape(len(rows), -1, 9)
    centred = (kernels - kernels.mean(axis=2, keepdims=True)).reshape(rows.shape)
    edges: NDArray[np.float64] = centred / np.linalg.norm(centred, axis=1, keepdims=True)
    return edges


def _tensor(values: NDArray[np.float64]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))
