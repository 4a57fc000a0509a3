"""One search for each target of a problem, their points scored in common batches."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vqlso.archive import Archive
from vqlso.contracts import Solver
from vqlso.errors import SolverError
from vqlso.records import Proposal, Scores


class SideBySide:
    """Solvers that know nothing of each other, as one.

    Id i is the id i // n of solver i % n, as `TargetImage` scores it by target i % n. So each
    search goes as it would alone. Parents, controls and details of a single search mean nothing
    here and are left out.

    Args:
        solvers: n of them over the same space, each of which counts its ids from 0.

    Raises:
        SolverError: there is no solver.
    """

    def __init__(self, solvers: Sequence[Solver]) -> None:
        if not solvers:
            raise SolverError("Searches side by side need at least one solver.")
        self.solvers = tuple(solvers)
        self._next_id = 0

    def rebase(self, archive: Archive) -> None:
        """Row r of the archive is solver r % n's."""
        latents, scores = archive.latents(archive.version), archive.scores
        for place, solver in enumerate(self.solvers):
            own = slice(place, None, len(self.solvers))
            solver.rebase(Archive(archive.images(own), scores[own], latents[own], archive.version))

    def tell(self, proposal: Proposal, scores: Scores) -> None:
        """To each solver what belongs to it.

        Raises:
            SolverError: as the solvers' own, and for a score's id that is not in the proposal.
        """
        unknown = np.setdiff1d(scores.ids, proposal.ids).tolist()
        if unknown:
            raise SolverError(f"Scores were told for ids that the proposal lacks: {unknown}.")
        told = self._rows(scores.ids)
        for place, asked in self._rows(proposal.ids).items():
            answers = self._answers(scores, told.get(place, []))
            self.solvers[place].tell(self._part(proposal, asked), answers)
        self._next_id = max(self._next_id, int(proposal.ids.max()) + 1)

    def ask(self, n: int) -> Proposal:
        """The next n >= 1 points of the solvers in turn.

        Raises:
            SolverError: nothing is asked for, before `rebase`, or a solver has other ids next,
                since it was told of points that the others were not.
        """
        if n < 1:
            raise SolverError(f"{n} proposals were asked for: ask for at least one.")
        ids = np.arange(self._next_id, self._next_id + n, dtype=np.int64)
        parts = {}
        for place, rows in self._rows(ids).items():
            part = parts[place] = self.solvers[place].ask(len(rows))
            next_ids = ids[rows] // len(self.solvers)
            if (part.ids != next_ids).any():
                raise SolverError(
                    f"Solver {place} of {len(self.solvers)} proposes the ids "
                    f"{part.ids.tolist()} instead of {next_ids.tolist()}: give fresh solvers, "
                    "and tell each of them of every point."
                )
        self._next_id += n
        return self._together(list(parts.values()), list(parts), ids)

    def _rows(self, ids: NDArray[np.int64]) -> dict[int, list[int]]:
        """Which rows belong to each solver, by its place."""
        rows: dict[int, list[int]] = {}
        for row, id_ in enumerate(ids.tolist()):
            rows.setdefault(id_ % len(self.solvers), []).append(row)
        return rows

    def _together(
        self, parts: Sequence[Proposal], places: Sequence[int], ids: NDArray[np.int64]
    ) -> Proposal:
        """Rows in the order of `ids`, whatever solver they are of."""
        given = np.concatenate(
            [
                part.ids * len(self.solvers) + place
                for part, place in zip(parts, places, strict=True)
            ]
        )
        order = np.argsort(given)
        status = [each for part in parts for each in part.status]

        def ordered(name: str) -> NDArray[np.float64]:
            joined: NDArray[np.float64] = np.concatenate([getattr(part, name) for part in parts])
            return joined[order]

        return Proposal(
            ids=ids,
            z=ordered("z"),
            space=parts[0].space,
            version=parts[0].version,
            parents=np.full(len(ids), -1, dtype=np.int64),
            predicted=ordered("predicted"),
            acquisition=ordered("acquisition"),
            bound=ordered("bound"),
            status=tuple(status[row] for row in order),
        )

    def _part(self, proposal: Proposal, rows: list[int]) -> Proposal:
        return Proposal(
            ids=proposal.ids[rows] // len(self.solvers),
            z=proposal.z[rows],
            space=proposal.space,
            version=proposal.version,
            parents=np.full(len(rows), -1, dtype=np.int64),
            predicted=proposal.predicted[rows],
            acquisition=proposal.acquisition[rows],
            bound=proposal.bound[rows],
            status=tuple(proposal.status[row] for row in rows),
        )

    def _answers(self, scores: Scores, rows: list[int]) -> Scores:
        return Scores(
            ids=scores.ids[rows] // len(self.solvers),
            values=scores.values[rows],
            status=tuple(scores.status[row] for row in rows),
            reason=tuple(scores.reason[row] for row in rows),
            images=scores.images[rows],
        )
