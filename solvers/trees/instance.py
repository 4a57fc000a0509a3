"""One instance of the tree optimiser: what is maximised, over which cells, from which codes."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from solvers.trees.ensemble import TreeEnsemble
from vqlso.errors import SolverError

_ARRAYS = tuple(f.name for f in fields(TreeEnsemble) if "NDArray" in str(f.type))


@dataclass(frozen=True, eq=False)
class Instance:
    """max ensemble(z) over codes z that equal the reference's outside the free cells.

    Attributes:
        ensemble: over n_features cells of known categories.
        free: (t,) int64, the cells that may change.
        reference: (n_features,) int64 codes.
    """

    ensemble: TreeEnsemble
    free: NDArray[np.int64]
    reference: NDArray[np.int64]

    @classmethod
    def checked(cls, ensemble: TreeEnsemble, free: ArrayLike, reference: ArrayLike) -> Instance:
        """The instance, after checking that it makes sense.

        Raises:
            SolverError: unknown categories; free cells that are none, repeated or outside the
                ensemble; a reference of the wrong shape or dtype, or with codes outside 0..K-1.
        """
        if ensemble.categories is None:
            raise SolverError(
                "The codes to choose from are unknown: read the ensemble with `categories=K`."
            )
        return cls(
            ensemble,
            _checked_free(free, ensemble.n_features),
            _checked_reference(reference, np.array(ensemble.categories)),
        )

    @property
    def name(self) -> str:
        """A short name that depends on the content alone."""
        digest = 0
        for array in self._arrays().values():
            digest = zlib.crc32(np.ascontiguousarray(array).tobytes(), digest)
        return f"trees-{self.ensemble.n_trees}-free-{len(self.free)}-{digest:08x}"

    def save(self, folder: Path) -> Path:
        """Write the instance to `<folder>/<name>.npz` and return that path."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{self.name}.npz"
        np.savez_compressed(path, allow_pickle=False, **self._arrays())
        return path

    @classmethod
    def load(cls, path: Path) -> Instance:
        """Read an instance written by `save`.

        Raises:
            SolverError: the file is missing or holds no instance.
        """
        try:
            with np.load(path, allow_pickle=False) as stored:
                ensemble = TreeEnsemble(
                    **{name: stored[name] for name in _ARRAYS},
                    base=float(stored["base"]),
                    n_features=int(stored["n_features"]),
                    categories=tuple(stored["categories"].tolist()),
                )
                return cls.checked(ensemble, stored["free"], stored["reference"])
        except (OSError, KeyError, ValueError) as error:
            raise SolverError(f"{path} holds no instance of the tree optimiser: {error}") from error

    def _arrays(self) -> dict[str, NDArray[Any]]:
        return {name: getattr(self.ensemble, name) for name in _ARRAYS} | {
            "base": np.array(self.ensemble.base),
            "n_features": np.array(self.ensemble.n_features),
            "categories": np.array(self.ensemble.categories, dtype=np.int64),
            "free": self.free,
            "reference": self.reference,
        }


def _checked_free(free: ArrayLike, n_features: int) -> NDArray[np.int64]:
    cells = np.asarray(free)
    if cells.ndim != 1 or not cells.size:
        raise SolverError(
            f"At least one cell must be free, as a list of cell numbers; got shape {cells.shape}."
        )
    if not np.issubdtype(cells.dtype, np.integer):
        raise SolverError(f"Free cells are whole numbers; got dtype {cells.dtype}.")
    if len(cells) > n_features:
        raise SolverError(f"{len(cells)} free cells were asked for, but there are {n_features}.")
    if cells.min() < 0 or cells.max() >= n_features:
        raise SolverError(
            f"Free cells lie in 0..{n_features - 1}; got {cells.min()}..{cells.max()}."
        )
    if len(np.unique(cells)) < len(cells):
        raise SolverError(f"Free cells repeat: {cells.tolist()}.")
    return cells.astype(np.int64)


def _checked_reference(reference: ArrayLike, K: NDArray[np.int64]) -> NDArray[np.int64]:
    codes = np.asarray(reference)
    if codes.shape != K.shape:
        raise SolverError(
            f"The reference has one code per cell, shape {K.shape}; got {codes.shape}. "
            "Flatten grids first."
        )
    if not np.issubdtype(codes.dtype, np.integer):
        raise SolverError(f"The reference's codes are whole numbers; got dtype {codes.dtype}.")
    outside = np.flatnonzero((codes < 0) | (codes >= K))
    if outside.size:
        cell = int(outside[0])
        raise SolverError(
            f"The reference's code in cell {cell} is {codes[cell]}, outside 0..{K[cell] - 1}."
        )
    return codes.astype(np.int64)
