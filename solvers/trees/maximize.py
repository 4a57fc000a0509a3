"""The exact optimiser of a tree ensemble over a few free cells: state, solve, verify."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from solvers.trees.arguments import as_numbers, check_types
from solvers.trees.backends import backend as backend_named
from solvers.trees.backends.contract import Backend, BackendResult, InfeasibleError, Task
from solvers.trees.conflict import conflict
from solvers.trees.constraints import Constraint
from solvers.trees.destinations import check_destination
from solvers.trees.ensemble import TreeEnsemble
from solvers.trees.instance import Instance
from solvers.trees.k_best import affordable
from solvers.trees.limits import UNLIMITED, Limits
from solvers.trees.storage import load
from solvers.trees.terms import Term
from solvers.trees.ties import checked_preference, preferred
from solvers.trees.verification import MISS, Truth, false_claim, verify
from vqlso.errors import SolverError
from vqlso.records import SolveStatus

_Allowed = Mapping[int, Iterable[float]] | None


@dataclass(frozen=True, eq=False)
class Solution:
    """A point.

    Attributes:
        z: (n_features,) int64 if the reference was given in integers, else float64.
        value: the objective there: the prediction plus all terms.
        prediction: the ensemble's own prediction there.
    """

    z: NDArray[np.int64] | NDArray[np.float64]
    value: float
    prediction: float


@dataclass(frozen=True, eq=False)
class Optimum:
    """The best points, and what is known about them.

    Attributes:
        solutions: distinct, best first; at least one, at most k.
        bound: no point has a better objective; equal to the best value, but for rounding, if
            the status is OPTIMAL.
        status: OPTIMAL if the solutions are proven to be the best ones, FEASIBLE if a limit came
            first, UNPROVEN from a heuristic.
        seconds: wall-clock time, all in all.
        build_seconds: the part of it before the backend began to search.
        nodes: of the branch-and-bound tree; None if the backend does not say.
        backend: who solved it.
        note: why it was not the one that was asked for; empty if it was.
        sizes: of the instance and its formulation, by name.
        certificate: the file with the proof, if one was asked for.
    """

    solutions: tuple[Solution, ...]
    bound: float
    status: SolveStatus
    seconds: float
    build_seconds: float
    nodes: int | None
    backend: str
    note: str = ""
    sizes: Mapping[str, int] = field(default_factory=dict)
    certificate: Path | None = None

    @property
    def z(self) -> NDArray[np.int64] | NDArray[np.float64]:
        """(n_features,) the best point."""
        return self.solutions[0].z

    @property
    def value(self) -> float:
        """The objective at z: the prediction plus all terms."""
        return self.solutions[0].value

    @property
    def prediction(self) -> float:
        """The ensemble's own prediction at z."""
        return self.solutions[0].prediction

    @property
    def gap(self) -> float:
        """By how much a better point could beat z at most; 0 or rounding if optimal."""
        return abs(self.bound - self.value)


def maximize(
    ensemble: TreeEnsemble,
    *,
    free: ArrayLike,
    reference: ArrayLike,
    backend: str | Backend = "auto",
    k: int = 1,
    allowed: Mapping[int, Iterable[float]] | None = None,
    terms: Sequence[Term] = (),
    constraints: Sequence[Constraint] = (),
    incumbent: ArrayLike | None = None,
    preference: NDArray[np.float64] | None = None,
    limits: Limits = UNLIMITED,
    failures: Path | str | None = None,
    certificate: Path | str | None = None,
) -> Optimum:
    """Points that maximise prediction plus terms, equal to the reference's but for free features.

    Many points may have the same objective. Without terms and constraints, a feature keeps the
    reference's value if that changes no leaf, and takes the most preferred code otherwise.

    Args:
        ensemble: over n_features features of known kinds.
        free: (t,) distinct features that may change, 1 <= t <= n_features.
        reference: (n_features,) codes and numbers; NaN for a fixed feature that is missing. An
            array of integers makes numeric features whole numbers, and the solutions integers.
            Where it satisfies the constraints, the answer is never worse.
        backend: a name from `solvers.trees.backends`, or a backend with settings of its own.
        k: how many distinct best points; all of them where there are fewer. Of the numbers in an
            interval between thresholds only one counts.
        allowed: feature -> the only values that a free one may take.
        terms: from `solvers.trees.terms`, added to the prediction.
        constraints: from `solvers.trees.constraints`, which all hold at the solutions.
        incumbent: (n_features,) a good point that is known, to start from.
        preference: (n_features, K) weights of the codes, such as how often each occurs in its
            feature in the data, which makes for better images at the same prediction.
        limits: when to stop without a proof.
        failures: folder for the instances of false claims; by default a new temporary one.
        certificate: file to write a proof to, of the bound on the best point, which
            `solvers.trees.certificate_checker` checks without any engine.

    Raises:
        InfeasibleError: no point satisfies the constraints; the message says which contradict.
        UnsupportedError: a certificate is asked for where none can be written.
        SolverError: an argument of the wrong type, an instance that makes no sense, an unknown
            backend, or its failure; more solutions than memory holds; no certificate was found,
            or it cannot be written.
        VerificationError: the backend's claim is false.
    """
    asked = backend, k, incumbent, preference, limits, failures
    sides = free, reference, allowed, terms, constraints
    return _optimised(ensemble, sides, asked, certificate, minimised=False)


def minimize(
    ensemble: TreeEnsemble,
    *,
    free: ArrayLike,
    reference: ArrayLike,
    backend: str | Backend = "auto",
    k: int = 1,
    allowed: Mapping[int, Iterable[float]] | None = None,
    terms: Sequence[Term] = (),
    constraints: Sequence[Constraint] = (),
    incumbent: ArrayLike | None = None,
    preference: NDArray[np.float64] | None = None,
    limits: Limits = UNLIMITED,
    failures: Path | str | None = None,
    certificate: Path | str | None = None,
) -> Optimum:
    """As `maximize`, but for the points of lowest prediction plus terms.

    `Optimum.bound` is a lower bound, and the solutions come lowest first.
    """
    asked = backend, k, incumbent, preference, limits, failures
    sides = free, reference, allowed, terms, constraints
    return _optimised(ensemble, sides, asked, certificate, minimised=True)


def replay(
    path: Path | str,
    *,
    backend: str | Backend = "auto",
    k: int = 1,
    limits: Limits = UNLIMITED,
) -> Optimum:
    """Solve an instance again that was saved because a backend's claim about it was false.

    What was to be minimised is saved with its sign changed.

    Raises:
        SolverError: the file holds no instance; and as `maximize`.
    """
    began = perf_counter()
    check_types(backend=backend, k=k, limits=limits)
    instance = load(Path(path))
    result, points = _solved(instance, backend, k, None, None, limits, None)
    return _optimum(
        instance.ensemble, instance, result, points, instance.reference.dtype, 1.0, began
    )


def _optimised(
    ensemble: TreeEnsemble,
    sides: tuple[ArrayLike, ArrayLike, _Allowed, Sequence[Term], Sequence[Constraint]],
    asked: tuple[str | Backend, int, ArrayLike | None, Any, Limits, Path | str | None],
    certificate: Path | str | None,
    *,
    minimised: bool,
) -> Optimum:
    """What `maximize` finds, or `minimize`: the maximum of the negated ensemble and terms."""
    began = perf_counter()
    free, reference, allowed, terms, constraints = sides
    backend, k, _, _, limits, failures = asked
    check_types(ensemble=ensemble, terms=terms, constraints=constraints, certificate=certificate)
    check_types(backend=backend, k=k, limits=limits, failures=failures)
    _check_terms(ensemble, terms)
    instance = Instance.checked(
        ensemble.exact_negated if minimised else ensemble.exact,
        free,
        reference,
        allowed=allowed,
        terms=[term.negated() for term in terms] if minimised else terms,
        constraints=constraints,
    )
    proof = None if certificate is None else Path(certificate)
    result, points = _certified(instance, *asked, certificate=proof, minimised=minimised)
    dtype, sign = np.asarray(reference).dtype, -1.0 if minimised else 1.0
    return _optimum(ensemble, instance, result, points, dtype, sign, began, proof)


def _check_terms(ensemble: TreeEnsemble, terms: Sequence[Term]) -> None:
    if terms and not ensemble.transform.is_identity:
        raise SolverError(
            f"The model's prediction is a transform ({ensemble.transform.shape}) of the sum of its "
            "leaves, so that terms cannot be added to it: add them to the sum, by passing "
            "`ensemble.untransformed()`."
        )


def _certified(
    instance: Instance, *arguments: Any, certificate: Path | None, minimised: bool
) -> tuple[BackendResult, NDArray[np.float64]]:
    """As `_solved`, with a certificate of the best point."""
    if certificate is None:
        return _solved(instance, *arguments)
    # Compiled code comes with it.
    from solvers.trees.certificate import check_certifiable, write_certificate

    check_certifiable(instance)
    check_destination(certificate)
    result, points = _solved(instance, *arguments)
    bound = -np.inf if result.status is SolveStatus.OPTIMAL else result.bound
    write_certificate(instance, points[0], certificate, bound=bound, minimised=minimised)
    return result, points


def _solved(
    instance: Instance,
    backend: str | Backend,
    k: int,
    incumbent: ArrayLike | None,
    preference: NDArray[np.float64] | None,
    limits: Limits,
    failures: Path | str | None,
) -> tuple[BackendResult, NDArray[np.float64]]:
    """A verified result, and its points (m, n_features), never worse than what was known."""
    k = affordable(k, instance, limits)
    preference = checked_preference(preference, instance)
    engine = backend_named(backend) if isinstance(backend, str) else backend
    name = backend if isinstance(backend, str) else type(backend).__name__
    start = _start(instance, incumbent)
    try:
        result = engine.solve(Task(instance, k, limits, start))
    except InfeasibleError as error:
        if start is not None or not instance.constraints:
            fault = "finds no point where there is one"
            raise false_claim(instance, fault, backend=name, failures=failures) from error
        raise InfeasibleError(conflict(instance, engine)) from error
    result = replace(result, solved_by=result.solved_by or name)
    points = np.repeat(instance.reference[None], len(result.points), axis=0)
    points[:, instance.free] = result.points
    if any(instance.chosen(values) is None for values in result.points):
        fault = "returns a point that the features cannot take"
        raise false_claim(instance, fault, backend=result.solved_by, failures=failures)
    truth = _truth(instance, points, start)
    verify(instance, result, truth, backend=result.solved_by, failures=failures)
    points = points[np.argsort(-truth.objectives, kind="stable")]
    if start is not None and truth.objectives.max(initial=-np.inf) < truth.known:
        points = _led_by(start, points, instance)[:k]
    if not len(points):
        raise SolverError(
            f"Backend '{result.solved_by}' found no point that satisfies the constraints within "
            "the limits: allow more, or give an incumbent that satisfies them."
        )
    if k == 1:
        points = preferred(instance, points[0], preference)[None]
    return result, points


def _start(instance: Instance, incumbent: ArrayLike | None) -> NDArray[np.float64] | None:
    """The better of the incumbent and the reference that is feasible, if any."""
    candidates = [instance.reference]
    if incumbent is not None:
        candidates.append(_checked_incumbent(instance, incumbent))
    # Without any tolerance: a backend that is stricter than us would be called a liar.
    feasible = [
        z for z in candidates if instance.choices(z) is not None and instance.violation(z) == 0
    ]
    if len(feasible) < 2:
        return feasible[0] if feasible else None
    return feasible[int(np.argmax(_objectives(instance, np.array(feasible))))]


def _checked_incumbent(instance: Instance, incumbent: ArrayLike) -> NDArray[np.float64]:
    given = as_numbers("incumbent", incumbent)
    if given.shape != instance.reference.shape or instance.choices(given) is None:
        raise SolverError(
            "The incumbent is no point of the instance: it must equal the reference outside the "
            "free features, and take values that they can take."
        )
    if instance.violation(given) > MISS:
        raise SolverError("The incumbent misses a constraint.")
    return given


def _truth(
    instance: Instance, points: NDArray[np.float64], start: NDArray[np.float64] | None
) -> Truth:
    violations = np.array([instance.violation(z) for z in points])
    magnitude = max(map(instance.magnitude, points), default=0.0)
    if start is None:
        return Truth(_objectives(instance, points), violations, -np.inf, magnitude)
    known, *objectives = _objectives(instance, np.concatenate([start[None], points])).tolist()
    return Truth(np.array(objectives), violations, known, magnitude)


def _objectives(instance: Instance, points: NDArray[np.float64]) -> NDArray[np.float64]:
    predictions = instance.ensemble.predict(points)
    pairs = zip(points, predictions.tolist(), strict=True)
    return np.array([instance.objective(z, prediction) for z, prediction in pairs])


def _led_by(
    start: NDArray[np.float64], points: NDArray[np.float64], instance: Instance
) -> NDArray[np.float64]:
    """The start, then the points whose choices are others."""
    taken = _choices(start, instance)
    return np.array([start, *(z for z in points if _choices(z, instance) != taken)])


def _choices(z: NDArray[np.float64], instance: Instance) -> list[int] | None:
    choices = instance.choices(z)
    return None if choices is None else choices.tolist()


def _optimum(
    ensemble: TreeEnsemble,
    instance: Instance,
    result: BackendResult,
    points: NDArray[np.float64],
    dtype: np.dtype[Any],
    sign: float,
    began: float,
    certificate: Path | None = None,
) -> Optimum:
    """The result in terms of the ensemble that was asked about."""
    predictions = ensemble.predict(points)
    if instance.terms:
        values = (sign * _objectives(instance, points)).tolist()
        bound = sign * result.bound
    else:
        values = predictions.tolist()
        bound = float(ensemble.transform(sign * result.bound))
    typed = points.astype(np.int64) if np.issubdtype(dtype, np.integer) else points
    return Optimum(
        solutions=tuple(
            Solution(z, float(value), float(prediction))
            for z, value, prediction in zip(typed, values, predictions, strict=True)
        ),
        bound=sign * max(sign * bound, sign * values[0]),
        status=result.status,
        seconds=perf_counter() - began,
        build_seconds=result.build_seconds,
        nodes=result.nodes,
        backend=result.solved_by,
        note=result.note,
        sizes=result.sizes,
        certificate=certificate,
    )
