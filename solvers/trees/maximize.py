"""The exact maximiser of a tree ensemble over a few free cells: reduce, solve, verify."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import perf_counter

import numpy as np
from numpy.typing import ArrayLike, NDArray

from solvers.trees.backends import backend as backend_named
from solvers.trees.backends.contract import UNLIMITED, Backend, BackendResult, Limits
from solvers.trees.ensemble import TreeEnsemble
from solvers.trees.instance import Instance
from solvers.trees.reduced import ReducedEnsemble
from solvers.trees.reduction import reduce, without_dominated
from solvers.trees.verification import verify
from vqlso.errors import SolverError
from vqlso.records import SolveStatus


@dataclass(frozen=True, eq=False)
class Maximum:
    """Codes of highest prediction, and what is known about them.

    Attributes:
        z: (n_features,) int64 codes.
        value: the ensemble's own prediction at z.
        bound: no codes predict more; at least `value`.
        status: OPTIMAL if proven, FEASIBLE if a limit came first.
        seconds: wall-clock time, all in all.
        build_seconds: the part of it before the backend began to search.
        nodes: of the branch-and-bound tree; None if the backend does not say.
        backend: who solved it.
        sizes: of the instance and its formulation, by name.
    """

    z: NDArray[np.int64]
    value: float
    bound: float
    status: SolveStatus
    seconds: float
    build_seconds: float
    nodes: int | None
    backend: str
    sizes: Mapping[str, int] = field(default_factory=dict)

    @property
    def gap(self) -> float:
        """What a better point could gain at most; 0 or rounding if optimal."""
        return self.bound - self.value


def maximize(
    ensemble: TreeEnsemble,
    *,
    free: ArrayLike,
    reference: ArrayLike,
    backend: str | Backend = "highs",
    preference: NDArray[np.float64] | None = None,
    limits: Limits = UNLIMITED,
    failures: Path | None = None,
) -> Maximum:
    """Codes that maximise the ensemble's prediction, equal to the reference's but for free cells.

    Many codes may predict the same: among those that the optimum leaves open, a cell keeps the
    reference's code if it is one of them, and takes the most preferred otherwise.

    Args:
        ensemble: over n_features cells of known categories.
        free: (t,) distinct cells that may change, 1 <= t <= n_features.
        reference: (n_features,) integer codes in 0..K-1. Where a limit stops the search early
            the answer is never worse than the reference.
        backend: a name from `solvers.trees.backends`, or a backend with settings of its own.
        preference: (n_features, K) weights of the codes, such as how often each occurs in its
            cell in the data, which makes for better images at the same prediction.
        limits: when to stop without a proof.
        failures: folder for the instances of false claims; by default a new temporary one.

    Raises:
        SolverError: an instance that makes no sense, an unknown backend, or its failure.
        VerificationError: the backend's claim is false.
    """
    began = perf_counter()
    instance = Instance.checked(ensemble, free, reference)
    _check_preference(preference, ensemble)
    engine = backend_named(backend) if isinstance(backend, str) else backend
    name = backend if isinstance(backend, str) else type(backend).__name__
    reduced = without_dominated(reduce(ensemble, instance.free, instance.reference))
    reduce_seconds = perf_counter() - began

    standardised, size = reduced.standardised()
    claim = engine.solve(standardised, limits)
    result = replace(
        claim,
        value=reduced.constant + size * claim.value,
        bound=reduced.constant + size * claim.bound,
    )

    reference_value = float(ensemble.predict(instance.reference[None])[0])
    z, value = instance.reference, -np.inf
    if result.labels is not None:
        z = _codes(instance, reduced, result.labels, preference)
        value = float(ensemble.predict(z[None])[0])
    verify(
        instance,
        result,
        predicted=value,
        reference_value=reference_value,
        spread=reduced.spread,
        backend=name,
        failures=failures,
    )
    if reference_value > value:
        z, value = instance.reference, reference_value
    return Maximum(
        z=z,
        value=value,
        bound=max(value, min(result.bound, reduced.upper_bound())),
        status=result.status,
        seconds=perf_counter() - began,
        build_seconds=reduce_seconds + result.build_seconds,
        nodes=result.nodes,
        backend=name,
        sizes=_sizes(reduced, result),
    )


def replay(
    path: Path | str, *, backend: str | Backend = "highs", limits: Limits = UNLIMITED
) -> Maximum:
    """Solve an instance again that was saved because a backend's claim about it was false.

    Raises:
        SolverError: the file holds no instance; and as `maximize`.
    """
    instance = Instance.load(Path(path))
    return maximize(
        instance.ensemble,
        free=instance.free,
        reference=instance.reference,
        backend=backend,
        limits=limits,
    )


def _check_preference(preference: NDArray[np.float64] | None, ensemble: TreeEnsemble) -> None:
    if preference is None:
        return
    expected = (ensemble.n_features, max(ensemble.categories or (0,)))
    if np.shape(preference) != expected:
        raise SolverError(
            f"Preferences are one per cell and code, shape {expected}; got {np.shape(preference)}."
        )


def _codes(
    instance: Instance,
    reduced: ReducedEnsemble,
    labels: NDArray[np.int64],
    preference: NDArray[np.float64] | None,
) -> NDArray[np.int64]:
    """(n_features,) codes of the chosen labels, each the best liked of its class."""
    z = instance.reference.copy()
    for cell, codes, label in zip(instance.free, reduced.codes, labels, strict=True):
        members = codes[label]
        if z[cell] in members:
            continue
        best = 0 if preference is None else int(np.argmax(preference[cell, members]))
        z[cell] = members[best]
    return z


def _sizes(reduced: ReducedEnsemble, result: BackendResult) -> dict[str, int]:
    return {
        "free": len(reduced.unary),
        "labels": sum(reduced.n_labels),
        "trees": len(reduced.trees),
        **result.sizes,
    }
