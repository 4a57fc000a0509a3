"""Random terms and constraints with their plain meaning, and brute force over all points."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given, settings
from random_ensembles import neighbourhood, random_ensemble

from solvers.trees import (
    Categorical,
    Continuous,
    DistanceTerm,
    Equal,
    Forbidden,
    HammingBall,
    InfeasibleError,
    Linear,
    LinearTerm,
    PairTerm,
    UnsupportedError,
    maximize,
    minimize,
)
from solvers.trees.backends import BACKENDS
from solvers.trees.instance import Instance
from vqlso.errors import SolverError
from vqlso.records import SolveStatus

every_backend = pytest.mark.parametrize("name", sorted(BACKENDS))

# These prove nothing: they may miss the best points, or find none.
HEURISTICS = {"greedy"}

# Of the others, each solve starts a process or a large library.
QUICK = {"highs", "enumeration"}

# These take every instance, but that numbers within intervals cannot be enumerated.
GENERAL = {"highs", "pyomo", "enumeration"}


def examples(name, **strategies):
    """Run the decorated check at once, on fewer examples where a backend is slow to start."""

    def run(check):
        count = 25 if name in QUICK else 4
        settings(max_examples=count, deadline=None)(given(**strategies)(check))()

    return run


@dataclass
class Sides:
    """Terms and constraints, and what they mean in plain Python."""

    terms: list = field(default_factory=list)
    constraints: list = field(default_factory=list)
    values: list[Callable] = field(default_factory=list)
    tests: list[Callable] = field(default_factory=list)

    def value(self, z) -> float:
        return sum(value(z) for value in self.values)

    def holds(self, z) -> bool:
        return all(test(z) for test in self.tests)

    def __add__(self, other: Sides) -> Sides:
        return Sides(
            self.terms + other.terms,
            self.constraints + other.constraints,
            self.values + other.values,
            self.tests + other.tests,
        )


def coefficients(rng, features, cells):
    """Tables of codes and numbers a unit, and their sum at z."""
    chosen = {}
    for cell in cells:
        kind = features[cell]
        if isinstance(kind, Categorical) and rng.random() < 0.7:
            chosen[int(cell)] = np.round(rng.normal(size=kind.categories), 2)
        else:
            chosen[int(cell)] = float(np.round(rng.normal(), 2))

    def total(z):
        return sum(
            c[int(z[cell])] if isinstance(c, np.ndarray) else c * z[cell]
            for cell, c in chosen.items()
        )

    return chosen, total


def gower(features, point, z) -> float:
    total = 0.0
    for kind, a, b in zip(features, point, z, strict=True):
        if isinstance(kind, Categorical):
            total += a != b
        else:
            total += abs(a - b) / (kind.upper - kind.lower)
    return total


def data_points(rng, features, n):
    columns = [
        rng.integers(0, f.categories, n)
        if isinstance(f, Categorical)
        else np.round(rng.uniform(f.lower, f.upper, n), 0 if not isinstance(f, Continuous) else 2)
        for f in features
    ]
    return np.stack(columns, axis=1).astype(float)


def linear_term(rng, features, cells=None) -> Sides:
    cells = range(len(features)) if cells is None else cells
    chosen, total = coefficients(rng, features, cells)
    return Sides(terms=[LinearTerm(chosen)], values=[total])


def pair_term(rng, features) -> Sides:
    codes = [i for i, kind in enumerate(features) if isinstance(kind, Categorical)]
    first, second = (int(i) for i in rng.permutation(codes)[:2])
    table = rng.normal(size=(features[first].categories, features[second].categories))
    if rng.random() < 0.3:
        table = np.round(table)  # with equal rows and columns
    return Sides(
        terms=[PairTerm(first, second, table)],
        values=[lambda z: table[int(z[first]), int(z[second])]],
    )


def distance_term(rng, features, sign) -> Sides:
    data = data_points(rng, features, int(rng.integers(1, 5)))
    weight = sign * rng.uniform(0.1, 2.0)
    return Sides(
        terms=[DistanceTerm(data, weight)],
        values=[lambda z: weight * min(gower(features, point, z) for point in data)],
    )


def linear(rng, features, cells=None) -> Sides:
    cells = range(len(features)) if cells is None else cells
    chosen, total = coefficients(rng, features, cells)
    middle, width = rng.normal(), rng.exponential()
    lower = -np.inf if rng.random() < 0.4 else float(middle - width)
    upper = np.inf if np.isfinite(lower) and rng.random() < 0.4 else float(middle + width)
    return Sides(
        constraints=[Linear(chosen, lower, upper)],
        tests=[lambda z: lower - 1e-9 <= total(z) <= upper + 1e-9],
    )


def equal(rng, features) -> Sides:
    first, second = (int(i) for i in rng.permutation(len(features))[:2])
    return Sides(constraints=[Equal(first, second)], tests=[lambda z: z[first] == z[second]])


def forbidden(rng, features) -> Sides:
    point = data_points(rng, features, 1)[0]
    cells = rng.permutation(len(features))[: rng.integers(1, len(features) + 1)]
    values = {int(cell): float(point[cell]) for cell in cells}
    return Sides(
        constraints=[Forbidden(values)],
        tests=[lambda z: any(z[cell] != value for cell, value in values.items())],
    )


def ball(rng, features, centres) -> Sides:
    data = data_points(rng, features, centres)
    radius = float(rng.integers(0, len(features)))
    return Sides(
        constraints=[HammingBall(data if centres > 1 else data[0], radius)],
        tests=[lambda z: min(gower(features, point, z) for point in data) <= radius + 1e-9],
    )


TERMS = {
    "linear": linear_term,
    "pair": pair_term,
    "far": lambda rng, features: distance_term(rng, features, 1),
    "near": lambda rng, features: distance_term(rng, features, -1),
}
CONSTRAINTS = {
    "linear": linear,
    "equal": equal,
    "forbidden": forbidden,
    "one ball": lambda rng, features: ball(rng, features, 1),
    "several balls": lambda rng, features: ball(rng, features, 3),
}


def drawn(rng, features, terms, constraints) -> Sides:
    """Sides of the kinds named."""
    parts = [TERMS[kind](rng, features) for kind in terms]
    parts += [CONSTRAINTS[kind](rng, features) for kind in constraints]
    return sum(parts, Sides())


def instance_of(seed, *, depth=3, cells=4, categories=4, trees=25, kinds=(), **more) -> Instance:
    """A random ensemble whose cells are all free, under constraints of the kinds named."""
    ensemble = random_ensemble(seed, cells=cells, categories=categories, trees=trees, depth=depth)
    sides = drawn(np.random.default_rng(seed), ensemble.features, (), kinds)
    reference = np.zeros(cells, dtype=int)
    more = {"constraints": sides.constraints} | more
    return Instance.checked(ensemble, np.arange(cells), reference, **more)


def supported(name, solve, *arguments, **named):
    """What `solve` returns; None if the backend cannot express the instance."""
    try:
        return solve(*arguments, backend=name, **named)
    except UnsupportedError:
        if name in GENERAL:
            raise
        return None
    except SolverError as error:
        if name in HEURISTICS and "found no point" in str(error):
            return None
        raise


def everything(ensemble, free, reference, sides, allowed=None):
    """(n, cells) all feasible points and (n,) their objectives, best first."""
    z = neighbourhood(ensemble, free, reference)
    for cell, values in (allowed or {}).items():
        z = z[np.isin(z[:, cell], values)]
    z = z[[sides.holds(point) for point in z]]
    objectives = ensemble.predict(z) + np.array([sides.value(point) for point in z])
    order = np.argsort(-objectives, kind="stable")
    return z[order], objectives[order]


def assert_best(
    name, ensemble, free, reference, sides, *, allowed=None, k=1, lowest=False, **extra
):
    """The k best of the backend are those of brute force; what it found."""
    z, objectives = everything(ensemble, free, reference, sides, allowed)
    if lowest:
        z, objectives = z[::-1], objectives[::-1]
    arguments = {
        "free": free,
        "reference": reference,
        "terms": sides.terms,
        "constraints": sides.constraints,
        "allowed": allowed,
        "k": k,
    } | extra
    solve = minimize if lowest else maximize
    if not len(z):
        refusals = SolverError if name in HEURISTICS else (InfeasibleError, UnsupportedError)
        with pytest.raises(refusals):
            solve(ensemble, backend=name, **arguments)
        return None
    found = supported(name, solve, ensemble, **arguments)
    if found is None:
        return None
    values = [solution.value for solution in found.solutions]
    best = objectives[:k]
    if name in HEURISTICS:
        assert found.status is SolveStatus.UNPROVEN
        sign = -1 if lowest else 1
        assert sign * values[0] <= sign * best[0] + 1e-6
        assert sign * found.bound >= sign * best[0] - 1e-6
    else:
        assert found.status is SolveStatus.OPTIMAL
        assert values == pytest.approx(best.tolist(), rel=1e-6, abs=1e-6)
        assert found.bound == pytest.approx(best[0], rel=1e-6, abs=1e-6)
    points = np.array([solution.z for solution in found.solutions])
    assert len(np.unique(points, axis=0)) == len(points)
    for solution, point in zip(found.solutions, points, strict=True):
        prediction = ensemble.predict(point[None])[0]
        assert solution.prediction == prediction
        assert solution.value == pytest.approx(prediction + sides.value(point), rel=1e-9, abs=1e-9)
        assert sides.holds(point)
    fixed = np.setdiff1d(np.arange(ensemble.n_features), free)
    assert (points[:, fixed] == np.asarray(reference)[fixed]).all()
    return found
