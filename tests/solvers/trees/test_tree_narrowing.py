"""What is taken from an instance before it is stated for HiGHS."""

import numpy as np
import pytest
from oracle import drawn, linear
from random_ensembles import mixed_ensemble, random_ensemble

from solvers.trees import Categorical, HammingBall, InfeasibleError, Limits, maximize
from solvers.trees.backends.contract import Task
from solvers.trees.backends.enumeration import EnumerationBackend
from solvers.trees.backends.narrowing import narrowed
from solvers.trees.instance import Instance

many = pytest.mark.parametrize("seed", range(12))


def best_values(task):
    try:
        return EnumerationBackend().solve(task).values
    except InfeasibleError:
        return None


@many
@pytest.mark.parametrize("k", [1, 4])
def test_the_best_of_what_is_left_are_the_best_of_all(seed, k):
    ensemble = random_ensemble(seed, cells=5, trees=40, depth=2 + seed % 2)
    rng = np.random.default_rng(seed)
    for sides in (
        drawn(rng, ensemble.features, ["pair", "linear"], []),
        linear(rng, ensemble.features) + drawn(rng, ensemble.features, ["pair"], ["equal"]),
    ):
        instance = Instance.checked(
            ensemble,
            range(5),
            np.zeros(5, dtype=int),
            terms=sides.terms,
            constraints=sides.constraints,
        )
        task = Task(instance, k)
        expected, found = best_values(task), best_values(narrowed(task))
        assert (expected is None) == (found is None)
        if expected is not None:
            np.testing.assert_allclose(found, expected, atol=1e-9)


@many
def test_intervals_keep_their_ends(seed):
    ensemble = mixed_ensemble(seed, trees=20, depth=2)
    reference = np.zeros(ensemble.n_features)
    task = Task(Instance.checked(ensemble, range(ensemble.n_features), reference))
    left = narrowed(task).instance
    for before, after in zip(task.instance.domains, left.domains, strict=True):
        kept = [before.choice(value) for value in after.values]
        assert -1 not in kept
        np.testing.assert_array_equal(before.lower[kept], after.lower)
        np.testing.assert_array_equal(before.upper[kept], after.upper)


def test_pairs_of_cells_leave_little_to_an_integer_programme():
    ensemble = random_ensemble(3, cells=6, trees=80, depth=2)
    reference = np.zeros(6, dtype=int)
    instance = Instance.checked(ensemble, range(6), reference)
    task = narrowed(Task(instance))
    before, after = (sum(map(len, each.domains)) for each in (instance, task.instance))
    assert after < before / 2
    # The best point that was met is where the engine starts.
    assert instance.choices(task.start) is not None
    assert ensemble.predict(task.start[None])[0] >= ensemble.predict(reference[None])[0]
    stated = maximize(ensemble, free=range(6), reference=reference, backend="highs").sizes
    whole = maximize(ensemble, free=range(6), reference=reference, backend="pyomo").sizes
    assert stated["labels"] <= after < whole["labels"]


def test_what_tables_cannot_express_stays_as_it_is():
    deep = mixed_ensemble(0, features=(Categorical(3),) * 5, trees=30, depth=5)
    reference = np.zeros(5, dtype=int)
    task = Task(Instance.checked(deep, range(5), reference))
    assert narrowed(task) is task
    shallow = random_ensemble(0)
    ball = HammingBall(np.zeros((3, shallow.n_features), dtype=int), 1)
    cells = range(shallow.n_features)
    near = Instance.checked(
        shallow, cells, np.zeros(shallow.n_features, dtype=int), constraints=[ball]
    )
    assert narrowed(Task(near)).instance is near
    little = Task(Instance.checked(shallow, cells, near.reference), limits=Limits(megabytes=1e-6))
    assert narrowed(little) is little
