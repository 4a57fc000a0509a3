"""Terms of the objective against brute force."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import strategies as st
from oracle import TERMS, Sides, assert_best, drawn, every_backend, examples, gower, supported
from random_ensembles import mixed_ensemble, random_ensemble

from solvers.trees import (
    Categorical,
    Continuous,
    DistanceTerm,
    Integer,
    LinearTerm,
    PairTerm,
    TreeEnsemble,
    maximize,
)
from solvers.trees.transforms import OutputTransform
from vqlso.errors import SolverError

REFERENCE = [0, 1, 2, 0]


def constant(features) -> TreeEnsemble:
    return mixed_ensemble(0, features=features, trees=1, depth=0)


def instance(seed, t):
    ensemble = random_ensemble(seed, categories=3)
    rng = np.random.default_rng(seed + 1)
    return ensemble, rng.permutation(4)[:t], rng.integers(0, 3, 4), rng


@every_backend
@pytest.mark.parametrize("kind", sorted(TERMS))
def test_each_term_equals_brute_force(name, kind):
    @examples(name, seed=st.integers(0, 10_000), t=st.integers(1, 4), twice=st.booleans())
    def check(seed, t, twice):
        ensemble, free, reference, rng = instance(seed, t)
        sides = drawn(rng, ensemble.features, [kind] * (1 + twice), [])
        assert_best(name, ensemble, free, reference, sides)


@every_backend
def test_several_terms_equal_brute_force(name):
    kinds = st.lists(st.sampled_from(sorted(TERMS)), min_size=2, max_size=5)

    @examples(name, seed=st.integers(0, 10_000), kinds=kinds, lowest=st.booleans())
    def check(seed, kinds, lowest):
        ensemble, free, reference, rng = instance(seed, 4)
        sides = drawn(rng, ensemble.features, kinds, [])
        assert_best(name, ensemble, free, reference, sides, lowest=lowest)


@every_backend
@pytest.mark.parametrize("free", [[0, 1], [1, 3], [3, 0], [2, 3]])
@pytest.mark.parametrize("pair", [(0, 3), (3, 0)])
def test_a_pair_term_counts_its_first_feature_by_rows(name, free, pair):
    ensemble = random_ensemble(4, trees=1, depth=0, categories=3)
    table = np.arange(9.0).reshape(3, 3) ** 1.5
    sides = Sides([PairTerm(*pair, table)], [], [lambda z: table[int(z[pair[0]]), int(z[pair[1]])]])
    assert_best(name, ensemble, free, REFERENCE, sides)


def test_terms_count_features_that_are_fixed():
    ensemble = random_ensemble(4, categories=3)
    plain = maximize(ensemble, free=[0], reference=REFERENCE)
    terms = [
        LinearTerm({1: [0.0, 5.0, 0.0], 2: 10.0}),
        PairTerm(2, 3, [[0, 0, 0], [0, 0, 0], [7.0, 0, 0]]),
    ]
    found = maximize(ensemble, free=[0], reference=REFERENCE, terms=terms)
    assert found.value == pytest.approx(plain.value + 5.0 + 20.0 + 7.0)
    assert found.prediction == plain.prediction


def test_the_distance_is_that_of_gower():
    features = (Categorical(3), Integer(0, 10), Continuous(-1.0, 3.0))
    data = np.array([[0, 4, 0.0], [2, 10, 3.0]])
    term = DistanceTerm(data, 2.0)
    assert term.value(np.array([1.0, 6.0, 1.0]), features) == pytest.approx(2 * (1 + 0.2 + 0.25))
    assert term.value(np.array([2.0, 10.0, 2.0]), features) == pytest.approx(2 * 0.25)


def test_missing_numbers_are_near_to_each_other_only():
    features = (Integer(0, 10), Continuous(-1.0, 3.0))
    data = np.array([[np.nan, 0.0], [5.0, 3.0]])
    z = np.array([np.nan, 0.0])
    assert DistanceTerm(data, 1.0).value(z, features) == 0.0
    assert DistanceTerm(data[1:], 1.0).value(z, features) == 1.75


@every_backend
def test_a_distance_with_numbers_missing_in_data_and_reference(name):
    features = (Categorical(3), Integer(0, 4), Continuous(-1.0, 3.0))
    ensemble = constant(features)
    data = np.array([[0.0, 4, np.nan], [1.0, np.nan, 1.0], [2.0, 0, 0.5]])
    reference = np.array([0.0, 0.0, np.nan])
    terms = [DistanceTerm(data, 1.0)]
    found = supported(name, maximize, ensemble, free=[0, 1], reference=reference, terms=terms)

    def value(code, number):
        distances = []
        for point in data:
            known = 1.0 if np.isnan(point[1]) else abs(point[1] - number) / 4
            distances.append((point[0] != code) + known + (not np.isnan(point[2])))
        return min(distances)

    best = max(value(code, number) for code in range(3) for number in range(5))
    if found is not None:
        assert found.value - found.prediction == pytest.approx(best)


def test_plain_meaning_of_the_oracle():
    """The oracle's own distance, by hand."""
    features = (Categorical(3), Continuous(0.0, 4.0))
    assert gower(features, [1, 1.0], [2, 3.0]) == 1.5


@pytest.mark.parametrize(
    ("term", "message"),
    [
        (LinearTerm({4: 1.0}), r"no feature 4; the ensemble has 0\.\.3"),
        (LinearTerm({-1: 1.0}), "no feature -1"),
        (LinearTerm({0: [1.0, 2.0]}), r"got shape \(2,\)"),
        (LinearTerm({0: np.ones((3, 3))}), r"got shape \(3, 3\)"),
        (LinearTerm({0: [1.0, np.nan, 0.0]}), "not finite"),
        (LinearTerm({1: np.inf}), "not finite"),
        (PairTerm(0, 0, np.zeros((3, 3))), "two features"),
        (PairTerm(0, 1, np.zeros((3, 4))), r"shape \(3, 3\)"),
        (PairTerm(0, 1, np.full((3, 3), np.nan)), "finite numbers"),
        (PairTerm(0, 7, np.zeros((3, 3))), "no feature 7"),
        (DistanceTerm(np.zeros((2, 3)), 1.0), r"\(n, 4\); got \(2, 3\)"),
        (DistanceTerm(np.zeros(4), 1.0), r"got \(4,\)"),
        (DistanceTerm(np.zeros((0, 4)), 1.0), r"got \(0, 4\)"),
        (DistanceTerm(np.full((1, 4), np.inf), 1.0), "finite points"),
        (DistanceTerm(np.zeros((1, 4)), np.nan), "weight of a distance"),
    ],
)
def test_terms_that_do_not_fit_are_refused(term, message):
    with pytest.raises(SolverError, match=message):
        maximize(random_ensemble(0, categories=3), free=[0, 1], reference=REFERENCE, terms=[term])


@pytest.mark.parametrize(
    ("term", "message"),
    [
        (LinearTerm({2: 1.0}), "Feature 2 counts in a sum, but has no bounds"),
        (LinearTerm({2: [1.0, 2.0]}), "one number a unit"),
        (PairTerm(0, 3, np.zeros((3, 3))), "needs categorical features; 3 is Integer"),
        (DistanceTerm(np.zeros((1, 4)), 1.0), "state finite bounds"),
    ],
)
def test_terms_on_numbers_that_do_not_fit_are_refused(term, message):
    ensemble = constant((Categorical(3), Categorical(3), Continuous(), Integer(0, 10**6)))
    reference = [0.0, 1.0, 0.5, 3.0]
    with pytest.raises(SolverError, match=message):
        maximize(ensemble, free=[0, 2], reference=reference, terms=[term])


@pytest.mark.parametrize(
    ("term", "reference", "message"),
    [
        (LinearTerm({3: 1.0}), [0, 0, 0, np.nan], "Feature 3 is missing"),
        (LinearTerm({1: [1.0, 2.0, 3.0]}), [0, np.nan, 0, 0], "Feature 1 is missing"),
        (PairTerm(0, 1, np.zeros((3, 3))), [0, np.nan, 0, 0], "Feature 1 is missing"),
    ],
)
def test_terms_on_missing_features_are_refused(term, reference, message):
    with pytest.raises(SolverError, match=message):
        maximize(random_ensemble(0, categories=3), free=[0], reference=reference, terms=[term])


def test_terms_are_refused_where_the_prediction_is_a_transform():
    ensemble = replace(random_ensemble(0, categories=3), transform=OutputTransform("sigmoid"))
    term = LinearTerm({0: 1.0})
    with pytest.raises(SolverError, match="untransformed"):
        maximize(ensemble, free=[0], reference=REFERENCE, terms=[term])
    found = maximize(ensemble.untransformed(), free=[0], reference=REFERENCE, terms=[term])
    assert found.value == found.prediction + found.z[0]


@every_backend
@pytest.mark.parametrize("scale", [1e-12, 1e-6, 1e6, 1e12])
def test_the_optimum_does_not_depend_on_the_scale_of_terms_and_scores(name, scale):
    ensemble, free, reference, rng = instance(6, 4)
    sides = drawn(rng, ensemble.features, ["linear", "pair"], [])
    plain = maximize(ensemble, free=free, reference=reference, terms=sides.terms)
    scaled = replace(ensemble, value=scale * ensemble.value, base=scale * ensemble.base)
    terms = [
        LinearTerm({f: scale * np.asarray(c) for f, c in sides.terms[0].coefficients.items()}),
        replace(sides.terms[1], table=scale * sides.terms[1].table),
    ]
    found = supported(name, maximize, scaled, free=free, reference=reference, terms=terms)
    if found is not None:
        assert found.value == pytest.approx(scale * plain.value, rel=1e-9)
