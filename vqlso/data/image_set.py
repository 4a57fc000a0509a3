"""What every data source delivers: images in memory or memory-mapped, with labels and people."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from vqlso.errors import DataError


@dataclass(frozen=True)
class ImageSet:
    """Labelled images of one size.

    Attributes:
        name: the source, such as "faces" or "celeba".
        images: (n, 3, H, W) uint8, possibly a read-only memory map.
        labels: (n,) float64, the labelled score, such as the smile degree in [0, 5].
        people: (n,) int64, who is shown; splits never separate one person's images.
        fingerprint: hash of the content and of all settings that shaped it.
        label_origin: how the labels came about, for the report.
        skipped: names of files that could not be read.
    """

    name: str
    images: NDArray[np.uint8]
    labels: NDArray[np.float64]
    people: NDArray[np.int64]
    fingerprint: str
    label_origin: str
    skipped: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        if not len(self.images):
            raise DataError(f"The data set '{self.name}' is empty.")
        if not len(self.images) == len(self.labels) == len(self.people):
            raise DataError(
                f"The data set '{self.name}' has {len(self.images)} images, "
                f"{len(self.labels)} labels and {len(self.people)} people."
            )

    def __len__(self) -> int:
        return len(self.images)

    def at_most(self, label: float) -> NDArray[np.int64]:
        """Rows of the restricted training set: labels <= `label` (paper 003, section 3)."""
        return np.flatnonzero(self.labels <= label)

    def above(self, label: float) -> NDArray[np.int64]:
        """Rows of the unseen target distribution: labels > `label`."""
        return np.flatnonzero(self.labels > label)
