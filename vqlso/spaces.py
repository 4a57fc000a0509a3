"""Latent spaces: what one latent looks like, and which latents are allowed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vqlso.errors import LatentSpaceError


@dataclass(frozen=True)
class CodeGrid:
    """Grids of codebook indices, z in {0, ..., K-1}^(h x w) (paper 003, section 2.1, from 0).

    Attributes:
        categories: K, the number of codebook entries.
        height: h, rows of the grid.
        width: w, columns of the grid.
    """

    categories: int
    height: int
    width: int
    name: str = "codes"

    @property
    def shape(self) -> tuple[int, int]:
        """Shape of one latent, (h, w)."""
        return (self.height, self.width)

    @property
    def cells(self) -> int:
        """Number of latent variables, h * w."""
        return self.height * self.width

    def sample(self, n: int, rng: np.random.Generator) -> NDArray[np.int64]:
        """Uniform grids, (n, h, w) int64. Uniform codes do not look like data."""
        return rng.integers(0, self.categories, size=(n, *self.shape), dtype=np.int64)

    def validate(self, z: NDArray[np.generic]) -> NDArray[np.int64]:
        """`z` as int64 of shape (n, h, w).

        Raises:
            LatentSpaceError: wrong shape, not whole numbers, or codes outside 0..K-1.
        """
        z = np.asarray(z)
        if z.ndim != 3 or z.shape[1:] != self.shape:
            raise LatentSpaceError(
                f"Latents of space '{self.name}' have shape (n, {self.height}, {self.width}); "
                f"got {z.shape}."
            )
        if not np.issubdtype(z.dtype, np.integer):
            raise LatentSpaceError(
                f"Latents of space '{self.name}' are integers, got dtype {z.dtype}. "
                "Codes are categories: they cannot be rounded or interpolated."
            )
        if z.size and (z.min() < 0 or z.max() >= self.categories):
            raise LatentSpaceError(
                f"Codes lie in 0..{self.categories - 1}; got {z.min()}..{z.max()}."
            )
        return z.astype(np.int64, copy=False)


Draw = Callable[[int, np.random.Generator], NDArray[np.float64]]


@dataclass(frozen=True)
class RealVectors:
    """Real latents: z of a VAE or a GAN, or what a GAN's mapping network makes of it.

    Attributes:
        name: "z", "w", "w+" or "s"; latents of one space are never taken for another's.
        shape: of one latent, (d,) or (layers, d).
        draw: (n, rng) -> (n, *shape), samples of the space's own distribution; None draws from
            the standard normal.
    """

    name: str
    shape: tuple[int, ...]
    draw: Draw | None = None

    def sample(self, n: int, rng: np.random.Generator) -> NDArray[np.float64]:
        """(n, *shape) float64."""
        if self.draw is None:
            return rng.standard_normal((n, *self.shape))
        return self.validate(self.draw(n, rng))

    def validate(self, z: NDArray[np.generic]) -> NDArray[np.float64]:
        """`z` as float64 of shape (n, *shape).

        Raises:
            LatentSpaceError: wrong shape, not numbers, or not finite.
        """
        z = np.asarray(z)
        if z.shape[1:] != self.shape or z.ndim != 1 + len(self.shape):
            wanted = ", ".join(map(str, ("n", *self.shape)))
            raise LatentSpaceError(
                f"Latents of space '{self.name}' have shape ({wanted}); got {z.shape}."
            )
        if not np.issubdtype(z.dtype, np.floating):
            raise LatentSpaceError(
                f"Latents of space '{self.name}' are real numbers, got dtype {z.dtype}."
            )
        if not np.isfinite(z).all():
            raise LatentSpaceError(f"Latents of space '{self.name}' are finite; some here are not.")
        return z.astype(np.float64, copy=False)
