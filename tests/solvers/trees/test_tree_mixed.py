"""Codes, whole numbers and real numbers together."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle import Sides, assert_best, every_backend, everything, examples, linear_term, supported
from random_ensembles import MIXED, mixed_ensemble, neighbourhood
from scipy.optimize import linprog

from solvers.trees import (
    Categorical,
    Continuous,
    DistanceTerm,
    Equal,
    Forbidden,
    HammingBall,
    InfeasibleError,
    Integer,
    Linear,
    LinearTerm,
    UnsupportedError,
    maximize,
    minimize,
)
from solvers.trees.domains import domain
from vqlso.records import SolveStatus

BOUNDED = (*MIXED[:4], Continuous(-2.0, 2.0))


def reference_of(rng, features):
    return np.array(
        [
            rng.integers(0, f.categories)
            if isinstance(f, Categorical)
            else rng.integers(-2, 4)
            if isinstance(f, Integer)
            else rng.uniform(-1, 2)
            for f in features
        ],
        dtype=float,
    )


@every_backend
@pytest.mark.parametrize("lowest", [False, True], ids=["highest", "lowest"])
def test_mixed_features_equal_brute_force(name, lowest):
    @examples(name, seed=st.integers(0, 10_000), t=st.integers(1, 5), depth=st.integers(0, 3))
    def check(seed, t, depth):
        ensemble = mixed_ensemble(seed, depth=depth)
        rng = np.random.default_rng(seed + 1)
        reference = reference_of(rng, MIXED)
        assert_best(name, ensemble, rng.permutation(5)[:t], reference, Sides(), lowest=lowest)


@every_backend
def test_missing_numbers_in_fixed_features_go_their_own_way(name):
    @examples(name, seed=st.integers(0, 10_000))
    def check(seed):
        rng = np.random.default_rng(seed)
        ensemble = mixed_ensemble(seed, trees=12)
        ensemble = replace(ensemble, missing_left=rng.random(len(ensemble.feature)) < 0.5)
        free = rng.permutation(5)[:3]
        reference = reference_of(rng, MIXED)
        fixed = np.setdiff1d(np.arange(5), free)
        reference[fixed[rng.random(2) < 0.7]] = np.nan
        _, objectives = everything(ensemble, free, reference, Sides())
        found = supported(name, maximize, ensemble, free=free, reference=reference)
        if found is None:
            return
        assert np.array_equal(found.z[fixed], reference[fixed], equal_nan=True)
        assert found.value == ensemble.predict(found.z[None])[0]
        if found.status is SolveStatus.OPTIMAL:
            assert found.value == pytest.approx(objectives[0])


def test_a_free_feature_that_is_missing_is_filled_in():
    ensemble = mixed_ensemble(3)
    reference = np.array([np.nan, np.nan, np.nan, 1.0, 0.5])
    found = maximize(ensemble, free=[0, 1, 2], reference=reference)
    whole = neighbourhood(ensemble, [0, 1, 2], reference)
    assert found.value == pytest.approx(ensemble.predict(whole).max())
    assert np.isfinite(found.z).all()


@given(
    seed=st.integers(0, 10_000),
    single=st.booleans(),
    tiny=st.booleans(),
    zero=st.booleans(),
    size=st.sampled_from([1.0, 1e-35, 1e-44, 1e8, 1e38, 1e300]),
)
@settings(max_examples=200, deadline=None)
def test_every_number_of_a_choice_takes_the_same_branches(seed, single, tiny, zero, size):
    """At both ends of each interval, beside them, at 0, and at their float32 neighbours."""
    features = (Continuous(-1.5 * size, 2.0 * size), Integer(-3, 3), Continuous())
    ensemble = mixed_ensemble(seed, features=features, trees=4)
    ensemble = replace(
        ensemble,
        threshold=np.where(ensemble.feature == 1, ensemble.threshold, size * ensemble.threshold),
        input_dtype="float32" if single else "float64",
        tiny_is_zero=tiny,
        zero_is_missing=np.full(len(ensemble.feature), zero),
        missing_left=np.random.default_rng(seed).random(len(ensemble.feature)) < 0.5,
    )
    for cell, kind in enumerate(features):
        choices = domain(ensemble, cell, spelt_out=False)
        nodes = np.flatnonzero(ensemble.feature == cell)
        taken = ensemble.goes_left(nodes[:, None], choices.values)
        numbers = around(choices, ensemble.threshold[nodes])
        inside = numbers[(numbers >= kind.lower) & (numbers <= kind.upper)]
        if isinstance(kind, Integer):
            inside = inside[inside % 1 == 0]
        for number in inside:
            choice = choices.choice(number)
            assert choice >= 0, "every number belongs to a choice"
            branches = ensemble.goes_left(nodes, np.full(len(nodes), number))
            assert (branches == taken[:, choice]).all()


def around(choices, thresholds):
    ends = np.concatenate([choices.lower, choices.upper, choices.values, thresholds, [0.0, 1e-35]])
    with np.errstate(over="ignore"):
        singles = ends.astype(np.float32)
        nearby = [np.nextafter(singles, np.float32(side)) for side in (-np.inf, np.inf)]
        numbers = np.concatenate([ends, singles, *nearby]).astype(float)
    numbers = np.concatenate([numbers, np.round(ends[np.abs(ends) < 1e6]), [1, -1, 2, -2]])
    numbers = numbers[np.isfinite(numbers)]
    return np.concatenate([numbers, np.nextafter(numbers, -np.inf), np.nextafter(numbers, np.inf)])


@given(seed=st.integers(0, 10_000))
@settings(max_examples=50, deadline=None)
def test_a_threshold_between_two_float32_numbers_is_where_rounding_turns(seed):
    rng = np.random.default_rng(seed)
    features = (Continuous(-1.0, 2.0), Continuous(-1.0, 2.0))
    ensemble = replace(mixed_ensemble(seed, features=features), input_dtype="float32")
    reference = rng.uniform(-1, 2, 2)
    with np.errstate(over="ignore"):
        at = [ensemble.threshold[ensemble.feature == cell] for cell in (0, 1)]
        candidates = []
        for thresholds in at:
            near = thresholds.astype(np.float32)
            steps = [np.nextafter(near, np.float32(side)) for side in (-9, 9)]
            values = np.unique(np.concatenate([near, *steps]).astype(float))
            middles = (values[1:] + values[:-1]) / 2
            values = np.concatenate([values, middles, np.nextafter(middles, 9), [-1.0, 2.0]])
            candidates.append(values[(values >= -1) & (values <= 2)])
    z = np.array(list(product(*candidates)))
    found = maximize(ensemble, free=[0, 1], reference=reference)
    assert found.value == pytest.approx(ensemble.predict(z).max())
    assert found.value == ensemble.predict(found.z.astype(np.float32)[None])[0]


@every_backend
@pytest.mark.parametrize("lowest", [False, True], ids=["highest", "lowest"])
def test_linear_terms_of_numbers_equal_brute_force(name, lowest):
    """Within an interval the best number is an end, and the oracle tries both."""

    @examples(name, seed=st.integers(0, 10_000), t=st.integers(1, 5))
    def check(seed, t):
        ensemble = mixed_ensemble(seed, features=BOUNDED)
        rng = np.random.default_rng(seed + 1)
        sides = linear_term(rng, BOUNDED, rng.permutation(5)[:3])
        reference = reference_of(rng, BOUNDED)
        reference[4] = np.clip(reference[4], -2, 2)
        assert_best(name, ensemble, rng.permutation(5)[:t], reference, sides, lowest=lowest)


def intervals(ensemble, cell):
    """Every value of a code or a whole number, every interval between thresholds of others."""
    kind = ensemble.features[cell]
    if isinstance(kind, Categorical):
        return [(code, code) for code in range(kind.categories)]
    if isinstance(kind, Integer):
        return [(n, n) for n in range(int(kind.lower), int(kind.upper) + 1)]
    at = ensemble.threshold[ensemble.feature == cell]
    at = np.unique(at[(at >= kind.lower) & (at < kind.upper)])
    lower = np.concatenate([[kind.lower], np.nextafter(at, np.inf)])
    return list(zip(lower, np.concatenate([at, [kind.upper]]), strict=True))


def best_by_linear_programmes(ensemble, free, reference, slopes, rows):
    """The maximum by one linear programme a combination of intervals; -inf if there is none."""
    best = -np.inf
    weights = np.array([slopes.get(cell, 0.0) for cell in range(ensemble.n_features)])
    matrix = np.array([[row.get(c, 0.0) for c in range(ensemble.n_features)] for row, _, _ in rows])
    above = np.array([upper for _, _, upper in rows])
    below = np.array([lower for _, lower, _ in rows])
    system = np.concatenate([matrix, -matrix])
    limits = np.concatenate([above, -below])
    finite = np.isfinite(limits)
    for combination in product(*(intervals(ensemble, cell) for cell in free)):
        bounds = [(value, value) for value in reference]
        for cell, interval in zip(free, combination, strict=True):
            bounds[cell] = interval
        found = linprog(-weights, system[finite], limits[finite], bounds=bounds)
        if found.status == 0:
            prediction = ensemble.predict(np.array([[low for low, _ in bounds]]))[0]
            best = max(best, prediction - found.fun)
    return best


@every_backend
def test_linear_rows_over_numbers_equal_one_linear_programme_an_interval(name):
    features = (Continuous(-1.0, 2.0), Integer(0, 2), Continuous(0.0, 300.0))
    count = {"highs": 25}.get(name, 4)
    for seed in range(count):
        rng = np.random.default_rng(seed)
        ensemble = mixed_ensemble(seed, features=features, trees=4)
        ensemble = replace(
            ensemble, threshold=np.where(ensemble.feature == 2, 100, 1) * ensemble.threshold
        )
        units = np.array([1.0, 1.0, 0.01])
        reference = np.array([0.3, 1.0, 50.0])
        free = [0, 1, 2] if seed % 3 else [2, 0]
        slopes = dict(enumerate(rng.normal(size=3) * units)) if seed % 2 else {}
        rows = []
        for _ in range(1 + seed % 2):
            row = dict(enumerate(rng.normal(size=3) * units))
            middle = float(rng.normal())
            rows.append((row, middle - 0.5, middle + 0.5 if seed % 4 else np.inf))
        best = best_by_linear_programmes(ensemble, free, reference, slopes, rows)
        arguments = {
            "free": free,
            "reference": reference,
            "terms": [LinearTerm(slopes)] if slopes else [],
            "constraints": [Linear(*row) for row in rows],
        }
        if best == -np.inf:
            with pytest.raises(InfeasibleError):
                maximize(ensemble, **arguments)
            continue
        try:
            found = maximize(ensemble, backend=name, **arguments)
        except UnsupportedError:
            assert name not in ("highs", "pyomo")
            return
        assert found.value == pytest.approx(best, rel=1e-6, abs=1e-6)
        assert found.bound == pytest.approx(best, rel=1e-6, abs=1e-6)
        for row, lower, upper in rows:
            total = sum(c * found.z[cell] for cell, c in row.items())
            assert lower - 1e-6 <= total <= upper + 1e-6
        assert found.z[1] % 1 == 0


@pytest.mark.parametrize("unit", [1e-9, 1e-3, 1.0, 1e6, 1e12])
def test_the_unit_of_a_number_does_not_matter(unit):
    """x + y <= 1 in another currency."""
    features = tuple(Continuous(0.0, unit) for _ in range(2))
    ensemble = mixed_ensemble(5, features=(Continuous(0.0, 1.0),) * 2, trees=10)
    plain = maximize(
        ensemble,
        free=[0, 1],
        reference=[0.0, 0.0],
        terms=[LinearTerm({0: 3.0, 1: 2.0})],
        constraints=[Linear({0: 1.0, 1: 1.0}, upper=1.1)],
    )
    scaled = replace(ensemble, threshold=ensemble.threshold * unit).with_features(features)
    found = maximize(
        scaled,
        free=[0, 1],
        reference=[0.0, 0.0],
        terms=[LinearTerm({0: 3.0 / unit, 1: 2.0 / unit})],
        constraints=[Linear({0: 1.0, 1: 1.0}, upper=1.1 * unit)],
    )
    assert found.value == pytest.approx(plain.value, rel=1e-6)
    assert found.z / unit == pytest.approx(plain.z, abs=1e-6)


@pytest.mark.parametrize("name", ["highs", "pyomo"])
def test_equal_numbers_and_wide_whole_numbers(name):
    features = (Continuous(0.0, 1.0), Continuous(0.5, 2.0), Integer(0, 10**6), Integer(0, 10**6))
    ensemble = mixed_ensemble(2, features=features, trees=10)
    found = maximize(
        ensemble,
        free=[0, 1, 2, 3],
        reference=[0.0, 0.5, 0.0, 0.0],
        backend=name,
        terms=[LinearTerm({1: 1.0, 2: 1e-6})],
        constraints=[
            Equal(0, 1),
            Equal(2, 3),
            Linear({2: 2.0, 3: 1.0}, upper=100_001.5),
        ],
    )
    assert found.z[0] == pytest.approx(found.z[1], abs=1e-6)
    assert 0.5 <= found.z[0] <= 1.0
    assert found.z[2] == found.z[3]
    assert found.z[2] % 1 == 0
    assert found.z[2] <= 33_333
    numbers = np.arange(0, 33_334.0)
    best = -np.inf
    for x in np.unique([0.5, 1.0, *clipped(ensemble, (0, 1), 0.5, 1.0)]):
        z = np.stack([np.full(len(numbers), x)] * 2 + [numbers] * 2, axis=1)
        best = max(best, (ensemble.predict(z) + z[:, 1] + 1e-6 * z[:, 2]).max())
    assert found.value == pytest.approx(best, abs=1e-6)


def clipped(ensemble, cells, low, high):
    at = ensemble.threshold[np.isin(ensemble.feature, cells)]
    at = np.concatenate([at, np.nextafter(at, np.inf)])
    return at[(at >= low) & (at <= high)]


@every_backend
def test_distances_and_balls_over_spelt_out_numbers_equal_brute_force(name):
    features = (Categorical(3), Integer(-2, 3), Categorical(2), Continuous(0.0, 1.0))

    @examples(name, seed=st.integers(0, 10_000), sign=st.sampled_from([-1, 1]))
    def check(seed, sign):
        rng = np.random.default_rng(seed)
        ensemble = mixed_ensemble(seed, features=features)
        reference = np.array([0.0, 1.0, 1.0, 0.25])
        data = np.stack(
            [rng.integers(0, 3, 3), rng.integers(-2, 4, 3), rng.integers(0, 2, 3), rng.random(3)],
            axis=1,
        ).astype(float)

        def distances(z):
            scaled = np.abs(data - z) / [1, 5, 1, 1]
            return (np.where([True, False, True, False], data != z, scaled)).sum(axis=1)

        sides = Sides(
            [DistanceTerm(data, 0.7 * sign)],
            [HammingBall(data, 1.8), Forbidden({1: 2.0, 0: 1})],
            [lambda z: 0.7 * sign * distances(z).min()],
            [lambda z: distances(z).min() <= 1.8, lambda z: not (z[1] == 2 and z[0] == 1)],
        )
        allowed = {3: [0.25, 0.5, 0.9]} if seed % 2 else {}
        free = [0, 1, 3] if seed % 2 else [0, 1, 2]
        if not allowed:
            assert_best(name, ensemble, free, reference, sides)
            return
        z = np.array(list(product(range(3), range(-2, 4), [1.0], allowed[3])), dtype=float)
        z = z[[sides.holds(point) for point in z]]
        arguments = {"free": free, "reference": reference, "allowed": allowed}
        arguments |= {"terms": sides.terms, "constraints": sides.constraints}
        if not len(z):
            return
        found = supported(name, maximize, ensemble, **arguments)
        if found is not None and found.status is SolveStatus.OPTIMAL:
            objectives = ensemble.predict(z) + [sides.value(point) for point in z]
            assert found.value == pytest.approx(objectives.max())


def test_integers_as_a_reference_make_numbers_whole():
    ensemble = mixed_ensemble(4)
    reference = np.zeros(5, dtype=np.uint8)
    for solve in (maximize, minimize):
        found = solve(ensemble, free=[1, 2, 4], reference=reference)
        assert found.z.dtype == np.int64
        z = neighbourhood(
            ensemble.with_features([*MIXED[:2], Integer(-1, 2), MIXED[3], Integer(-9, 9)]),
            [1, 2, 4],
            np.zeros(5),
        )
        values = ensemble.predict(z)
        assert found.value == pytest.approx(values.max() if solve is maximize else values.min())
