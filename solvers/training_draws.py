"""Draws from the training set that a search and its chance level have in common."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vqlso.randomness import stream


def drawn_training_row(seed: int, id_: int, rows: int) -> int:
    """The training sample that proposal `id_` derives from, uniform (paper 003, section 2.2)."""
    return int(stream(seed, "reference", id_).integers(rows))


def codes_of_another(
    references: NDArray[np.int64],
    cells: NDArray[np.int64],
    training: NDArray[np.int64],
    seed: int,
    ids: NDArray[np.int64],
) -> NDArray[np.int64]:
    """The references with some cells' codes from another training grid: the chance level.

    Codes of one grid occur together, which independently drawn ones need not.

    Args:
        references: (n, h, w) codes.
        cells: (t,) row-major indices of the cells to change.
        training: (m, h, w) codes to take from.
        seed: of the draws.
        ids: (n,) of the proposals that they belong to.

    Returns:
        (n, h, w) codes.
    """
    rows, columns = np.divmod(cells, references.shape[2])
    changed = references.copy()
    for grid, id_ in zip(changed, ids, strict=True):
        donor = stream(seed, "random codes", int(id_)).integers(len(training))
        grid[rows, columns] = training[donor][rows, columns]
    return changed
