"""The importance of cells against its definitions: permuted columns, and all coalitions."""

from itertools import combinations
from math import factorial
from typing import Any

import numpy as np
import pytest
from coded_scores import K, coded_scores

from solvers.free_cells import MOST_CELLS, FreeCells, permutation_importance, shap_values
from solvers.history import History
from solvers.surrogate_based import SurrogateSolver
from solvers.surrogates import GridBoosting, LightGBM, RandomForest
from solvers.trees import TreeEnsemble
from vqlso.archive import Archive
from vqlso.errors import SolverError
from vqlso.spaces import CodeGrid

SPACE = CodeGrid(categories=K, height=2, width=3)


def known(n: int = 3000) -> History:
    z, y = coded_scores()
    history = History(SPACE)
    history.rebase(Archive(np.zeros((n, 3, 2, 2), dtype=np.uint8), y[:n], z[:n], "v"))
    return history


def fitted(history: History, **settings: Any) -> LightGBM:
    surrogate = LightGBM(K, **{"trees": 40, "learning_rate": 0.3} | settings)
    surrogate.fit(history.z, history.y)
    return surrogate


def shapley(ensemble: TreeEnsemble, codes: np.ndarray) -> np.ndarray:
    """By the definition: a cell's mean contribution to all coalitions of the others.

    The worth of a coalition is the mean prediction when all other cells are another row's.
    """
    n, cells = codes.shape

    def worth(coalition: tuple[int, ...]) -> np.ndarray:
        mixed = np.repeat(codes[None], n, axis=0)
        mixed[:, :, coalition] = codes[:, None, coalition]
        return ensemble.raw(mixed.reshape(-1, cells)).reshape(n, n).mean(axis=1)

    values = np.zeros(codes.shape)
    for cell in range(cells):
        others = [other for other in range(cells) if other != cell]
        for size in range(cells):
            share = factorial(size) * factorial(cells - size - 1) / factorial(cells)
            for coalition in combinations(others, size):
                gained = worth((*coalition, cell)) - worth(coalition)
                values[:, cell] += share * gained
    return values


@pytest.mark.parametrize(
    "surrogate",
    [
        LightGBM(K, trees=8, depth=2, learning_rate=0.5),
        # Deep enough for leaves that depend on all cells, and on one of them by several splits.
        LightGBM(K, trees=3, depth=7, leaves=60, min_samples_leaf=3, learning_rate=0.5),
        GridBoosting(K, trees=8, learning_rate=0.5),
        RandomForest(K, trees=4, depth=5),
    ],
    ids=["depth 2", "depth 7", "grid boosting", "forest"],
)
def test_shap_values_are_the_shapley_values(surrogate: Any) -> None:
    history = known()
    surrogate.fit(history.z, history.y)
    codes = history.z[:40].reshape(40, -1)
    given = shap_values(surrogate.ensemble(), codes)
    np.testing.assert_allclose(given, shapley(surrogate.ensemble(), codes), atol=1e-12)


def test_shap_values_share_out_the_prediction() -> None:
    history = known()
    surrogate = fitted(history)
    codes = history.z.reshape(len(history), -1)
    predicted = surrogate.predict(codes)
    given = shap_values(surrogate.ensemble(), codes).sum(axis=1)
    np.testing.assert_allclose(given, predicted - predicted.mean(), atol=1e-10)


def test_leaves_of_too_many_cells_are_refused() -> None:
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 2, (4000, 12))
    surrogate = LightGBM(2, trees=1, depth=12, leaves=2000, min_samples_leaf=1)
    surrogate.fit(codes, codes @ 2.0 ** np.arange(12))
    with pytest.raises(SolverError, match=rf"at most {MOST_CELLS}.*importance=permutation"):
        shap_values(surrogate.ensemble(), codes)


def test_permutation_importance_is_the_growth_of_the_error() -> None:
    """Of an additive score that is known: twice the variance of the cell's part."""

    class Additive:
        def predict(self, z: np.ndarray) -> np.ndarray:
            return z @ np.array([0.0, 1.0, 3.0])

    rng = np.random.default_rng(0)
    codes = rng.integers(0, 5, (40_000, 3))
    y = Additive().predict(codes) + rng.normal(size=len(codes))
    given = permutation_importance(Additive(), codes, y, rng)
    np.testing.assert_allclose(given, [0.0, 2 * 2.0, 2 * 9 * 2.0], rtol=0.03)


@pytest.mark.parametrize("importance", ["gain", "split", "permutation", "shap"])
def test_the_cells_that_scores_depend_on_are_chosen(importance: Any) -> None:
    history = known()
    cells = FreeCells(3, importance).choose(fitted(history), history)
    assert cells.tolist() == [0, 4, 5]


def test_one_seed_and_one_history_give_one_choice() -> None:
    """Of noise alone, the order of cells is as random as the permutations."""
    rng = np.random.default_rng(3)
    history = known()
    history.y = rng.normal(size=len(history))
    surrogate = fitted(history, trees=5)
    choices = [
        tuple(FreeCells(3, "permutation").choose(surrogate, history, seed))
        for seed in [*range(10), *range(10)]
    ]
    assert choices[:10] == choices[10:]
    assert len(set(choices)) > 1


def test_many_rows_are_sampled(monkeypatch: pytest.MonkeyPatch) -> None:
    history = known()
    surrogate = fitted(history, trees=5)
    asked = []
    predict = surrogate.predict
    monkeypatch.setattr(surrogate, "predict", lambda z: asked.append(len(z)) or predict(z))
    FreeCells(3, "permutation").choose(surrogate, history)
    assert asked == [2000] * 7


def test_ties_in_importance_go_to_the_lower_cell() -> None:
    class Even:
        def importance(self, measure: str) -> np.ndarray:
            return np.array([0.0, 2.0, 1.0, 2.0, 2.0, 1.0])

    assert FreeCells(4).choose(Even(), known()).tolist() == [1, 2, 3, 4]


@pytest.mark.parametrize("backend", ["highs", "tables"])
def test_all_cells_free_is_the_best_of_all_grids(backend: str) -> None:
    space = CodeGrid(categories=4, height=2, width=3)
    rng = np.random.default_rng(1)
    z = space.sample(800, rng)
    pairs = rng.normal(size=(6, 6, 4, 4))
    i, j = np.triu_indices(6, 1)
    flat = z.reshape(-1, 6)
    scores = pairs[i, j, flat[:, i], flat[:, j]].sum(axis=1)
    surrogate = LightGBM(4, trees=30, min_samples_leaf=5, learning_rate=0.3)
    solver = SurrogateSolver(space, surrogate, free_cells=FreeCells(6), backend=backend)
    solver.rebase(Archive(np.zeros((800, 3, 2, 2), dtype=np.uint8), scores, z, "v"))
    proposal = solver.ask(2)
    assert proposal.details["free_cells"] == [0, 1, 2, 3, 4, 5]
    everything = np.stack(np.meshgrid(*[range(4)] * 6), axis=-1).reshape(-1, 6)
    best = surrogate.predict(everything).max()
    np.testing.assert_allclose(proposal.acquisition, best, rtol=1e-9)


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        (FreeCells(7), r"6 cells \(2 x 3\).*solver\.t"),
        (FreeCells(0), r"solver\.t must be at least 1"),
        (FreeCells(fixed_choice=()), "No cell is free"),
        (FreeCells(fixed_choice=(1, 6)), r"solver\.cells"),
        (FreeCells(fixed_choice=(-1, 2)), r"solver\.cells"),
        (FreeCells(fixed_choice=(2, 2)), "twice"),
        (FreeCells(2, "gains"), "gain, split, permutation, shap; got 'gains'"),
    ],
)
def test_what_the_grid_or_the_surrogate_lacks_is_refused(cells: FreeCells, message: str) -> None:
    with pytest.raises(SolverError, match=message):
        SurrogateSolver(SPACE, LightGBM(K, trees=1), free_cells=cells)
