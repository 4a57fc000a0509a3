"""What is special to the engines that are no oracle and no HiGHS; the rest is in the suites."""

import subprocess
import sys
import threading

import numpy as np
import pytest
from random_ensembles import mixed_ensemble, neighbourhood, random_ensemble

from solvers.trees import (
    Continuous,
    DistanceTerm,
    Equal,
    Forbidden,
    HammingBall,
    InfeasibleError,
    Limits,
    Linear,
    PairTerm,
    UnsupportedError,
    maximize,
)
from solvers.trees.backends.whole_numbers import PRECISION, Scale, whole_row
from solvers.trees.instance import Instance
from solvers.trees.reduction import reduce
from solvers.trees.side_model import Row
from vqlso.records import SolveStatus

pytest.importorskip("ortools")
pytest.importorskip("pyscipopt")
pytest.importorskip("pytoulbar2")

EXACT = ("cpsat", "scip", "toulbar2")
exact = pytest.mark.parametrize("name", EXACT)
REFERENCE = np.zeros(4, dtype=int)
CENTRES = np.array([[0.0, 1, 2, 3], [3, 3, 0, 0], [1, 1, 1, 2]])


def brute_force(ensemble, terms, constraints):
    """The best objective of any point, from the definitions; None if none is feasible."""
    instance = Instance.checked(
        ensemble, np.arange(4), REFERENCE, terms=terms, constraints=constraints
    )
    everything = neighbourhood(ensemble, np.arange(4), REFERENCE).astype(float)
    return max(
        (
            instance.objective(z, prediction)
            for z, prediction in zip(everything, ensemble.predict(everything), strict=True)
            if instance.violation(z) == 0
        ),
        default=None,
    )


def sides(seed):
    """Terms and constraints of every kind, by turns."""
    rng = np.random.default_rng(seed)
    return (
        ([PairTerm(0, 2, rng.normal(size=(4, 4)))], []),
        ([DistanceTerm(CENTRES, -0.6)], []),
        ([], [HammingBall(CENTRES, 1)]),
        ([], [HammingBall(CENTRES[0], 2), Forbidden({0: 0, 1: 1})]),
        ([], [Equal(0, 1), Linear({2: rng.integers(-3, 4, 4), 3: np.arange(4)}, lower=1)]),
        ([], [Linear({f: rng.normal(size=4) for f in range(4)}, lower=-0.5, upper=0.5)]),
    )


@exact
@pytest.mark.parametrize("kind", range(6))
def test_terms_and_constraints_equal_brute_force(name, kind):
    for seed in range(2 if name == "cpsat" else 10):
        terms, constraints = sides(seed)[kind]
        ensemble = random_ensemble(seed, trees=12, depth=1 + seed % 3)
        best = brute_force(ensemble, terms, constraints)
        arguments = {
            "free": range(4),
            "reference": REFERENCE,
            "terms": terms,
            "constraints": constraints,
            "backend": name,
        }
        if best is None:
            with pytest.raises(InfeasibleError):
                maximize(ensemble, **arguments)
            continue
        optimum = maximize(ensemble, **arguments)
        assert optimum.value == pytest.approx(best, abs=1e-8)
        assert optimum.status is SolveStatus.OPTIMAL
        assert optimum.bound == pytest.approx(best, abs=1e-7)


@pytest.mark.parametrize("name", ["cpsat", "scip"])
def test_seeking_distance_equals_brute_force(name):
    terms = [DistanceTerm(CENTRES, 0.6)]
    ensemble = random_ensemble(3, trees=12)
    optimum = maximize(ensemble, free=range(4), reference=REFERENCE, terms=terms, backend=name)
    assert optimum.value == pytest.approx(brute_force(ensemble, terms, []), abs=1e-8)


@exact
def test_the_k_best_are_the_k_best(name):
    ensemble = random_ensemble(5, trees=12)
    optimum = maximize(ensemble, free=range(4), reference=REFERENCE, k=4, backend=name)
    everything = neighbourhood(ensemble, np.arange(4), REFERENCE)
    best = np.sort(ensemble.predict(everything))[::-1][:4]
    assert [s.value for s in optimum.solutions] == pytest.approx(best, abs=1e-8)


def test_cpsat_names_what_it_cannot_do():
    with pytest.raises(UnsupportedError, match="limit of memory"):
        maximize(
            random_ensemble(5),
            free=[0],
            reference=REFERENCE,
            backend="cpsat",
            limits=Limits(megabytes=100),
        )


@pytest.mark.parametrize("seconds", [1e-9, 0.02])
def test_cpsat_stopped_before_it_began_claims_no_bound_that_is_none(seconds):
    """It reports a bound of 0 then, here below the optimum in its own terms."""
    ensemble = random_ensemble(11, cells=8, trees=150, depth=3)
    free, reference = np.arange(8), np.zeros(8, dtype=int)
    limits = Limits(seconds=seconds)
    optimum = maximize(ensemble, free=free, reference=reference, backend="cpsat", limits=limits)
    best = ensemble.predict(neighbourhood(ensemble, free, reference)).max()
    assert optimum.bound >= best - 1e-9


def test_toulbar2_names_what_it_cannot_express():
    from solvers.trees.backends.toulbar2 import Toulbar2Backend

    arguments = {"free": range(4), "reference": REFERENCE, "backend": "toulbar2"}
    ensemble = random_ensemble(5, trees=12)
    with pytest.raises(UnsupportedError, match="seek distance"):
        maximize(ensemble, terms=[DistanceTerm(CENTRES, 1.0)], **arguments)
    with pytest.raises(UnsupportedError, match="limit of memory"):
        maximize(ensemble, limits=Limits(megabytes=100), **arguments)
    with pytest.raises(UnsupportedError, match="more than 10 entries"):
        maximize(ensemble, **{**arguments, "backend": Toulbar2Backend(most_entries=10)})
    with pytest.raises(UnsupportedError, match=r"depends on \d free features"):
        maximize(random_ensemble(0, trees=40, depth=5), **arguments)


@pytest.mark.parametrize("name", ["cpsat", "toulbar2", "greedy"])
def test_numbers_within_intervals_are_refused(name):
    features = (Continuous(0.0, 1.0), Continuous(0.0, 1.0))
    ensemble = mixed_ensemble(1, features=features)
    with pytest.raises(UnsupportedError, match="numbers within intervals"):
        maximize(
            ensemble,
            free=[0, 1],
            reference=[0.5, 0.5],
            constraints=[Linear({0: 1.0, 1: 1.0}, upper=1.2)],
            backend=name,
        )


def test_toulbar2_in_another_thread_says_so():
    maximize(random_ensemble(0), free=[0], reference=REFERENCE, backend="toulbar2")
    caught = []

    def solve():
        try:
            maximize(random_ensemble(0), free=[0, 1], reference=REFERENCE, backend="toulbar2")
        except UnsupportedError as error:
            caught.append(str(error))

    thread = threading.Thread(target=solve)
    thread.start()
    thread.join()
    assert caught
    assert "thread" in caught[0]


@pytest.mark.parametrize("order", [("cpsat", "highs"), ("highs", "cpsat")])
def test_cpsat_and_highs_work_in_one_process(order):
    """Their packages do not: each brings its own libhighs."""
    program = (
        "import lightgbm, numpy\n"
        "from solvers.trees import TreeEnsemble, maximize\n"
        "z = numpy.random.default_rng(0).integers(0, 4, (200, 2))\n"
        "data = lightgbm.Dataset(z.astype(float), z[:, 0] * z[:, 1])\n"
        "booster = lightgbm.train({'verbosity': -1, 'num_threads': 1}, data, 5)\n"
        "e = TreeEnsemble.from_lightgbm(booster, categories=4)\n"
        f"for name in {order}:\n"
        "    print(maximize(e, free=[0, 1], reference=[0, 0], backend=name).z.tolist())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n")[:2] == ["[3, 3]", "[3, 3]"]


def test_greedy_finds_feasible_points_and_claims_no_proof():
    ensemble = random_ensemble(5, trees=30)
    constraints = [Equal(0, 1), Forbidden({2: 0})]
    optimum = maximize(
        ensemble,
        free=range(4),
        reference=REFERENCE,
        constraints=constraints,
        k=3,
        backend="greedy",
    )
    best = brute_force(ensemble, [], constraints)
    assert optimum.status is SolveStatus.UNPROVEN
    assert optimum.value <= best + 1e-9 <= optimum.bound + 2e-9
    assert len({tuple(s.z) for s in optimum.solutions}) == 3
    for solution in optimum.solutions:
        assert solution.z[0] == solution.z[1]
        assert solution.z[2] != 0


def test_greedy_ends_where_no_single_cell_improves():
    ensemble = random_ensemble(9, cells=6, trees=80, depth=3)
    reference = np.zeros(6, dtype=int)
    optimum = maximize(ensemble, free=range(6), reference=reference, backend="greedy")
    for cell in range(6):
        neighbours = neighbourhood(ensemble, [cell], optimum.z)
        assert ensemble.predict(neighbours).max() <= optimum.value + 1e-9


def test_rounding_up_is_never_below_and_never_far_above():
    rng = np.random.default_rng(0)
    terms = rng.uniform(-1, 1, 500)
    scale = Scale.of(len(terms))
    total = int(scale.up(terms).sum())
    exact = sum(map(int, (terms * 2**60).tolist())) / 2**60
    assert exact - 1e-12 <= total / scale.units <= exact + PRECISION + 1e-12


def test_a_row_in_whole_numbers_keeps_what_floats_would_lose():
    weights = {0: np.array([0.1, 0.2]), 1: np.array([0.2, 0.7])}
    row = whole_row(Row("sum", weights, {}, -np.inf, 0.3))
    assert row.upper is not None
    sums = {(i, j): row.weights[0][i] + row.weights[1][j] for i in (0, 1) for j in (0, 1)}
    assert sums[0, 0] <= row.upper, "0.1 + 0.2 exceeds 0.3 by rounding only"
    assert all(sums[pair] > row.upper for pair in [(0, 1), (1, 0), (1, 1)])


def test_whole_rows_are_not_scaled():
    row = whole_row(Row("count", {0: np.array([0.0, 2.0, 1.0])}, {}, 1.0, 1.0))
    assert (row.weights[0].tolist(), row.lower, row.upper) == ([0, 2, 1], 1, 1)


def test_sizes_beyond_whole_numbers_are_refused():
    with pytest.raises(UnsupportedError, match="too much in size"):
        whole_row(Row("wide", {0: np.array([1e12, 0.1])}, {}, -np.inf, 1.0))


def test_cpsat_stops_at_a_conflict_limit_with_the_same_answer_each_time():
    ensemble = random_ensemble(12, cells=8, categories=5, trees=150, depth=3)
    reduced = reduce(Instance.checked(ensemble, np.arange(8), np.zeros(8, dtype=int)))
    answers = [
        maximize(
            ensemble,
            free=range(8),
            reference=np.zeros(8, dtype=int),
            backend="cpsat",
            limits=Limits(nodes=20),
        )
        for _ in range(2)
    ]
    assert answers[0].bound == answers[1].bound <= reduced.upper_bound() + 1e-9
    assert (answers[0].z == answers[1].z).all()
