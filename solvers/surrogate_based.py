"""Surrogate-based search over code grids with an exact inner optimiser (paper 003, section 2.2)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from solvers.contracts import SavedSurrogate, TreeSurrogate
from solvers.exploration import Exploration, distance_to_nearest
from solvers.free_cells import FreeCells
from solvers.history import History
from solvers.plausibility import NeighbourPrior, Plausibility
from solvers.training_draws import codes_of_another, drawn_training_row
from solvers.trees import Limits, Optimum, Solution, Term, maximize
from solvers.trees.backends import backend as backend_named
from vqlso.archive import Archive
from vqlso.errors import SolverError, VerificationError
from vqlso.randomness import stream
from vqlso.records import Proposal, Scores
from vqlso.spaces import CodeGrid
from vqlso.training.weighting import rank_weights

# Between the optimiser's claim and the surrogate's own prediction: a share of the scores' range,
# since only that tells good codes from bad ones, beside the rounding of scores far from zero.
TOLERANCE = 1e-6
ROUNDING = 1e-12


@dataclass(frozen=True)
class _Found:
    """One of the best grids around a reference.

    Attributes:
        parent: the reference's row.
        solution: the grid.
        optimum: what is known about all that were found around this reference.
    """

    parent: int
    solution: Solution
    optimum: Optimum

    @property
    def bound(self) -> float:
        """Of its acquisition, better grids around this reference set aside."""
        return self.solution.value + self.optimum.gap


class SurrogateSolver:
    """Fit trees to all scored codes, maximise them exactly around a drawn training sample.

    Args:
        space: the code grid.
        surrogate: a tree model of the score.
        free_cells: which cells may change.
        references: how the training sample that keeps the other cells is drawn: "uniform"
            (paper 003, section 2.2) or "weighted" by the rank weights of the scores.
        plausibility: what is asked of the codes beside a high prediction.
        exploration: what the distance to the known grids counts beside it.
        optima: how many distinct best grids are proposed around each reference, >= 1; around a
            reference that has fewer, all.
        backend: the engine that solves each program; see `solvers.trees.backends`.
        limits: node and time limits of one solve, of which a distance takes several.
        seed: of the references.

    Raises:
        SolverError: free cells that the grid does not have, or an unknown backend.
        MissingExtraError: the backend's package is not installed.
    """

    def __init__(
        self,
        space: CodeGrid,
        surrogate: TreeSurrogate,
        *,
        free_cells: FreeCells = FreeCells(),
        references: Literal["uniform", "weighted"] = "uniform",
        plausibility: Plausibility = Plausibility(),
        exploration: Exploration = Exploration(),
        optima: int = 1,
        backend: str = "auto",
        limits: Limits = Limits(),
        seed: int = 0,
    ) -> None:
        free_cells.check(space)
        if optima < 1:
            raise SolverError(f"solver.optima must be at least 1, got {optima}.")
        backend_named(backend)
        self.space = space
        self.surrogate = surrogate
        self.free_cells = free_cells
        self.references = references
        self.plausibility = plausibility
        self.exploration = exploration
        self.optima = optima
        self.backend = backend
        self.limits = limits
        self.seed = seed
        self._history = History(space)
        self._popularity: NDArray[np.float64] = np.empty((0, 0))
        self._prior: NeighbourPrior | None = None
        self._stale = True

    def rebase(self, archive: Archive) -> None:
        """Take the archive's codes and scores; the next `ask` fits the surrogate afresh."""
        self._history.rebase(archive)
        self._popularity = code_counts(self._history.z, self.space.categories)
        if self.plausibility.asked:
            training = self._history.z[: self._history.training_rows]
            self._prior = NeighbourPrior(training, self.space, self.plausibility.smoothing)
        self._stale = True

    def tell(self, proposal: Proposal, scores: Scores) -> None:
        """Add the answered points; ids that were never proposed here are welcome.

        Raises:
            SolverError: as `History.tell`.
        """
        self._history.tell(proposal, scores)
        self._stale = True

    def ask(self, n: int) -> Proposal:
        """The exact maximisers around drawn references, n >= 1 in all.

        Raises:
            SolverError: there is nothing to fit to yet, or nothing is asked for.
            VerificationError: an engine's claim disagrees with the surrogate.
        """
        ids = self._history.new_ids(n)
        fit_seconds = self._refit()
        cells = self.free_cells.choose(self.surrogate, self._history, self.seed)
        optima: list[Optimum] = []
        found: list[_Found] = []
        while len(found) < n:
            parent = self._draw_reference(int(ids[len(found)]))
            optimum = self._maximise(parent, cells, min(self.optima, n - len(found)))
            found += [_Found(parent, solution, optimum) for solution in optimum.solutions]
            optima.append(optimum)
        parents = np.array([each.parent for each in found], dtype=np.int64)
        references = self._history.z[parents]
        z = np.stack([each.solution.z.reshape(self.space.shape) for each in found])
        z = self.space.validate(z)
        training = self._history.z[: self._history.training_rows]
        return Proposal(
            ids=ids,
            z=z,
            space=self.space.name,
            version=self._history.version,
            parents=parents,
            predicted=self._verified_predictions(z, found),
            acquisition=np.array([each.solution.value for each in found]),
            bound=np.array([each.bound for each in found]),
            status=tuple(each.optimum.status for each in found),
            controls={
                "reference": references,
                "random_codes": codes_of_another(references, cells, training, self.seed, ids),
            },
            details=_details(optima, cells, fit_seconds) | self._given_up_for(z),
        )

    def save_surrogate(self, path: Path) -> None:
        """Write the trees behind the last proposal, where the surrogate can be saved."""
        if isinstance(self.surrogate, SavedSurrogate):
            self.surrogate.save(path)

    def _refit(self) -> float:
        if not self._stale:
            return 0.0
        report = self.surrogate.fit(self._history.z, self._history.y)
        self._stale = False
        return report.seconds

    def _draw_reference(self, id_: int) -> int:
        if self.references == "uniform":
            return drawn_training_row(self.seed, id_, self._history.training_rows)
        rng = stream(self.seed, "reference", id_)
        return int(rng.choice(len(self._history), p=rank_weights(self._history.y)))

    def _maximise(self, parent: int, cells: NDArray[np.int64], k: int) -> Optimum:
        known, ensemble = self._history.z, self.surrogate.ensemble()
        reference = known[parent].ravel()
        farther = max(0.0, self.exploration.kappa) * len(cells)
        terms, allowed = (
            self._prior.sides(ensemble, self.plausibility, cells, reference, farther)
            if self._prior
            else ([], None)
        )

        def solve(distance: list[Term]) -> Optimum:
            return maximize(
                ensemble,
                free=cells,
                reference=reference,
                backend=self.backend,
                k=k,
                allowed=allowed,
                terms=[*terms, *distance],
                preference=self._popularity,
                limits=self.limits,
            )

        return self.exploration.maximised(solve, known, cells, reference, self.space.categories)

    def _verified_predictions(
        self, z: NDArray[np.int64], found: list[_Found]
    ) -> NDArray[np.float64]:
        """What the fitted library itself predicts; nothing the optimiser claims is trusted."""
        predicted = self.surrogate.predict(z)
        allowed = TOLERANCE * np.ptp(self._history.y) + ROUNDING * np.abs(predicted)
        for value, each, most in zip(predicted, found, allowed, strict=True):
            claim = each.solution.prediction
            if abs(value - claim) > most:
                raise VerificationError(
                    f"Backend '{each.optimum.backend}' claims {claim!r}, but the surrogate "
                    f"predicts {value!r} at the same codes. Use another solver.backend and "
                    "report the instance."
                )
        return predicted

    def _given_up_for(self, z: NDArray[np.int64]) -> dict[str, Any]:
        """For the journal: what was given up prediction for."""
        measured = {}
        if self._prior is not None:
            measured["log_probability"] = self._prior.log_probability(z).tolist()
        if self.exploration.asked:
            measured["distance"] = distance_to_nearest(z, self._history.z).tolist()
        return measured


def code_counts(z: NDArray[np.int64], categories: int) -> NDArray[np.float64]:
    """(n, h, w) codes -> (h * w, K) how often each code occurs in each cell."""
    flat = z.reshape(len(z), -1)
    cells = flat.shape[1]
    index = flat + categories * np.arange(cells)
    counts = np.bincount(index.ravel(), minlength=cells * categories)
    return counts.reshape(cells, categories).astype(np.float64)


def _details(maxima: list[Optimum], cells: NDArray[np.int64], fit_seconds: float) -> dict[str, Any]:
    return {
        "free_cells": cells.tolist(),
        "backend": sorted({maximum.backend for maximum in maxima}),
        "nodes": [maximum.nodes for maximum in maxima],
        "seconds": {
            "fit": fit_seconds,
            "build": sum(maximum.build_seconds for maximum in maxima),
            "solve": sum(maximum.seconds - maximum.build_seconds for maximum in maxima),
        },
    }
