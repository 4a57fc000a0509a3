"""The k best, the lowest, and what is known before, against brute force."""

import signal
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import strategies as st
from oracle import (
    CONSTRAINTS,
    TERMS,
    Sides,
    assert_best,
    drawn,
    every_backend,
    everything,
    examples,
    supported,
)
from random_ensembles import random_ensemble

from solvers.trees import Forbidden, HammingBall, Limits, Linear, LinearTerm, maximize, minimize
from solvers.trees.transforms import OutputTransform
from vqlso.errors import SolverError
from vqlso.records import SolveStatus

REFERENCE = [0, 1, 2, 0]


def instance(seed, t):
    ensemble = random_ensemble(seed, categories=3)
    rng = np.random.default_rng(seed + 1)
    return ensemble, rng.permutation(4)[:t], rng.integers(0, 3, 4), rng


@every_backend
@pytest.mark.parametrize("k", [1, 2, 5, 100])
@pytest.mark.parametrize("lowest", [False, True], ids=["highest", "lowest"])
def test_the_k_best_equal_brute_force(name, k, lowest):
    t = 2 if k == 100 else 3

    @examples(name, seed=st.integers(0, 10_000), bare=st.booleans())
    def check(seed, bare):
        ensemble, free, reference, rng = instance(seed, t)
        terms = [] if bare else [sorted(TERMS)[seed % len(TERMS)]]
        constraints = [] if bare else [sorted(CONSTRAINTS)[seed % len(CONSTRAINTS)]]
        sides = drawn(rng, ensemble.features, terms, constraints)
        found = assert_best(name, ensemble, free, reference, sides, k=k, lowest=lowest)
        if found is not None and k == 100 and found.status is SolveStatus.OPTIMAL:
            count = len(everything(ensemble, free, reference, sides)[0])
            assert len(found.solutions) == count, "all points, if there are fewer than k"


@pytest.mark.parametrize("k", [0, -1])
def test_nothing_can_not_be_asked_for(k):
    with pytest.raises(SolverError, match="At least one solution"):
        maximize(random_ensemble(0, categories=3), free=[0], reference=REFERENCE, k=k)


@every_backend
def test_an_incumbent_never_makes_it_worse(name):
    @examples(
        name,
        seed=st.integers(0, 10_000),
        rank=st.integers(0, 30),
        limited=st.booleans(),
        k=st.sampled_from([1, 3]),
    )
    def check(seed, rank, limited, k):
        ensemble, free, reference, rng = instance(seed, 3)
        sides = drawn(rng, ensemble.features, ["pair"], ["linear"])
        z, objectives = everything(ensemble, free, reference, sides)
        if not len(z):
            return
        rank = min(rank, len(z) - 1)
        found = supported(
            name,
            maximize,
            ensemble,
            free=free,
            reference=reference,
            terms=sides.terms,
            constraints=sides.constraints,
            incumbent=z[rank],
            k=k,
            limits=Limits(nodes=0) if limited else Limits(),
        )
        if found is None:
            return
        assert objectives[rank] - 1e-9 <= found.value <= objectives[0] + 1e-9
        assert found.bound >= objectives[0] - 1e-9
        points = np.array([solution.z for solution in found.solutions])
        assert len(np.unique(points, axis=0)) == len(points)
        values = [solution.value for solution in found.solutions]
        assert values == sorted(values, reverse=True)
        if not limited and found.status is not SolveStatus.UNPROVEN:
            assert values == pytest.approx(objectives[:k].tolist())


def test_a_limit_of_toulbar2_ends_with_its_solve():
    """Its timer belongs to the process: left running, it would end somebody else's solve."""
    pytest.importorskip("pytoulbar2")
    ensemble, free, reference, _ = instance(5, 3)
    maximize(
        ensemble, free=free, reference=reference, backend="toulbar2", limits=Limits(seconds=60)
    )
    assert signal.getitimer(signal.ITIMER_VIRTUAL) == (0.0, 0.0)


@pytest.mark.parametrize("seed", [72, 646, 1283, 1851])
def test_what_scip_10_cut_off_by_probing(seed):
    pytest.importorskip("pyscipopt")
    ensemble, free, reference, rng = instance(seed, 3)
    sides = drawn(rng, ensemble.features, ["pair"], ["linear"])
    _, objectives = everything(ensemble, free, reference, sides)
    found = maximize(
        ensemble,
        free=free,
        reference=reference,
        terms=sides.terms,
        constraints=sides.constraints,
        k=3,
        backend="scip",
    )
    values = [solution.value for solution in found.solutions]
    assert values == pytest.approx(objectives[:3].tolist())


@pytest.mark.parametrize(
    ("incumbent", "message"),
    [
        ([0, 1, 2], "no point of the instance"),
        ([1, 1, 2, 1], "no point of the instance"),
        ([0, 3, 2, 0], "no point of the instance"),
        ([0, 0.5, 2, 0], "no point of the instance"),
        ([0, np.nan, 2, 0], "no point of the instance"),
        ([0, 2, 2, 0], "no point of the instance"),
        ([0, 0, 1, 0], "misses a constraint"),
    ],
    ids=["shape", "fixed", "code", "fraction", "missing", "not allowed", "constraint"],
)
def test_wrong_incumbents_are_refused(incumbent, message):
    with pytest.raises(SolverError, match=message):
        maximize(
            random_ensemble(0, categories=3),
            free=[1, 2],
            reference=REFERENCE,
            allowed={1: [0, 1]},
            constraints=[Forbidden({1: 0, 2: 1})],
            incumbent=incumbent,
        )


@every_backend
@pytest.mark.parametrize("shape", ["sigmoid", "exponential", "signed_square", "softplus"])
@pytest.mark.parametrize("lowest", [False, True], ids=["highest", "lowest"])
def test_transformed_predictions_are_claimed_on_their_own_scale(name, shape, lowest):
    @examples(name, seed=st.integers(0, 10_000), k=st.integers(1, 3))
    def check(seed, k):
        ensemble, free, reference, _ = instance(seed, 2)
        ensemble = replace(ensemble, transform=OutputTransform(shape))
        found = assert_best(name, ensemble, free, reference, Sides(), k=k, lowest=lowest)
        if found is not None and found.status is SolveStatus.OPTIMAL:
            sums = ensemble.untransformed()
            solve = minimize if lowest else maximize
            raw = solve(sums, free=free, reference=reference, backend="enumeration")
            assert found.value == pytest.approx(float(ensemble.transform(raw.value)), rel=1e-9)
            assert found.gap == pytest.approx(0, abs=1e-6 * max(1, abs(found.value)))
            assert (found.value >= found.bound) if lowest else (found.value <= found.bound)


@every_backend
def test_limits_leave_a_valid_bound_below_the_lowest(name):
    ensemble = random_ensemble(11, cells=6, categories=4, trees=80, depth=3)
    ensemble = replace(ensemble, transform=OutputTransform("exponential"))
    free, reference = np.arange(6), np.zeros(6, dtype=int)
    _, objectives = everything(ensemble, free, reference, Sides())
    found = supported(
        name, minimize, ensemble, free=free, reference=reference, limits=Limits(nodes=0)
    )
    if found is not None:
        assert found.bound <= objectives[-1] * (1 + 1e-9)
        assert found.value >= objectives[-1] * (1 - 1e-9)
        assert found.bound <= found.value


@every_backend
def test_a_limit_within_the_k_best_proves_nothing(name):
    """What was found before the limit stays, in order."""
    ensemble = random_ensemble(11, cells=6, categories=4, trees=80, depth=3)
    free, reference = np.arange(6), np.zeros(6, dtype=int)
    _, objectives = everything(ensemble, free, reference, Sides())
    found = supported(
        name, maximize, ensemble, free=free, reference=reference, k=5, limits=Limits(nodes=1)
    )
    if found is None:
        return
    values = np.array([solution.value for solution in found.solutions])
    assert (np.diff(values) <= 1e-9).all()
    assert (values <= objectives[: len(values)] + 1e-9).all()
    assert found.bound >= objectives[0] - 1e-6
    if found.status is SolveStatus.OPTIMAL:
        assert values == pytest.approx(objectives[:5])


def test_highs_does_not_lose_the_optimum_next_to_its_start():
    """The presolve of HiGHS 1.15.1 did, given the reference as a solution to start from."""
    flat = random_ensemble(0, trees=1, depth=0, categories=3)
    worth = LinearTerm(
        {
            0: [-1.77, -0.01, -1.81],
            1: [0.93, 2.79, 1.9],
            2: [-1.01, 1.97, -0.69],
            3: [0.12, 2.5, -0.66],
        }
    )
    near = np.array([2, 0, 0, 1])
    data = np.array([[2, 1, 0, 0], [2, 1, 0, 1], [2, 1, 1, 1]])
    sides = Sides(
        [worth],
        [HammingBall(near, 2), HammingBall(data, 3)],
        [lambda z: sum(table[int(z[cell])] for cell, table in worth.coefficients.items())],
        [lambda z: (z != near).sum() <= 2, lambda z: (z != data).sum(axis=1).min() <= 3],
    )
    found = assert_best("highs", flat, [0, 1, 2, 3], [2, 2, 1, 1], sides)
    assert found.z.tolist() == [2, 1, 1, 1]


def test_cpsat_does_not_lose_the_optimum_in_its_presolve():
    """OR-Tools 9.15.6755 did where it merged clauses into the linear row."""
    ensemble, free, reference, rng = instance(8102, 3)
    sides = drawn(rng, ensemble.features, ["pair"], ["linear"])
    assert_best("cpsat", ensemble, free, reference, sides)


def test_solutions_with_terms_minimise_the_sum():
    ensemble, free, reference, rng = instance(9, 4)
    sides = drawn(rng, ensemble.features, ["linear", "near"], ["one ball"])
    assert_best("highs", ensemble, free, reference, sides, k=3, lowest=True)


def test_ties_between_the_start_and_the_best_repeat_no_point():
    """All points are equal: the reference must not be listed twice."""
    ensemble = random_ensemble(0, trees=1, depth=0, categories=3)
    constraints = [HammingBall(np.array(REFERENCE), 2), Linear({0: 1.0}, upper=1.0)]
    found = maximize(ensemble, free=[0, 1], reference=REFERENCE, constraints=constraints, k=20)
    points = {tuple(solution.z.tolist()) for solution in found.solutions}
    assert len(points) == len(found.solutions) == 6
