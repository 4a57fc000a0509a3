"""Archives from which trees learn nothing: a search goes on, and claims nothing false."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from toys import SPACE, Mosaic

from solvers.free_cells import FreeCells
from solvers.surrogate_based import SurrogateSolver
from solvers.surrogates import LightGBM
from solvers.surrogates.forests import RandomForest
from solvers.surrogates.grid_boosting import GridBoosting
from solvers.training_draws import drawn_training_row
from solvers.trees import Limits
from vqlso.archive import Archive
from vqlso.contracts import Surrogate
from vqlso.records import SolveStatus

ROWS = 40
RNG = np.random.default_rng(0)
CODES = RNG.integers(0, 3, (ROWS, *SPACE.shape))  # the last code is never seen
SCORES = CODES.sum(axis=(1, 2)) + RNG.normal(size=ROWS)
MAKES: dict[str, Callable[..., Any]] = {
    "lightgbm": LightGBM,
    "grid_boosting": GridBoosting,
    "random_forest": RandomForest,
}
LEARNT_NOTHING = {
    "constant scores": (CODES, np.full(ROWS, 1.5)),
    "constant scores far from 0": (CODES, np.full(ROWS, -3e8)),
    "all codes equal": (np.ones_like(CODES), SCORES),
    "one sample": (CODES[:1], SCORES[:1]),
    "fewer samples than a leaf needs": (CODES[:7], SCORES[:7]),
}


def searching(make: str, z: np.ndarray, y: np.ndarray, **settings: Any) -> SurrogateSolver:
    surrogate: Surrogate = MAKES[make](SPACE.categories, trees=5, min_samples_leaf=4)
    solver = SurrogateSolver(SPACE, surrogate, free_cells=FreeCells(2), backend="highs", **settings)  # type: ignore[arg-type]
    images = np.zeros((len(z), 3, 4, 4), dtype=np.uint8)
    solver.rebase(Archive(images, y, z, Mosaic().version))
    return solver


@pytest.mark.parametrize("make", MAKES)
@pytest.mark.parametrize("case", LEARNT_NOTHING)
def test_trees_without_a_split_leave_the_reference(make: str, case: str) -> None:
    """Nothing is better than anything else: one prediction for all, and the grid is kept."""
    z, y = LEARNT_NOTHING[case]
    solver = searching(make, z, y)
    proposal = solver.ask(2)
    for row, id_ in enumerate(proposal.ids):
        np.testing.assert_array_equal(proposal.z[row], z[drawn_training_row(0, int(id_), len(z))])
    assert set(proposal.status) == {SolveStatus.OPTIMAL}
    assert solver.surrogate.predict(z) == pytest.approx(np.full(len(z), proposal.predicted[0]))
    assert y.min() - 1e-6 * abs(y.min()) <= proposal.predicted[0] <= y.max() + 1e-6 * abs(y.max())
    assert proposal.bound == pytest.approx(proposal.predicted, rel=1e-6)


@pytest.mark.parametrize("make", MAKES)
def test_codes_that_no_tree_has_seen_are_not_claimed_to_be_good(make: str) -> None:
    """Brute force over all changes, those to an unseen code among them, by the library itself."""
    solver = searching(make, CODES, SCORES)
    proposal = solver.ask(1)
    cells = proposal.details["free_cells"]
    reference = CODES[proposal.parents[0]].reshape(-1)
    grids = np.repeat(reference[None], SPACE.categories ** len(cells), axis=0)
    codes = np.stack(np.meshgrid(*[np.arange(SPACE.categories)] * len(cells)), axis=-1)
    grids[:, cells] = codes.reshape(-1, len(cells))
    everything = solver.surrogate.predict(grids.reshape(-1, *SPACE.shape))
    assert proposal.predicted[0] == pytest.approx(everything.max(), abs=1e-9)


@pytest.mark.parametrize("backend", ["highs", "tables"])
def test_a_limit_gives_a_point_and_a_bound_and_no_proof(backend: str) -> None:
    solver = searching("lightgbm", CODES, SCORES, limits=Limits(nodes=0))
    solver.backend = backend
    proposal = solver.ask(3)
    assert SolveStatus.UNPROVEN not in proposal.status
    assert (proposal.bound >= proposal.acquisition - 1e-9).all()
