"""The archive: images and their scores are the truth; latents are a cache of one generator's view.

Rows 0..base-1 are the restricted training set; every queried image is appended behind it
(paper 003, section 2.3: "the corresponding decoded images are added to the training data").
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vqlso.errors import LatentSpaceError
from vqlso.images import to_bytes, to_unit

if TYPE_CHECKING:
    from torch import Tensor

    from vqlso.contracts import EncodingGenerator

# oneDNN compiles and keeps the convolutions of every number of images that it meets: a megabyte for
# each length of a growing archive, were its last chunk not filled up.
GRANULE = 128

Encode = Callable[[NDArray[np.uint8]], NDArray[Any]]


class Archive:
    """Scored images with their latents.

    Args:
        images: (n, 3, H, W) uint8, the training images; may be memory-mapped.
        scores: (n,) float64, the objective's value of each.
        latents: (n, *shape), each image's latent.
        version: version of the generator that encoded them.

    Raises:
        ValueError: the numbers of images, scores and latents differ.
    """

    def __init__(
        self,
        images: NDArray[np.uint8],
        scores: NDArray[np.float64],
        latents: NDArray[Any],
        version: str,
    ) -> None:
        _require_one_of_each(images, scores, latents)
        self._base_images = images
        self._queried_images: list[NDArray[np.uint8]] = []
        self._scores = list(np.asarray(scores, dtype=np.float64))
        self._latents = [np.asarray(latents)]
        self._version = version

    @classmethod
    def scored(
        cls,
        images: NDArray[np.uint8],
        generator: EncodingGenerator,
        objective: Callable[[Tensor], NDArray[np.float64]],
        chunk: int = 1024,
    ) -> Archive:
        """Training images with the scores f(d(e(x))) of their reconstructions.

        Args:
            images: (n, 3, H, W) uint8.
            generator: encodes and decodes them.
            objective: (m, 3, H, W) float tensor in [0, 1] -> (m,) scores.
            chunk: images at once.
        """
        latents, scores = [], []
        for start in range(0, len(images), chunk):
            z = generator.encode(to_unit(images[start : start + chunk]))
            decoded = to_bytes(generator.decode(z, generator.space.name))
            latents.append(z)
            scores.append(np.asarray(objective(to_unit(decoded)), dtype=np.float64))
        return cls(images, np.concatenate(scores), np.concatenate(latents), generator.version)

    def __len__(self) -> int:
        return len(self._scores)

    @property
    def base(self) -> int:
        """Number of training images; rows from here on were queried."""
        return len(self._base_images)

    @property
    def version(self) -> str:
        """Version of the generator that all latents belong to."""
        return self._version

    @property
    def scores(self) -> NDArray[np.float64]:
        """(len,) float64."""
        return np.array(self._scores, dtype=np.float64)

    def latents(self, version: str) -> NDArray[Any]:
        """(len, *shape) latents under the generator of this version.

        Raises:
            LatentSpaceError: the archive was encoded by another generator.
        """
        self._require(version)
        if len(self._latents) > 1:
            self._latents = [np.concatenate(self._latents)]
        return self._latents[0]

    def images(self, rows: NDArray[np.int64] | slice) -> NDArray[np.uint8]:
        """(n, 3, H, W) uint8 images of these rows."""
        index = np.arange(len(self))[rows]
        out = np.empty((len(index), *self._base_images.shape[1:]), dtype=np.uint8)
        training = index < self.base
        out[training] = self._base_images[index[training]]
        for position in np.flatnonzero(~training):
            out[position] = self._queried_images[index[position] - self.base]
        return out

    def add(
        self,
        images: NDArray[np.uint8],
        scores: NDArray[np.float64],
        latents: NDArray[Any],
        version: str,
    ) -> None:
        """Append n queried images with the latents they were decoded from.

        Until the next retraining a query keeps the code that was proposed, since the
        surrogate models f(d(z)) (paper 003, section 2.2) and d(z) is what was scored.

        Raises:
            LatentSpaceError: the latents belong to another generator version.
            ValueError: the numbers of images, scores and latents differ; nothing was added.
        """
        self._require(version)
        _require_one_of_each(images, scores, latents)
        self._queried_images.extend(np.asarray(images, dtype=np.uint8))
        self._scores.extend(np.asarray(scores, dtype=np.float64))
        self._latents.append(np.asarray(latents))

    def reencode(self, encode: Encode, version: str, chunk: int = 2048) -> None:
        """Replace every latent by the retrained generator's code of the same image."""
        chunks = []
        for start in range(0, len(self), chunk):
            images = self.images(slice(start, start + chunk))
            chunks.append(encode(_filled_up(images))[: len(images)])
        self._latents = [np.concatenate(chunks)]
        self._version = version

    def _require(self, version: str) -> None:
        if version != self._version:
            raise LatentSpaceError(
                f"The archive's latents were encoded by generator {self._version}, "
                f"not {version}: re-encode it before mixing the two."
            )


def _filled_up(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Images and then the first one again, up to a multiple of `GRANULE`."""
    return np.concatenate([images, np.repeat(images[:1], -len(images) % GRANULE, axis=0)])


def _require_one_of_each(
    images: NDArray[np.uint8], scores: NDArray[np.float64], latents: NDArray[Any]
) -> None:
    if not len(images) == len(scores) == len(latents):
        raise ValueError(
            f"An archive needs one score and one latent for each image; got {len(images)} images, "
            f"{len(scores)} scores and {len(latents)} latents."
        )
