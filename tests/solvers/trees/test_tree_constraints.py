"""Constraints and allowed values against brute force."""

import numpy as np
import pytest
from hypothesis import strategies as st
from oracle import (
    CONSTRAINTS,
    TERMS,
    Sides,
    assert_best,
    drawn,
    every_backend,
    everything,
    examples,
    supported,
)
from random_ensembles import mixed_ensemble, random_ensemble

from solvers.trees import (
    Categorical,
    Continuous,
    Equal,
    Forbidden,
    HammingBall,
    InfeasibleError,
    Integer,
    Limits,
    Linear,
    maximize,
)
from vqlso.errors import SolverError
from vqlso.records import SolveStatus

REFERENCE = [0, 1, 2, 0]
KINDS = sorted(CONSTRAINTS)


def instance(seed, t):
    ensemble = random_ensemble(seed, categories=3)
    rng = np.random.default_rng(seed + 1)
    return ensemble, rng.permutation(4)[:t], rng.integers(0, 3, 4), rng


@every_backend
@pytest.mark.parametrize("kind", KINDS)
def test_each_constraint_equals_brute_force(name, kind):
    @examples(name, seed=st.integers(0, 10_000), t=st.integers(1, 4), twice=st.booleans())
    def check(seed, t, twice):
        ensemble, free, reference, rng = instance(seed, t)
        sides = drawn(rng, ensemble.features, [], [kind] * (1 + twice))
        assert_best(name, ensemble, free, reference, sides)


@every_backend
def test_constraints_terms_and_allowed_values_together_equal_brute_force(name):
    @examples(
        name,
        seed=st.integers(0, 10_000),
        constraints=st.lists(st.sampled_from(KINDS), min_size=1, max_size=4),
        terms=st.lists(st.sampled_from(sorted(TERMS)), max_size=2),
        lowest=st.booleans(),
        restricted=st.booleans(),
    )
    def check(seed, constraints, terms, lowest, restricted):
        ensemble, free, reference, rng = instance(seed, int(1 + seed % 4))
        sides = drawn(rng, ensemble.features, terms, constraints)
        allowed = {}
        if restricted:
            allowed = {int(free[0]): rng.permutation(3)[: rng.integers(1, 4)].tolist()}
        assert_best(name, ensemble, free, reference, sides, allowed=allowed, lowest=lowest)


@every_backend
def test_allowed_values_equal_brute_force(name):
    @examples(name, seed=st.integers(0, 10_000), t=st.integers(1, 4))
    def check(seed, t):
        ensemble, free, reference, rng = instance(seed, t)
        allowed = {
            int(cell): rng.permutation(3)[: rng.integers(1, 4)].tolist() for cell in free[::2]
        }
        assert_best(name, ensemble, free, reference, Sides(), allowed=allowed)


def test_a_reference_that_is_not_allowed_is_left():
    ensemble = random_ensemble(3, categories=3)
    allowed = {0: [1], 1: [0, 2]}
    found = assert_best("highs", ensemble, [0, 1], REFERENCE, Sides(), allowed=allowed)
    assert found.z[0] == 1
    assert found.z[1] in (0, 2)


@pytest.mark.parametrize(
    ("allowed", "message"),
    [
        ({2: [0]}, "Feature 2 has allowed values, but is not free"),
        ({0: []}, "No value is allowed to feature 0"),
        ({0: [3]}, "Feature 0 cannot take 3"),
        ({0: [0.5]}, r"Feature 0 cannot take 0\.5"),
        ({0: [np.nan]}, "Feature 0 cannot take nan"),
    ],
)
def test_allowed_values_that_make_no_sense_are_refused(allowed, message):
    ensemble = random_ensemble(3, categories=3)
    with pytest.raises(SolverError, match=message):
        maximize(ensemble, free=[0, 1], reference=REFERENCE, allowed=allowed)


def test_fractions_are_not_allowed_to_whole_numbers():
    ensemble = mixed_ensemble(1, features=(Integer(0, 10**6), Categorical(2)))
    with pytest.raises(SolverError, match=r"cannot take 2\.5"):
        maximize(ensemble, free=[0], reference=[0.0, 0.0], allowed={0: [2.5]})


@pytest.mark.parametrize(
    ("constraint", "message"),
    [
        (Linear({0: 1.0}), "one of them finite"),
        (Linear({0: 1.0}, 2.0, 1.0), "lower <= upper"),
        (Linear({0: 1.0}, upper=np.nan), "lower <= upper"),
        (Linear({0: 1.0}, lower=np.inf), "one of them finite"),
        (Linear({9: 1.0}, upper=1.0), "no feature 9"),
        (Linear({0: [1.0, np.nan, 2.0]}, upper=1.0), "not finite"),
        (Linear({0: [1.0, 2.0]}, upper=1.0), r"got shape \(2,\)"),
        (Equal(1, 1), "always equals itself"),
        (Equal(1, 5), "no feature 5"),
        (Forbidden({}), "at least one feature"),
        (Forbidden({8: 0}), "no feature 8"),
        (HammingBall(np.zeros(3), 1.0), r"\(n, 4\); got \(1, 3\)"),
        (HammingBall(np.zeros(4), -1.0), "radius"),
        (HammingBall(np.zeros(4), np.nan), "radius"),
    ],
)
def test_constraints_that_do_not_fit_are_refused(constraint, message):
    ensemble = random_ensemble(3, categories=3)
    with pytest.raises(SolverError, match=message):
        maximize(ensemble, free=[0, 1], reference=REFERENCE, constraints=[constraint])


@pytest.mark.parametrize(
    ("constraint", "message"),
    [
        (Forbidden({2: 0.5}), "compares single values"),
        (HammingBall(np.zeros(3), 1.0), "compares single values"),
        (Linear({1: 1.0}, upper=3.0), "Feature 1 counts in a sum, but has no bounds"),
    ],
)
def test_constraints_that_a_continuum_does_not_fit_are_refused(constraint, message):
    features = (Categorical(3), Integer(), Continuous(0.0, 1.0))
    ensemble = mixed_ensemble(3, features=features)
    if isinstance(constraint, HammingBall):
        ensemble = ensemble.with_features((Categorical(3), Integer(0, 9), Continuous(0.0, 1.0)))
    with pytest.raises(SolverError, match=message):
        maximize(ensemble, free=[0, 1, 2], reference=[0.0, 0.0, 0.5], constraints=[constraint])


@every_backend
def test_rows_that_always_hold_change_nothing(name):
    ensemble = random_ensemble(3, categories=3)
    free = [0, 1]
    plain = maximize(ensemble, free=free, reference=REFERENCE)
    constraints = [
        Linear({2: 1.0}, 2.0, 2.0),
        Linear({0: [0.1, 0.1, 0.1], 2: 0.1}, upper=0.3),
        Linear({0: 1.0, 1: 1.0}, upper=4.0),
        Equal(0, 3) if plain.z[0] == 0 else Linear({3: 5.0}, upper=0.0),
        Forbidden({2: 1, 0: plain.z[0]}),
        HammingBall(np.array(REFERENCE), np.inf),
        HammingBall(np.array([REFERENCE] * 2), np.inf),
    ]
    found = supported(
        name, maximize, ensemble, free=free, reference=REFERENCE, constraints=constraints
    )
    if found is not None:
        assert found.value == pytest.approx(plain.value)


@pytest.mark.parametrize(
    ("constraint", "message"),
    [
        (Linear({2: 1.0}, upper=1.0), "sum over features 2"),
        (Linear({0: [1.0, 1.0, 1.0]}, upper=0.5), "sum over features 0"),
        (Equal(2, 3), "feature 2 equals feature 3"),
        (Forbidden({2: 2, 3: 0}), "forbidden: {2: 2, 3: 0}"),
    ],
)
def test_rows_without_free_features_that_never_hold_are_named(constraint, message):
    ensemble = random_ensemble(3, categories=3)
    with pytest.raises(InfeasibleError, match=message):
        maximize(
            ensemble,
            free=[0, 1],
            reference=REFERENCE,
            constraints=[Forbidden({0: 0}), constraint],
        )


@every_backend
@pytest.mark.parametrize("scale", [1e-12, 1e-6, 1.0, 1e6, 1e12])
def test_constraints_hold_on_every_scale(name, scale):
    """Solvers' tolerances are absolute; what a row means does not depend on its unit."""
    rng = np.random.default_rng(4)
    ensemble = random_ensemble(5, categories=3)
    weights = {cell: rng.random(3) for cell in range(4)}
    found = supported(
        name,
        maximize,
        ensemble,
        free=[0, 1, 2, 3],
        reference=REFERENCE,
        constraints=[Linear({c: scale * w for c, w in weights.items()}, upper=1.3 * scale)],
    )
    sides = Sides(tests=[lambda z: sum(w[int(z[c])] for c, w in weights.items()) <= 1.3])
    sides.constraints = [Linear(weights, upper=1.3)]
    plain = assert_best("enumeration", ensemble, [0, 1, 2, 3], REFERENCE, sides)
    if found is not None and found.status is not SolveStatus.UNPROVEN:
        assert found.value == pytest.approx(plain.value)


def test_a_small_part_decides_beside_a_large_one():
    ensemble = random_ensemble(5, categories=3)
    weights = {0: [1e9, 0.0, 0.0], 1: [0.0, 1.0, 2.0], 2: [0.0, 1.0, 2.0]}
    sides = Sides(
        constraints=[Linear(weights, upper=1.0)],
        tests=[lambda z: z[0] != 0 and z[1] + z[2] <= 1],
    )
    for name in ("highs", "enumeration"):
        assert_best(name, ensemble, [0, 1, 2, 3], REFERENCE, sides)


@pytest.mark.parametrize("count", [500])
def test_hundreds_of_points_can_be_forbidden(count):
    ensemble = random_ensemble(8, cells=5, categories=4, trees=15)
    free, reference = np.arange(5), np.zeros(5, dtype=int)
    z, objectives = everything(ensemble, free, reference, Sides())
    constraints = [Forbidden(dict(enumerate(point.tolist()))) for point in z[:count]]
    found = maximize(ensemble, free=free, reference=reference, constraints=constraints)
    assert found.value == pytest.approx(objectives[count])
    assert found.status is SolveStatus.OPTIMAL


@every_backend
@pytest.mark.parametrize("limits", [Limits(nodes=0), Limits(nodes=1), Limits(seconds=1e-9)])
@pytest.mark.parametrize("at_home", [True, False], ids=["feasible reference", "infeasible"])
def test_a_limit_leaves_a_valid_bound_or_a_clear_error(name, limits, at_home):
    ensemble = random_ensemble(11, cells=8, categories=3, trees=60, depth=3)
    free, reference = np.arange(8), np.zeros(8, dtype=int)
    constraint = HammingBall(reference, 3) if at_home else Linear(dict.fromkeys(range(8), 1), 9, 12)
    sides = Sides([], [constraint], [], [lambda z: constraint.violation(z, ensemble.features) == 0])
    best = everything(ensemble, free, reference, sides)[1][0]
    arguments = {"free": free, "reference": reference, "constraints": [constraint]}
    try:
        found = supported(name, maximize, ensemble, **arguments, limits=limits)
    except SolverError:
        assert not at_home
        with pytest.raises(SolverError, match="found no point"):
            maximize(ensemble, **arguments, limits=limits, backend=name)
        return
    if found is None:
        return
    assert sides.holds(found.z)
    assert found.value <= best + 1e-9
    assert np.isfinite(found.bound)
    assert found.bound >= best - 1e-6
