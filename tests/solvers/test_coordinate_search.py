import numpy as np
import pytest
from searching import answers, archive_of, as_one, best, search, start
from toys import SPACE as MOSAIC_SPACE
from toys import Mosaic

from solvers.coordinate_search import CoordinateSearch
from solvers.free_cells import FreeCells
from solvers.inversion import invert
from solvers.surrogate_based import SurrogateSolver
from solvers.surrogates import LightGBM
from solvers.testing import assert_same
from vqlso.objectives.criteria import Criterion, PixelDistance
from vqlso.problems.target_image import TargetImage
from vqlso.spaces import CodeGrid

SPACE = CodeGrid(categories=5, height=2, width=3)
WANTED = np.array([[4, 0, 2], [1, 1, 3]])


def matches(z):
    """How many cells have the wanted code: a single change always helps."""
    return (z == WANTED).sum(axis=(1, 2)).astype(np.float64)


def paired(z):
    """Best where all codes are 4, but from all 0 two cells must change at once."""
    fours = (z == 4).sum(axis=(1, 2))
    return np.where(fours == 1, -1.0, fours).astype(np.float64)


def test_a_sweep_tries_every_change_of_one_cell_once():
    solver = CoordinateSearch(SPACE)
    origin = np.zeros((1, 2, 3), dtype=np.int64)
    solver.rebase(archive_of(origin, paired))
    z = solver.ask(solver.sweep).z
    assert ((z != origin).sum(axis=(1, 2)) == 1).all()
    assert len(np.unique(z, axis=0)) == solver.sweep == 24


@pytest.mark.parametrize("batch", [1, 5])
def test_two_sweeps_reach_what_single_changes_can(batch):
    solver = CoordinateSearch(SPACE)
    start(solver, SPACE, matches, 3)
    assert best(search(solver, matches, 50 if batch == 1 else 100, batch), matches) == 6


def test_twice_a_sweep_without_gain_proves_that_no_single_change_helps():
    solver = CoordinateSearch(SPACE)
    solver.rebase(archive_of(np.zeros((3, 2, 3), dtype=np.int64), paired))
    search(solver, paired, 2 * solver.sweep)
    proposal = solver.ask(1)
    assert proposal.details["since_improvement"] == 2 * solver.sweep
    np.testing.assert_array_equal(proposal.controls["reference"], np.zeros((1, 2, 3)))


def test_the_count_begins_again_with_a_better_grid():
    solver = CoordinateSearch(SPACE)
    start(solver, SPACE, matches, 3)
    proposals = search(solver, matches, 40)
    gains = np.diff([matches(each.controls["reference"])[0] for each in proposals]) > 0
    counts = np.array([each.details["since_improvement"] for each in proposals])
    assert (counts[1:][gains] == 0).all()
    assert (np.diff(counts)[~gains] == 1).all()


def test_a_resumed_run_goes_on_alike_though_it_tells_all_in_one():
    original, resumed = CoordinateSearch(SPACE), CoordinateSearch(SPACE)
    start(original, SPACE, matches, 3)
    start(resumed, SPACE, matches, 3)
    told = as_one(search(original, matches, 30, batch=3))
    resumed.tell(told, answers(told, matches))
    assert_same(original.ask(4), resumed.ask(4))


def target_of(z):
    return TargetImage(Mosaic(), Criterion([PixelDistance(1.0)]), Mosaic().decode(z))


def test_codes_of_a_target_are_found_from_any_start():
    problem = target_of(np.array([[[3, 0], [1, 2]]]))
    found = invert(
        problem,
        CoordinateSearch(MOSAIC_SPACE),
        starts=np.zeros((1, 2, 2), dtype=np.int64),
        evaluations=200,
    )
    assert found.reached.all()
    np.testing.assert_array_equal(found.z[0], [[3, 0], [1, 2]])


def test_encoding_is_the_start_and_may_be_enough():
    problem = target_of(np.array([[[3, 0], [1, 2]]]))
    solver = CoordinateSearch(MOSAIC_SPACE)
    found = invert(problem, solver, starts=problem.encoded(), evaluations=200)
    assert found.reached.all()
    assert len(found.curve) == 1


def test_the_exact_optima_of_a_fitted_surrogate_hold_the_codes():
    """The criterion adds up over cells, so that trees of 60 grids can tell the best of all 256."""
    wanted = np.array([[3, 0], [1, 2]])
    problem = target_of(wanted[None])
    starts = MOSAIC_SPACE.sample(100, np.random.default_rng(0))
    starts = starts[(starts != wanted).any(axis=(1, 2))][:60]
    solver = SurrogateSolver(
        MOSAIC_SPACE,
        LightGBM(MOSAIC_SPACE.categories, trees=100, min_samples_leaf=1),
        free_cells=FreeCells(4),
        optima=5,
    )
    found = invert(problem, solver, starts=starts, evaluations=65, batch=5, tolerance=1e-9)
    assert found.reached.all()
    np.testing.assert_array_equal(found.z[0], wanted)
