"""The suite that every backend must pass; a new one joins it by being registered."""

import lightgbm
import numpy as np
import pytest
from hypothesis import strategies as st
from oracle import Sides, assert_best, every_backend, examples, supported
from random_ensembles import neighbourhood, random_ensemble

from solvers.trees import Limits, TreeEnsemble, maximize
from solvers.trees.backends import BACKENDS, backend
from solvers.trees.backends.contract import Backend, Task
from solvers.trees.backends.enumeration import EnumerationBackend
from solvers.trees.instance import Instance
from solvers.trees.reduction import reduce
from vqlso.errors import MissingExtraError, SolverError
from vqlso.records import SolveStatus


@every_backend
def test_equals_brute_force_over_all_codes(name):
    @examples(
        name,
        seed=st.integers(0, 10_000),
        depth=st.integers(0, 3),
        cells=st.integers(1, 4),
        categories=st.integers(1, 5),
        data=st.data(),
    )
    def check(seed, depth, cells, categories, data):
        ensemble = random_ensemble(seed, cells=cells, categories=categories, depth=depth)
        t = data.draw(st.integers(1, cells))
        rng = np.random.default_rng(seed + 1)
        free = rng.permutation(cells)[:t]
        reference = rng.integers(0, categories, cells)
        assert_best(name, ensemble, free, reference, Sides())


@every_backend
@pytest.mark.parametrize("free", [[0], [3, 1], [0, 1, 2, 3]], ids=["one", "some", "all"])
def test_equals_brute_force_on_lightgbm(name, free):
    rng = np.random.default_rng(5)
    K = 9
    z = rng.integers(0, K, (2000, 4))
    y = (z[:, 0] % 3) * (z[:, 1] % 2) - (z[:, 2] == z[:, 3] % 4) + 0.2 * rng.normal(size=2000)
    data = lightgbm.Dataset(z.astype(float), y, categorical_feature=[0, 1, 2])
    parameters = {"max_depth": 2, "min_data_per_group": 20, "num_threads": 1, "verbosity": -1}
    booster = lightgbm.train(parameters, data, 60)
    ensemble = TreeEnsemble.from_lightgbm(booster, categories=K)
    assert_best(name, ensemble, free, z[7], Sides())


@every_backend
def test_negative_and_constant_ensembles(name):
    constant = random_ensemble(0, trees=3, depth=0)
    maximum = maximize(constant, free=[1, 2], reference=[3, 2, 1, 0], backend=name)
    assert maximum.z.tolist() == [3, 2, 1, 0], "nothing to gain: the reference stays"
    assert maximum.value == constant.predict([[0, 0, 0, 0]])[0]


@pytest.fixture(scope="module")
def frustrated():
    """8 cells that interact in threes, so that no first relaxation is tight; its optimum."""
    ensemble = random_ensemble(11, cells=8, categories=4, trees=150, depth=3)
    everything = neighbourhood(ensemble, np.arange(8), np.zeros(8, dtype=int))
    return ensemble, ensemble.predict(everything).max()


@every_backend
@pytest.mark.parametrize("limits", [Limits(nodes=0), Limits(nodes=1), Limits(seconds=1e-9)])
def test_a_limit_leaves_a_valid_bound(frustrated, name, limits):
    ensemble, best = frustrated
    free, reference = np.arange(8), np.zeros(8, dtype=int)
    maximum = supported(name, maximize, ensemble, free=free, reference=reference, limits=limits)
    if maximum is None:
        return
    assert ensemble.predict(reference[None])[0] <= maximum.value <= best + 1e-9
    assert np.isfinite(maximum.bound)
    assert maximum.bound >= best - 1e-6 * max(1, abs(best))
    if maximum.value < best - 1e-6:
        assert maximum.status is not SolveStatus.OPTIMAL
        assert maximum.gap > 0


@pytest.mark.parametrize("name", ["highs", "pyomo", "enumeration"])
def test_a_limit_that_strikes_is_not_called_optimal(frustrated, name):
    maximum = maximize(
        frustrated[0],
        free=np.arange(8),
        reference=np.zeros(8, dtype=int),
        backend=name,
        limits=Limits(nodes=0),
    )
    assert maximum.status is SolveStatus.FEASIBLE


@every_backend
def test_solving_twice_gives_the_same_answer(name):
    ensemble = random_ensemble(21, trees=30)
    answers = [
        maximize(ensemble, free=[0, 1, 2], reference=[0, 1, 2, 3], backend=name).z for _ in range(2)
    ]
    assert (answers[0] == answers[1]).all()


@every_backend
def test_the_claim_is_the_reduced_ensembles_own_value(name):
    ensemble = random_ensemble(2, trees=30, depth=3)
    instance = Instance.checked(ensemble, [0, 1, 2, 3], np.zeros(4, dtype=int))
    result = backend(name).solve(Task(instance, k=3))
    assert result.values == pytest.approx(ensemble.predict(result.points), abs=1e-7)
    assert result.status is SolveStatus.UNPROVEN or len(result.points) == 3


def test_registered_backends_describe_themselves():
    for name, entry in BACKENDS.items():
        assert isinstance(backend(name), Backend)
        assert entry.description
        assert "pip install" in entry.install


def test_unknown_backend_names_the_nearest():
    with pytest.raises(SolverError, match=r"enumeration.*highs.*pyomo.*Did you mean 'highs'"):
        backend("higs")


def test_a_missing_package_says_how_to_install_it(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "highspy", None)
    monkeypatch.delitem(sys.modules, "solvers.trees.backends.highs", raising=False)
    with pytest.raises(MissingExtraError, match="pip install highspy"):
        backend("highs")


def test_enumeration_refuses_what_would_take_forever():
    ensemble = random_ensemble(1, trees=40)
    with pytest.raises(SolverError, match="too many to enumerate"):
        maximize(
            ensemble,
            free=[0, 1, 2, 3],
            reference=[0, 0, 0, 0],
            backend=EnumerationBackend(most=3),
        )


def test_pyomo_refuses_solvers_it_cannot_set_exact():
    from solvers.trees.backends.pyomo import PyomoBackend

    with pytest.raises(SolverError, match="exact"):
        PyomoBackend("scip")
    ensemble = random_ensemble(1)
    with pytest.raises(SolverError, match="cannot start"):
        maximize(
            ensemble,
            free=[0],
            reference=[0] * 4,
            backend=PyomoBackend("no_such_solver", {"gap": 0}),
        )


def test_the_pyomo_model_reads_like_the_paper():
    from solvers.trees.backends.pyomo import leaf_model

    model = leaf_model(reduce(Instance.checked(random_ensemble(2), [0, 1], np.zeros(4, dtype=int))))
    names = {component.name for component in model.component_objects(descend_into=False)}
    assert {"x", "y", "one_label", "one_leaf", "left", "right", "objective"} <= names
