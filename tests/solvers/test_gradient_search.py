from dataclasses import replace

import numpy as np
import pytest
import torch
from linear_images import LinearImages, nearest, pixel_problem, targets
from searching import as_one

from solvers.gradient import LBFGS, Adam, GradientSearch, Nesterov, value_and_gradient
from solvers.sphere_search import SphereSearch
from solvers.testing import assert_same
from vqlso.archive import Archive
from vqlso.errors import SolverError
from vqlso.records import Context

HERE = Context(seed=0, round=0)
ALL = {
    "adam": lambda problem, **more: Adam(problem, steps=[0.3], **more),
    "nesterov": lambda problem, **more: Nesterov(problem, steps=[3.0], **more),
    "lbfgs": LBFGS,
}


def scored_samples(problem, n=4, seed=0):
    z = problem.space.sample(n, np.random.default_rng(seed))
    values = problem.value(torch.from_numpy(z)).numpy()
    return Archive(np.zeros((n, 3, 4, 4), np.uint8), values, z, problem.version)


def started(solver, problem):
    solver.rebase(scored_samples(problem))
    return solver


def run(solver, problem, evaluations, batch=1):
    proposals = []
    for _ in range(evaluations // batch):
        proposal = solver.ask(batch)
        solver.tell(proposal, problem.evaluate(proposal, HERE))
        proposals.append(proposal)
    return proposals


def best_values(proposals, problem):
    """(targets,) by the id's target."""
    z = np.concatenate([each.z for each in proposals])
    ids = np.concatenate([each.ids for each in proposals])
    by_target = []
    for target in range(problem.targets):
        alone = replace(problem, wanted=problem.wanted[target : target + 1])
        rows = torch.from_numpy(z[ids % problem.targets == target])
        by_target.append(alone.value(rows).max().item())
    return np.array(by_target)


@pytest.mark.parametrize("name", ALL)
def test_the_closed_form_is_reached(name):
    problem = pixel_problem(targets())
    solver = started(ALL[name](problem, evaluations=300), problem)
    reached = best_values(run(solver, problem, 300), problem)
    np.testing.assert_allclose(reached, nearest(problem.generator, targets())[1], rtol=1e-6)


@pytest.mark.parametrize("name", ALL)
def test_many_targets_are_reached_in_common_batches(name):
    problem = pixel_problem(targets(3))
    solver = started(ALL[name](problem, evaluations=900), problem)
    proposals = run(solver, problem, 900, batch=4)
    expected = nearest(problem.generator, targets(3))[1]
    np.testing.assert_allclose(best_values(proposals, problem), expected, rtol=1e-6)


def test_all_chains_are_evaluated_in_one_batch():
    problem = pixel_problem(targets(2))
    sizes = []

    class Counting:
        space, version, targets = problem.space, problem.version, problem.targets

        def value(self, z):
            sizes.append(len(z))
            return problem.value(z)

    solver = started(Adam(Counting(), steps=[0.1, 1.0], starts=3), problem)
    run(solver, problem, 30)
    assert sizes == [12, 12]


def test_the_grid_of_steps_starts_from_one_point():
    problem = pixel_problem(targets())
    solver = started(Adam(problem, steps=[0.1, 1.0], starts=2), problem)
    first, second = solver.ask(4).z, solver.ask(4).z
    np.testing.assert_array_equal(first[0], first[1])
    np.testing.assert_array_equal(first[2], first[3])
    assert not np.array_equal(first[0], first[2])
    # Adam's first step has the length of its step in every coordinate.
    np.testing.assert_allclose(np.abs(second - first).mean(axis=1), [0.1, 1.0] * 2, rtol=1e-4)


def test_gradients_are_counted_apart_from_images():
    problem = pixel_problem(targets())
    solver = started(LBFGS(problem), problem)
    counts = [each.details["gradients"] for each in run(solver, problem, 5)]
    assert counts == [0, 1, 2, 3, 4]


def test_starts_are_samples_or_the_best_of_training():
    problem = pixel_problem(targets(2))
    archive = scored_samples(problem, 6)
    best = Adam(problem, start="best")
    best.rebase(archive)
    scores = archive.scores
    expected = [max((0, 2, 4), key=scores.__getitem__), max((1, 3, 5), key=scores.__getitem__)]
    np.testing.assert_array_equal(best.ask(2).z, archive.latents("turned 0")[expected])
    drawn = Adam(problem)
    drawn.rebase(archive)
    known = archive.latents("turned 0")
    assert not any((known == z).all(axis=1).any() for z in drawn.ask(2).z)


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("batch", [1, 3])
def test_a_resumed_run_computes_its_path_again(name, batch):
    problem = pixel_problem(targets(2))
    original = started(ALL[name](problem, evaluations=60), problem)
    resumed = started(ALL[name](problem, evaluations=60), problem)
    told = as_one(run(original, problem, 42, batch))
    resumed.tell(told, problem.evaluate(told, HERE))
    first, second = original.ask(5), resumed.ask(5)
    assert_same(first, second)
    assert first.details == second.details


def test_a_solver_must_follow_the_retrained_generator():
    problem = pixel_problem(targets())
    moved = problem.moved_to(LinearImages(turn=1))
    solver = started(LBFGS(problem), problem)
    run(solver, problem, 7)
    solver.rebase(scored_samples(moved))
    with pytest.raises(SolverError, match=r"turned 1.*turned 0: call follow"):
        solver.ask(1)
    solver.follow(moved)
    solver.rebase(scored_samples(moved))
    proposals = run(solver, moved, 100)
    assert proposals[0].ids.tolist() == [8]
    expected = nearest(LinearImages(turn=1), targets())[1]
    np.testing.assert_allclose(best_values(proposals, moved), expected, rtol=1e-6)


def test_the_sphere_is_kept_through_ask_and_tell():
    problem = pixel_problem(targets())
    solver = started(SphereSearch(problem), problem)
    proposals = run(solver, problem, 100)
    norms = [np.linalg.norm(each.z) for each in proposals]
    np.testing.assert_allclose(norms, norms[0], rtol=1e-12)
    values = problem.value(torch.from_numpy(np.concatenate([each.z for each in proposals])))
    assert values.max() > values[0]


def test_values_and_gradients_are_those_of_the_problem():
    problem = pixel_problem(targets(2))
    z = problem.space.sample(4, np.random.default_rng(0))
    values, gradients = value_and_gradient(problem, z)
    np.testing.assert_array_equal(values, problem.value(torch.from_numpy(z)).numpy())
    step = 1e-5
    for axis in range(z.shape[1]):
        moved = z.copy()
        moved[:, axis] += step
        slopes = (problem.value(torch.from_numpy(moved)).numpy() - values) / step
        np.testing.assert_allclose(gradients[:, axis], slopes, atol=1e-6)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"steps": []}, "positive steps"),
        ({"steps": [0.0]}, "positive steps"),
        ({"steps": [float("nan")]}, "positive steps"),
        ({"starts": 0}, "at least one start"),
        ({"start": "zero"}, "'prior' or from 'best'"),
    ],
)
def test_settings_out_of_range_are_refused(settings, message):
    with pytest.raises(SolverError, match=message):
        LBFGS(pixel_problem(targets()), **settings)


def test_all_of_them_are_one_search():
    problem = pixel_problem(targets())
    for solver in (Adam(problem), Nesterov(problem), LBFGS(problem), SphereSearch(problem)):
        assert isinstance(solver, GradientSearch)
        assert solver.chains == 1
