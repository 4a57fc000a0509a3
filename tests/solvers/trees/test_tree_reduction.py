from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_ensembles import neighbourhood, random_ensemble

from solvers.trees.bitsets import packed
from solvers.trees.formulation import LeafFormulation
from solvers.trees.instance import Instance
from solvers.trees.reduction import reduce, without_dominated
from vqlso.errors import SolverError

instances = st.tuples(
    st.integers(0, 10_000),  # seed
    st.integers(1, 3),  # depth
    st.integers(1, 4),  # t
)


def drawn(seed, depth, t):
    ensemble = random_ensemble(seed, depth=depth, categories=5)
    rng = np.random.default_rng(seed + 1)
    free = rng.permutation(ensemble.n_features)[:t]
    return ensemble, free, rng.integers(0, 5, ensemble.n_features)


def fixed(ensemble, free, reference):
    """The reduced ensemble of an instance without terms and constraints."""
    return reduce(Instance.checked(ensemble, free, reference))


def labels_of(reduced, codes):
    """(n, t) codes -> (n, t) labels; every code must be in exactly one class."""
    columns = []
    for cell, classes in enumerate(reduced.choices):
        of_code = {int(code): label for label, members in enumerate(classes) for code in members}
        columns.append([of_code[int(code)] for code in codes[:, cell]])
    return np.array(columns).T


@given(instances)
@settings(max_examples=150, deadline=None)
def test_every_code_keeps_its_prediction(instance):
    ensemble, free, reference = drawn(*instance)
    reduced = fixed(ensemble, free, reference)
    z = neighbourhood(ensemble, free, reference)
    values = reduced.values(labels_of(reduced, z[:, free]))
    np.testing.assert_allclose(values, ensemble.predict(z), rtol=1e-12, atol=1e-12)
    assert reduced.upper_bound() >= values.max() - 1e-12


@given(instances)
@settings(max_examples=100, deadline=None)
def test_dropping_dominated_labels_keeps_the_maximum(instance):
    ensemble, free, reference = drawn(*instance)
    reduced = without_dominated(fixed(ensemble, free, reference))
    everything = np.array(list(np.ndindex(reduced.n_labels)))
    best = ensemble.predict(neighbourhood(ensemble, free, reference)).max()
    assert reduced.values(everything).max() == pytest.approx(best, rel=1e-12, abs=1e-12)


@given(instances)
@settings(max_examples=100, deadline=None)
def test_every_choice_of_labels_is_a_solution_of_the_formulation(instance):
    """Its row activities lie within the bounds and its objective is the prediction."""
    ensemble, free, reference = drawn(*instance)
    reduced = fixed(ensemble, free, reference)
    formulation = LeafFormulation.of(reduced)
    programme = formulation.programme
    matrix = np.zeros((len(programme.row_lower), len(programme.objective)))
    rows = np.repeat(np.arange(len(matrix)), np.diff(programme.row_start))
    np.add.at(matrix, (rows, programme.column), programme.coefficient)
    for labels in np.array(list(np.ndindex(reduced.n_labels)))[:50]:
        x = np.zeros(sum(reduced.n_labels))
        x[formulation.first_label[:-1] + labels] = 1
        y = [
            all(reduced.members(condition)[labels[condition.cell]] for condition in path)
            for tree in reduced.trees
            for path in tree.paths
        ]
        solution = np.concatenate([x, np.array(y, dtype=float)])
        activity = matrix @ solution
        assert (activity >= programme.row_lower).all()
        assert (activity <= programme.row_upper).all()
        assert programme.objective @ solution + programme.offset == pytest.approx(
            reduced.values(labels[None])[0], abs=1e-12
        )
        assert (formulation.labels(solution) == labels).all()


def test_classes_are_codes_that_no_split_separates():
    """One tree that only asks whether cell 0 is in {1, 3} leaves two classes."""
    ensemble = random_ensemble(0, trees=1, depth=0, categories=5)
    two_leaves = replace(
        ensemble,
        feature=np.array([0, -1, -1]),
        threshold=np.zeros(3),
        subset=np.array([0, -1, -1]),
        subsets=packed([[False, True, False, True, False]]),
        unknown_left=np.zeros(3, dtype=bool),
        left=np.array([1, 1, 2]),
        right=np.array([2, 1, 2]),
        missing_left=np.zeros(3, dtype=bool),
        zero_is_missing=np.zeros(3, dtype=bool),
        value=np.array([0.0, 2.0, -1.0]),
        base=0.5,
    )
    reduced = fixed(two_leaves, [0, 2], np.zeros(4, dtype=int))
    assert [members.tolist() for members in reduced.choices[0]] == [[0, 2, 4], [1, 3]]
    assert [members.tolist() for members in reduced.choices[1]] == [[0, 1, 2, 3, 4]]
    assert reduced.unary[0].tolist() == [-1.0, 2.0]
    assert reduced.constant == 0.5
    assert not reduced.trees, "a tree over one cell needs no leaves"
    best = without_dominated(reduced)
    assert [members.tolist() for members in best.choices[0]] == [[1, 3]]


@pytest.fixture
def one_tree():
    """A tree that still couples several cells when all are free."""
    candidates = (random_ensemble(seed, trees=1, depth=3) for seed in range(100))
    return next(e for e in candidates if fixed(e, [0, 1, 2, 3], np.zeros(4, dtype=int)).trees)


def test_trees_of_the_same_structure_are_merged(one_tree):
    n = len(one_tree.feature)
    copied = {
        name: np.tile(getattr(one_tree, name), 2)
        for name in ("feature", "threshold", "subset", "unknown_left", "missing_left")
    }
    copied |= {name: np.tile(getattr(one_tree, name), 2) for name in ("zero_is_missing", "value")}
    shifted = {
        name: np.concatenate([getattr(one_tree, name), getattr(one_tree, name) + n])
        for name in ("left", "right", "roots")
    }
    twice = replace(one_tree, **copied, **shifted)
    once, merged = (fixed(e, [0, 1, 2, 3], np.zeros(4, dtype=int)) for e in (one_tree, twice))
    assert len(once.trees) == len(merged.trees) == 1
    assert merged.trees[0].values == tuple(2 * value for value in once.trees[0].values)


def test_mirrored_trees_are_merged(one_tree):
    """Swapping the children and complementing the subset says the same thing."""
    categorical = one_tree.subset >= 0
    assert categorical.any()
    mirror = replace(
        one_tree,
        subsets=~one_tree.subsets,
        left=np.where(categorical, one_tree.right, one_tree.left),
        right=np.where(categorical, one_tree.left, one_tree.right),
    )
    one, other = (fixed(e, [0, 1, 2, 3], np.zeros(4, dtype=int)) for e in (one_tree, mirror))
    assert one.trees
    assert one.trees == other.trees


def test_unknown_categories_are_refused():
    ensemble = replace(random_ensemble(0), features=None)
    with pytest.raises(SolverError, match="categories=K"):
        Instance.checked(ensemble, [0], np.zeros(4, dtype=int))
