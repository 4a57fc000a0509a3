"""What a solver knows: scored latents of one generator, told back by id."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vqlso.archive import Archive
from vqlso.contracts import LatentSpace
from vqlso.errors import SolverError
from vqlso.records import Proposal, Scores, SolveStatus


class History:
    """The archive's latents and scores, and behind them everything told since.

    Args:
        space: where the latents live.

    Attributes:
        version: of the generator that all latents belong to; empty before the first `rebase`.
        z: (n, *space.shape) latents.
        y: (n,) float64 scores.
        training_rows: how many of the first rows are the training set.
    """

    def __init__(self, space: LatentSpace) -> None:
        self.space = space
        self.version = ""
        self.z: NDArray[Any] = np.empty((0, *space.shape))
        self.y: NDArray[np.float64] = np.empty(0)
        self.training_rows = 0
        self._next_id = 0

    def __len__(self) -> int:
        return len(self.y)

    def rebase(self, archive: Archive) -> None:
        """Start anew from what the archive holds."""
        self.version = archive.version
        self.z = self.space.validate(archive.latents(archive.version))
        self.y = archive.scores
        self.training_rows = archive.base

    def tell(self, proposal: Proposal, scores: Scores) -> NDArray[np.int64]:
        """Append the answered points, in the order of the proposal whatever that of the scores.

        Returns:
            (m,) the proposal's rows that were answered, ascending.

        Raises:
            SolverError: a score's id is not in the proposal, or its latents are of another
                generator.
        """
        if proposal.version != self.version:
            raise SolverError(
                f"The told latents belong to generator {proposal.version}, the solver's to "
                f"{self.version}: call rebase first."
            )
        # Sets and dictionaries: of a point or two at a time, NumPy's take many times as long.
        asked, ok = proposal.ids.tolist(), scores.ok
        unknown = sorted(set(scores.ids.tolist()) - set(asked))
        if unknown:
            raise SolverError(f"Scores were told for ids that the proposal lacks: {unknown}.")
        value = dict(zip(scores.ids[ok].tolist(), scores.values[ok], strict=True))
        rows = np.array([row for row, id_ in enumerate(asked) if id_ in value], dtype=np.int64)
        told = np.array([value[asked[row]] for row in rows], dtype=np.float64)
        self.z = np.concatenate([self.z, self.space.validate(proposal.z[rows])])
        self.y = np.concatenate([self.y, told])
        self._next_id = max(self._next_id, max(asked) + 1)
        return rows

    def new_ids(self, n: int) -> NDArray[np.int64]:
        """(n,) ids that nothing was proposed or told under, and that are now taken.

        Raises:
            SolverError: there is no training set yet, or nothing is asked for.
        """
        if not self.training_rows:
            raise SolverError("The solver has no training samples: call rebase first.")
        if n < 1:
            raise SolverError(f"{n} proposals were asked for: ask for at least one.")
        ids = np.arange(self._next_id, self._next_id + n, dtype=np.int64)
        self._next_id += n
        return ids

    def proposal(
        self,
        ids: NDArray[np.int64],
        z: NDArray[Any],
        *,
        parents: NDArray[np.int64] | None = None,
        predicted: NDArray[np.float64] | None = None,
        acquisition: NDArray[np.float64] | None = None,
        controls: Mapping[str, NDArray[Any]] | None = None,
        details: Mapping[str, Any] | None = None,
    ) -> Proposal:
        """A heuristic's latents: nothing is proven of them, and what is not given is unknown.

        Args:
            ids: (n,) int64, from `new_ids`.
            z: (n, *space.shape) latents.
            parents: (n,) int64 rows that they derive from; -1 for none.
            predicted, acquisition, controls, details: as in `Proposal`.
        """
        unknown = np.full(len(ids), np.nan)
        return Proposal(
            ids=ids,
            z=self.space.validate(z),
            space=self.space.name,
            version=self.version,
            parents=np.full(len(ids), -1, dtype=np.int64) if parents is None else parents,
            predicted=unknown if predicted is None else predicted,
            acquisition=unknown if acquisition is None else acquisition,
            bound=unknown,
            status=(SolveStatus.UNPROVEN,) * len(ids),
            controls=controls or {},
            details=details or {},
        )
