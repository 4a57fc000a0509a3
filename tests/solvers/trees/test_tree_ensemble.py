import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_ensembles import MIXED, mixed_ensemble, random_ensemble

from solvers.trees import TreeEnsemble
from solvers.trees.bitsets import highest, packed, unpacked
from solvers.trees.features import Categorical, Continuous, Integer
from solvers.trees.transforms import IDENTITY, OutputTransform
from vqlso.errors import SolverError


def by_hand(ensemble, row):
    """The sum of the leaves by the definition of the attributes, in plain Python."""
    total = ensemble.base
    for root in ensemble.roots:
        node = root
        while ensemble.feature[node] >= 0:
            value = row[ensemble.feature[node]]
            subset = ensemble.subset[node]
            if math.isnan(value) or (value == 0 and subset < 0 and ensemble.zero_is_missing[node]):
                left = ensemble.missing_left[node]
            elif subset < 0:
                left = value <= ensemble.threshold[node]
            elif not 0 <= math.trunc(value) < 64 * ensemble.subsets.shape[1]:
                left = ensemble.unknown_left[node]
            else:
                word, bit = divmod(math.trunc(value), 64)
                left = int(ensemble.subsets[subset, word]) >> bit & 1
            node = ensemble.left[node] if left else ensemble.right[node]
        total += ensemble.value[node]
    return total


def scrambled(seed):
    """A mixed ensemble whose missing and unknown values go anywhere."""
    ensemble = mixed_ensemble(seed)
    rng = np.random.default_rng(seed)
    flags = ("unknown_left", "missing_left", "zero_is_missing")
    n = len(ensemble.feature)
    return replace(ensemble, **{flag: rng.random(n) < 0.5 for flag in flags})


ROWS = st.lists(
    st.one_of(st.floats(allow_infinity=False, width=32), st.integers(-3, 80), st.just(math.nan)),
    min_size=5,
    max_size=5,
)


@given(st.integers(0, 20), ROWS)
@settings(deadline=None)  # the first example may compile
def test_prediction_follows_the_definition(seed, row):
    ensemble = scrambled(seed)
    row = [float(value) for value in row]
    assert ensemble.predict([row])[0] == by_hand(ensemble, row)


def test_goes_left_broadcasts_and_agrees_with_prediction():
    ensemble = scrambled(3)
    split = np.flatnonzero(ensemble.feature >= 0)
    values = np.array([-1.0, 0.0, 0.5, 2.0, 70.0, np.nan])
    table = ensemble.goes_left(split[:, None], values)
    assert table.shape == (len(split), len(values))
    assert table.dtype == bool
    for i, node in enumerate(split):
        assert (ensemble.goes_left(node, values) == table[i]).all()


def test_float32_inputs_and_sums():
    ensemble = replace(mixed_ensemble(0), input_dtype="float32", sum_dtype="float32")
    z = np.random.default_rng(0).normal(size=(50, 5))
    leaves = [
        replace(ensemble, base=0.0, roots=ensemble.roots[i : i + 1]).raw(z)
        for i in range(ensemble.n_trees)
    ]
    total = np.full(50, ensemble.base).astype(np.float32)
    for leaf in leaves:
        total += leaf.astype(np.float32)
    base = np.float32(ensemble.base)
    single = replace(ensemble, base=float(base))
    assert (single.predict(z) == total).all()
    assert (single.predict(z) == single.predict(z.astype(np.float32))).all()


@pytest.mark.parametrize(
    ("rounding", "known"),
    [
        ("truncated", [-0.5, 0.0, 0.5, 1.0, 1.9]),
        ("floored", [0.0, 0.5, 1.0, 1.9]),
        ("exact", [0.0, 1.0]),
    ],
)
def test_how_values_become_categories(rounding, known):
    stump = replace(
        random_ensemble(0),
        feature=[0, -1, -1],
        threshold=np.zeros(3),
        subset=[0, -1, -1],
        subsets=packed([[True, True, False]]),
        left=[1, 1, 2],
        right=[2, 1, 2],
        unknown_left=[False] * 3,
        missing_left=[False] * 3,
        zero_is_missing=[False] * 3,
        value=[0.0, 1.0, 0.0],
        roots=[0],
        category_rounding=rounding,
    )
    values = np.array([-1.0, -0.5, 0.0, 0.5, 1.0, 1.9, 2.0, 2.5, 64.0, 1e300, -np.inf, np.inf])
    assert values[stump.goes_left(0, values)].tolist() == known


def test_the_other_ensembles_made_of_one():
    sigmoid = OutputTransform("sigmoid")
    ensemble = replace(mixed_ensemble(1), transform=sigmoid)
    z = np.random.default_rng(0).normal(size=(20, 5))
    assert (ensemble.predict(z) == sigmoid(ensemble.raw(z))).all()
    assert (ensemble.untransformed().predict(z) == ensemble.raw(z)).all()
    assert (ensemble.negated().predict(z) == -ensemble.raw(z)).all()
    assert ensemble.with_features([*MIXED[:4], Integer()]).features == (*MIXED[:4], Integer())
    assert ensemble.categories is None
    assert random_ensemble(0).categories == (4,) * 4


def test_an_empty_ensemble_predicts_its_base():
    none = np.zeros(0)
    arrays = dict.fromkeys(
        ["feature", "threshold", "subset", "unknown_left", "left", "right"], none
    ) | dict.fromkeys(["missing_left", "zero_is_missing", "value", "roots"], none)
    ensemble = TreeEnsemble(**arrays, subsets=np.zeros((0, 0), np.uint64), base=3.5, n_features=2)
    assert ensemble.predict(np.zeros((2, 2))).tolist() == [3.5, 3.5]


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda e: {"threshold": e.threshold[:-1]}, "threshold"),
        (lambda e: {"feature": np.where(e.feature == 0, 9, e.feature)}, "`feature` lie in"),
        (lambda e: {"subset": np.full_like(e.subset, 99)}, "`subset` lie in"),
        (lambda e: {"left": e.left - 1}, "`left` lie in|reached twice"),
        (lambda e: {"right": e.left}, "reached twice"),
        (lambda e: {"left": np.zeros_like(e.left)}, "reached twice"),
        (lambda e: {"roots": [*e.roots, e.roots[0]]}, "reached twice"),
        (lambda e: {"value": np.full_like(e.value, np.nan)}, "leaf of tree 0 is nan"),
        (lambda e: {"value": np.full_like(e.value, -np.inf)}, "leaf of tree 0 is -inf"),
        (lambda e: {"base": math.nan}, "nan"),
        (lambda e: {"subsets": e.subsets.astype(bool)}, "uint64"),
        (lambda e: {"features": MIXED[:2]}, "2 were stated"),
        (lambda e: {"features": (Continuous(),) * 5}, "feature 0 by sets"),
    ],
)
def test_arrays_that_are_no_ensemble_are_refused(change, named):
    ensemble = mixed_ensemble(2)
    with pytest.raises(SolverError, match=named):
        replace(ensemble, **change(ensemble))


def test_numeric_thresholds_that_are_no_numbers_are_refused():
    ensemble = mixed_ensemble(2)
    with pytest.raises(SolverError, match="threshold of tree"):
        replace(ensemble, threshold=np.full_like(ensemble.threshold, np.nan))


@given(st.lists(st.lists(st.booleans(), min_size=70, max_size=70), min_size=1, max_size=5))
@settings(max_examples=30, deadline=None)
def test_bitsets(members):
    table = np.array(members)
    words = packed(table)
    assert words.shape == (len(table), 2)
    assert (unpacked(words, 70) == table).all()
    assert (unpacked(words, 200)[:, :70] == table).all()
    expected = [max(np.flatnonzero(row), default=-1) for row in table]
    assert highest(words).tolist() == expected


def test_features_and_their_bounds():
    assert Categorical(3).categories == 3
    assert Integer(0.5, 1.5).lower == 0.5
    assert Continuous().lower == -math.inf
    for wrong in (0, -1, 2**31, 1.5, True):
        with pytest.raises(SolverError, match="categor"):
            Categorical(wrong)
    for kind in (Integer, Continuous):
        for bounds in ((2, 1), (math.nan, 1), (math.inf, math.inf), (-math.inf, -math.inf)):
            with pytest.raises(SolverError):
                kind(*bounds)
    with pytest.raises(SolverError, match="No whole number"):
        Integer(0.2, 0.8)


def test_transforms_in_closed_form():
    x = np.array([-3.0, -0.5, 0.0, 0.5, 3.0])
    closed = {
        OutputTransform("sigmoid", scale=2.0): [1 / (1 + math.exp(-2 * v)) for v in x],
        OutputTransform("exponential"): [math.exp(v) for v in x],
        OutputTransform("signed_square"): [math.copysign(v * v, v) for v in x],
        OutputTransform("softplus"): [math.log(1 + math.exp(v)) for v in x],
        IDENTITY: x,
    }
    for transform, expected in closed.items():
        np.testing.assert_allclose(transform(x), expected, rtol=1e-14)
        assert (np.diff(transform(x)) > 0).all()
        assert transform.is_identity == (transform is IDENTITY)
        single = replace(transform, precision="float32")(x)
        np.testing.assert_allclose(single, expected, rtol=3e-7)
        assert (single == single.astype(np.float32)).all()
    rounded = OutputTransform(precision="rounded")
    assert rounded([0.1]) == np.float32(0.1)
    assert not rounded.is_identity
    assert OutputTransform("sigmoid")(np.array(-1e4)) == 0
    with pytest.raises(SolverError, match="scale"):
        OutputTransform("sigmoid", scale=0.0)
