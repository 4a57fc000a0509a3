"""One instance of the tree optimiser: what is maximised, over which cells, under which demands."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from solvers.trees.arguments import as_array, checked_allowed
from solvers.trees.constraints import Constraint
from solvers.trees.domains import Domain, domain
from solvers.trees.ensemble import TreeEnsemble
from solvers.trees.features import Feature
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
        given = as_array("reference", reference)
        if np.issubdtype(given.dtype, np.integer):
            ensemble = ensemble.in_whole_numbers
        assert ensemble.features is not None
        cells = _checked_free(as_array("free", free), ensemble.n_features)
        codes = _checked_reference(given, ensemble.n_codes)
        parts: list[Term | Constraint] = [*terms, *constraints]
        mentioned = {feature for part in parts for feature in part.mentions}
        domains = {
            feature: domain(ensemble, feature, spelt_out=feature in mentioned).at(codes[feature])
            for feature in cells.tolist()
        }
        only = checked_allowed(allowed)
        for feature, values in only.items():
            if feature not in domains:
                raise SolverError(
                    f"Feature {feature} has allowed values, but is not free: add it to `free`."
                )
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

    def with_choices(self, kept: Sequence[NDArray[np.int64]]) -> Instance:
        """The same with fewer choices: of free cell c those of `kept[c]`, ascending."""
        return replace(
            self,
            domains=tuple(d.with_choices(k) for d, k in zip(self.domains, kept, strict=True)),
            unary=tuple(u[k] for u, k in zip(self.unary, kept, strict=True)),
            side=self.side.kept(kept),
        )

    @property
    def features(self) -> tuple[Feature, ...]:
        """Of the ensemble."""
        assert self.ensemble.features is not None
        return self.ensemble.features

    @cached_property
    def n_codes(self) -> NDArray[np.int64] | None:
        """(t,) how many codes each free cell may take; None where some choice c is not code c."""
        if not all(domain.are_codes for domain in set(self.domains)):
            return None
        return np.array([len(domain) for domain in self.domains])

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
        trees = abs(self.ensemble.base) + self.ensemble.n_trees * self.ensemble.largest_leaf
        return trees + sum(abs(term.value(z, self.features)) for term in self.terms)

    def violation(self, z: NDArray[np.float64]) -> float:
        """By how much z (n_features,) misses the worst of the constraints; 0 where all hold."""
        return max((c.violation(z, self.features) for c in self.constraints), default=0.0)

    def choices(self, z: NDArray[np.float64]) -> NDArray[np.int64] | None:
        """(t,) the choices that hold z's values; None if z is not among the points."""
        if z is self.reference:  # what every search begins with
            return self._choices_of_reference
        same = (z == self.reference) | (np.isnan(z) & np.isnan(self.reference))
        same[self.free] = True
        return self.chosen(z[self.free]) if same.all() else None

    @cached_property
    def _choices_of_reference(self) -> NDArray[np.int64] | None:
        return self.chosen(self.reference[self.free])

    def chosen(self, values: NDArray[np.float64]) -> NDArray[np.int64] | None:
        """(t,) the choices that hold the free cells' values (t,); None if there are none."""
        if self.n_codes is not None:
            known = (values >= 0) & (values < self.n_codes) & (values % 1 == 0)
            return values.astype(np.int64) if known.all() else None
        chosen = [d.choice(v) for d, v in zip(self.domains, values, strict=True)]
        return None if min(chosen) < 0 else np.array(chosen, dtype=np.int64)


def _checked_free(free: NDArray[Any], n_features: int) -> NDArray[np.int64]:
    if free.ndim != 1 or not free.size or not np.issubdtype(free.dtype, np.integer):
        raise SolverError(
            "`free` lists the numbers of at least one feature, as in [3, 9] or range(10); got "
            f"shape {free.shape} and dtype {free.dtype}."
        )
    if len(free) > n_features:
        raise SolverError(f"{len(free)} features are to be free, but there are {n_features}.")
    numbers = free.tolist()
    if min(numbers) < 0 or max(numbers) >= n_features:
        raise SolverError(
            f"Free features lie in 0..{n_features - 1}; got {min(numbers)}..{max(numbers)}."
        )
    if len(set(numbers)) < len(numbers):
        raise SolverError(f"Free features repeat: {numbers}.")
    return free.astype(np.int64)


def _checked_reference(given: NDArray[Any], K: NDArray[np.int64]) -> NDArray[np.float64]:
    if given.shape != K.shape:
        raise SolverError(
            f"`reference` has one number or code per feature, shape {K.shape}; got shape "
            f"{given.shape} and dtype {given.dtype}. Flatten grids first."
        )
    if given.dtype.kind not in "iuf":
        raise SolverError(f"`reference` holds numbers or codes; got dtype {given.dtype}.")
    values = given.astype(np.float64)
    outside = (K > 0) & ((values < 0) | (values >= K))
    if given.dtype.kind == "f":
        if np.isinf(values).any():
            feature = int(np.isinf(values).argmax())
            raise SolverError(f"The reference is infinite at feature {feature}.")
        outside |= (K > 0) & ~np.isnan(values) & (values % 1 != 0)
    if outside.any():
        feature = int(outside.argmax())
        raise SolverError(
            f"The reference's code of feature {feature} is {given[feature]}, not one of "
            f"0..{K[feature] - 1}."
        )
    return values
