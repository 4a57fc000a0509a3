"""One instance of the tree optimiser: what is maximised, over which cells, under which demands."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from solvers.trees.constraints import Constraint
from solvers.trees.domains import Domain, domain
from solvers.trees.ensemble import TreeEnsemble
from solvers.trees.features import Categorical, Feature
from solvers.trees.side_builder import SideModelBuilder
from solvers.trees.side_model import SideModel
from solvers.trees.terms import Term
from vqlso.errors import SolverError


@dataclass(frozen=True, eq=False)
class Instance:
    """max ensemble(z) + terms(z) over z that satisfy the constraints.

    z equals the reference outside the free cells.

    Attributes:
        ensemble: over n_features features of known kinds, its output not transformed.
        free: (t,) int64, the features that may change; a free cell is a position in it.
        reference: (n_features,) float64; NaN where a fixed feature is missing.
        domains: the choices of each free cell.
        allowed: feature -> the only values that a free one may take.
        terms, constraints: as stated.
        constant: what the terms contribute whatever the free cells hold.
        unary: per free cell (choices,), what the terms contribute by each choice.
        side: what else couples the free cells.
    """

    ensemble: TreeEnsemble
    free: NDArray[np.int64]
    reference: NDArray[np.float64]
    domains: tuple[Domain, ...]
    allowed: Mapping[int, tuple[float, ...]]
    terms: tuple[Term, ...]
    constraints: tuple[Constraint, ...]
    constant: float
    unary: tuple[NDArray[np.float64], ...]
    side: SideModel

    @classmethod
    def checked(
        cls,
        ensemble: TreeEnsemble,
        free: ArrayLike,
        reference: ArrayLike,
        *,
        allowed: Mapping[int, Iterable[float]] | None = None,
        terms: Sequence[Term] = (),
        constraints: Sequence[Constraint] = (),
    ) -> Instance:
        """The instance, after checking that it makes sense.

        Numeric features count as whole numbers if the reference is an array of integers.

        Raises:
            SolverError: features of unknown kinds; free cells that are none, repeated or outside
                the ensemble; a reference of the wrong shape, or with codes outside 0..K-1; terms
                or constraints that do not fit.
            InfeasibleError: a constraint is missed whatever the free cells are.
        """
        if ensemble.features is None:
            raise SolverError(
                "The values to choose from are unknown: read the ensemble with `categories=K` "
                "or `features=[...]`."
            )
        if np.issubdtype(np.asarray(reference).dtype, np.integer):
            ensemble = ensemble.in_whole_numbers
        assert ensemble.features is not None
        cells = _checked_free(free, ensemble.n_features)
        codes = _checked_reference(reference, ensemble.features)
        parts: list[Term | Constraint] = [*terms, *constraints]
        mentioned = {feature for part in parts for feature in part.mentions}
        domains = {
            feature: domain(ensemble, feature, spelt_out=feature in mentioned).at(codes[feature])
            for feature in cells.tolist()
        }
        only = {feature: tuple(values) for feature, values in (allowed or {}).items()}
        for feature, values in only.items():
            if feature not in domains:
                raise SolverError(f"Cell {feature} has allowed values, but is not free.")
            domains[feature] = domains[feature].restricted(values, feature)
        builder = SideModelBuilder(ensemble.features, cells, codes, tuple(domains.values()))
        for part in parts:
            part.add_to(builder)
        sides = builder.build()
        return cls(
            ensemble,
            cells,
            codes,
            sides.domains,
            only,
            tuple(terms),
            tuple(constraints),
            sides.constant,
            sides.unary,
            sides.model,
        )

    @property
    def features(self) -> tuple[Feature, ...]:
        """Of the ensemble."""
        assert self.ensemble.features is not None
        return self.ensemble.features

    def point(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """(t,) values of the free cells -> (n_features,) z."""
        z = self.reference.copy()
        z[self.free] = values
        return z

    def objective(self, z: NDArray[np.float64], prediction: float) -> float:
        """The prediction at z (n_features,) plus all terms, computed as they are defined."""
        return prediction + sum(term.value(z, self.features) for term in self.terms)

    def magnitude(self, z: NDArray[np.float64]) -> float:
        """Sum of the sizes of what is added up at z (n_features,): rounding is relative to it."""
        largest = float(np.abs(self.ensemble.value).max(initial=0.0))
        trees = abs(self.ensemble.base) + self.ensemble.n_trees * largest
        return trees + sum(abs(term.value(z, self.features)) for term in self.terms)

    def violation(self, z: NDArray[np.float64]) -> float:
        """By how much z (n_features,) misses the worst of the constraints; 0 where all hold."""
        return max((c.violation(z, self.features) for c in self.constraints), default=0.0)

    def choices(self, z: NDArray[np.float64]) -> NDArray[np.int64] | None:
        """(t,) the choices that hold z's values; None if z is not among the points."""
        fixed = np.ones(len(z), dtype=bool)
        fixed[self.free] = False
        if not np.array_equal(z[fixed], self.reference[fixed], equal_nan=True):
            return None
        chosen = [d.choice(v) for d, v in zip(self.domains, z[self.free], strict=True)]
        return None if min(chosen) < 0 else np.array(chosen, dtype=np.int64)


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


def _checked_reference(reference: ArrayLike, features: Sequence[Feature]) -> NDArray[np.float64]:
    given = np.asarray(reference)
    if given.shape != (len(features),):
        raise SolverError(
            f"The reference has one value per feature, shape ({len(features)},); got "
            f"{given.shape}. Flatten grids first."
        )
    if not np.issubdtype(given.dtype, np.number) or np.issubdtype(given.dtype, np.complexfloating):
        raise SolverError(f"The reference holds numbers or codes; got dtype {given.dtype}.")
    values = given.astype(np.float64)
    if np.isinf(values).any():
        raise SolverError(f"The reference is infinite in cell {int(np.isinf(values).argmax())}.")
    K = np.array([f.categories if isinstance(f, Categorical) else 0 for f in features])
    outside = (K > 0) & ~np.isnan(values) & ((values < 0) | (values >= K) | (values % 1 != 0))
    if outside.any():
        cell = int(outside.argmax())
        raise SolverError(
            f"The reference's code in cell {cell} is {given[cell]}, not one of 0..{K[cell] - 1}."
        )
    return values
