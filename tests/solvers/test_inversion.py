import numpy as np
import pytest
from linear_images import LinearImages, nearest, pixel_problem, targets
from toys import SPACE as MOSAIC_SPACE
from toys import Mosaic, WeightedGrey

from solvers.cma_es import CMAES
from solvers.gradient import LBFGS
from solvers.inversion import invert
from solvers.local_search import LocalSearch
from solvers.random_search import RandomLatents
from vqlso.errors import SolverError
from vqlso.objectives.criteria import Criterion, Realism
from vqlso.problems.image_score import ImageScore
from vqlso.problems.target_image import TargetImage
from vqlso.problems.target_pictures import drawn_targets


def test_a_reconstruction_is_reached_and_ends_the_search():
    images, z = drawn_targets(LinearImages(), 1)
    problem = pixel_problem(images)
    found = invert(problem, LBFGS(problem), tolerance=1e-8, evaluations=500)
    assert found.reached.tolist() == [True]
    assert found.value[0] >= -1e-8
    assert len(found.curve) < 100
    np.testing.assert_allclose(found.z, z, atol=0.02)
    # The start is scored, but not differentiated.
    assert found.gradients == len(found.curve) - 2


def test_the_best_so_far_is_returned_with_a_flag():
    problem = pixel_problem(targets())
    found = invert(problem, RandomLatents(problem.space), evaluations=50, tolerance=1e-3)
    assert found.reached.tolist() == [False]
    assert found.curve.shape == (50, 1)
    assert (np.diff(found.curve[:, 0]) >= 0).all()
    assert found.curve[-1] == found.value
    again = -((2 * (problem.generator.decode(found.z) - targets())) ** 2).mean()
    assert found.value[0] == pytest.approx(again.item(), rel=1e-6)
    assert found.gradients == 0


def test_lbfgs_is_nearer_than_any_search_without_gradients():
    problem = pixel_problem(targets())
    optimum = nearest(problem.generator, targets())[1]
    gap = {
        name: float((optimum - invert(problem, solver, evaluations=200).value)[0])
        for name, solver in {
            "lbfgs": LBFGS(problem, evaluations=200),
            "local": LocalSearch(problem.space, adapts=True),
            "random": RandomLatents(problem.space),
        }.items()
    }
    assert gap["lbfgs"] < 1e-6 < gap["local"] < gap["random"]


def test_a_gradient_method_takes_many_targets():
    wanted = targets(3)
    problem = pixel_problem(wanted)
    found = invert(problem, LBFGS(problem, evaluations=300), evaluations=300, batch=6)
    optimum = nearest(problem.generator, wanted)
    np.testing.assert_allclose(found.value, optimum[1], rtol=1e-5)
    np.testing.assert_allclose(found.z, optimum[0], atol=1e-3)
    assert found.curve.shape == (300, 3)


def test_any_other_method_takes_one_solver_for_each_target():
    """Each finds what it finds alone; images are made in common batches."""
    wanted = targets(2)
    problem = pixel_problem(wanted)
    starts = problem.space.sample(2, np.random.default_rng(0))
    found = invert(
        problem,
        [LocalSearch(problem.space, seed=seed) for seed in range(2)],
        evaluations=41,
        starts=starts,
        batch=3,
    )
    assert found.curve.shape == (41, 2)
    together = invert(
        problem,
        [LocalSearch(problem.space, seed=seed) for seed in range(2)],
        evaluations=40,
        starts=starts,
    )
    for target in range(2):
        alone = invert(
            pixel_problem(wanted[target : target + 1]),
            LocalSearch(problem.space, seed=target),
            evaluations=20,
            starts=starts[target : target + 1],
        )
        np.testing.assert_array_equal(together.z[target], alone.z[0])


def test_solvers_that_cannot_tell_targets_apart_are_refused():
    problem = pixel_problem(targets(2))
    with pytest.raises(SolverError, match="1 solvers were given for 2 targets"):
        invert(problem, LocalSearch(problem.space))
    with pytest.raises(SolverError, match="0 solvers"):
        invert(problem, [])


def test_the_budget_holds_the_starts_too():
    problem = pixel_problem(targets())
    pytest.importorskip("cmaes")
    starts = problem.space.sample(10, np.random.default_rng(0))
    found = invert(problem, CMAES(problem.space), starts=starts, evaluations=25, batch=4)
    assert len(found.curve) == 25
    with pytest.raises(SolverError, match=r"10 starts .* 9 evaluations"):
        invert(problem, RandomLatents(problem.space), starts=starts, evaluations=9)


def test_scores_of_images_are_maximised_alike():
    problem = ImageScore(Mosaic(), WeightedGrey())
    found = invert(problem, RandomLatents(MOSAIC_SPACE), evaluations=1000, tolerance=-6, batch=50)
    # The optimum: all white, but black where the weight is negative.
    assert found.value[0] == pytest.approx(6)
    assert found.z[0].tolist() == [[3, 3], [3, 0]]
    assert found.reached.all()


def test_starts_that_cannot_be_scored_are_refused():
    def broken(pixels):
        raise RuntimeError("no weights")

    problem = TargetImage(LinearImages(), Criterion([Realism(broken)]), targets())
    with pytest.raises(SolverError, match="RuntimeError: no weights"):
        invert(problem, RandomLatents(problem.space))
