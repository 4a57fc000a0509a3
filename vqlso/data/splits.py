"""Splits that never separate one person's images."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vqlso.errors import DataError
from vqlso.randomness import stream

UNKNOWN_PEOPLE = "people unknown: each image counts as a person of its own"


def split_people(
    people: NDArray[np.int64], shares: Sequence[float], seed: int
) -> tuple[NDArray[np.int64], ...]:
    """Rows of disjoint groups of people, so that no model is judged on a face it was fitted to.

    People are shuffled and laid out one behind the other; each belongs to the part that the
    middle of their images falls into. A part therefore misses its share by at most as many
    images as the most photographed person has.

    Args:
        people: (n,) who is on each image.
        shares: share of the images for each part, each > 0; they sum to at most 1, and the rest
            belongs to no part.
        seed: >= 0.

    Returns:
        Sorted rows of each part, one array per share.

    Raises:
        DataError: unusable shares, or so few people that a part stays empty.
    """
    bounds = np.cumsum(shares)
    if not len(shares) or min(shares) <= 0 or bounds[-1] > 1 + 1e-9:
        raise DataError(f"Shares of a split are positive and sum to at most 1; got {list(shares)}.")
    persons, of_row, counts = np.unique(people, return_inverse=True, return_counts=True)
    order = stream(seed, "split of people").permutation(len(persons))
    middles = (np.cumsum(counts[order]) - counts[order] / 2) / len(people)
    part = np.empty(len(persons), dtype=np.int64)
    part[order] = np.searchsorted(bounds, middles, side="right")
    rows = tuple(np.flatnonzero(part[of_row] == number) for number in range(len(shares)))
    if not all(len(of_part) for of_part in rows):
        raise DataError(
            f"{len(persons)} people are too few for parts of {list(shares)} of the images: "
            "use more people or fewer, larger parts."
        )
    return rows
