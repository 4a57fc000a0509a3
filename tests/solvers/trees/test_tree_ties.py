"""Among points of the same prediction the reference's values stay, else the preferred codes."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_ensembles import MIXED, mixed_ensemble, neighbourhood, random_ensemble

from solvers.trees import LinearTerm, maximize
from solvers.trees.instance import Instance
from solvers.trees.ties import preferred
from vqlso.errors import SolverError


@given(seed=st.integers(0, 10_000), preferring=st.booleans(), restricted=st.booleans())
@settings(max_examples=100, deadline=None)
def test_predictions_stay_the_same_to_the_last_bit(seed, preferring, restricted):
    ensemble = random_ensemble(seed, trees=4, categories=6)
    rng = np.random.default_rng(seed)
    reference = rng.integers(0, 6, 4)
    free = rng.permutation(4)[:3]
    allowed = {int(free[0]): rng.permutation(6)[:3].tolist()} if restricted else None
    preference = rng.random((4, 6)) if preferring else None
    instance = Instance.checked(ensemble, free, reference, allowed=allowed)
    z = neighbourhood(ensemble, free, reference)
    if restricted:
        z = z[np.isin(z[:, free[0]], allowed[int(free[0])])]
    for point in z[rng.permutation(len(z))[:20]].astype(float):
        liked = preferred(instance, point, preference)
        assert ensemble.predict(liked[None]) == ensemble.predict(point[None])
        assert instance.choices(liked) is not None
        again = preferred(instance, liked, preference)
        assert (again == liked).all(), "what is liked best stays"


@given(seed=st.integers(0, 10_000))
@settings(max_examples=100, deadline=None)
def test_numbers_stay_the_references_where_no_split_minds(seed):
    ensemble = mixed_ensemble(seed, trees=2)
    rng = np.random.default_rng(seed)
    reference = np.array([rng.integers(0, 4), rng.integers(-2, 4), rng.uniform(-1, 2), 1, 0.3])
    instance = Instance.checked(ensemble, range(len(MIXED)), reference)
    z = neighbourhood(ensemble, range(len(MIXED)), reference)
    for point in z[rng.permutation(len(z))[:20]]:
        liked = preferred(instance, point, None)
        assert ensemble.predict(liked[None]) == ensemble.predict(point[None])
        for cell in range(len(MIXED)):
            moved = liked.copy()
            moved[cell] = reference[cell]
            if liked[cell] != reference[cell]:
                assert any(
                    ensemble.goes_left(np.array([node]), liked[[cell]])
                    != ensemble.goes_left(np.array([node]), reference[[cell]])
                    for node in np.flatnonzero(ensemble.feature == cell)
                ), "only a split may keep a number from the reference's"


def one_threshold():
    """Codes 0..4 of cell 0 go left of 2.5, which is worth less than right."""
    ensemble = random_ensemble(7, trees=1, depth=0, cells=2, categories=6)
    return replace(
        ensemble,
        feature=np.array([0, -1, -1]),
        threshold=np.array([2.5, 0, 0]),
        subset=np.full(3, -1),
        unknown_left=np.zeros(3, dtype=bool),
        left=np.array([1, 1, 2]),
        right=np.array([2, 1, 2]),
        missing_left=np.zeros(3, dtype=bool),
        zero_is_missing=np.zeros(3, dtype=bool),
        value=np.array([0.0, 1.0, 2.0]),
    )


def test_the_reference_stays_although_another_code_is_preferred():
    preference = np.array([[0, 0, 0, 0, 0, 9.0]] * 2)
    found = maximize(one_threshold(), free=[0, 1], reference=[4, 1], preference=preference)
    assert found.z.tolist() == [4, 1]


def test_the_preferred_code_is_taken_where_the_reference_is_worse():
    preference = np.array([[9.0, 0, 0, 1, 3, 2]] * 2)
    found = maximize(one_threshold(), free=[0, 1], reference=[0, 1], preference=preference)
    assert found.z.tolist() == [4, 1]


def test_the_preferred_code_is_taken_where_the_reference_is_not_allowed():
    preference = np.array([[9.0, 0, 0, 1, 3, 2]] * 2)
    found = maximize(
        one_threshold(),
        free=[0, 1],
        reference=[4, 1],
        preference=preference,
        allowed={0: [3, 5], 1: [0, 4]},
    )
    assert found.z.tolist() == [5, 0]


def test_with_terms_the_solution_stays_as_it_is():
    preference = np.array([[9.0, 0, 0, 1, 3, 2]] * 2)
    terms = [LinearTerm({0: 0.1, 1: -0.1})]
    found = maximize(
        one_threshold(), free=[0, 1], reference=[4, 1], preference=preference, terms=terms
    )
    assert found.z.tolist() == [5, 0]


def test_preferences_of_numbers_are_refused():
    with pytest.raises(SolverError, match="some features are no codes"):
        maximize(
            mixed_ensemble(0),
            free=[0],
            reference=[0.0, 0.0, 0.0, 0.0, 0.0],
            preference=np.zeros((5, 4)),
        )
