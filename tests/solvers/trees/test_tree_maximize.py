import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from random_ensembles import neighbourhood, random_ensemble

from solvers.trees import (
    BackendResult,
    Categorical,
    Forbidden,
    HammingBall,
    Limits,
    Linear,
    Task,
    maximize,
    replay,
)
from solvers.trees.backends.enumeration import EnumerationBackend
from solvers.trees.instance import Instance
from vqlso.errors import SolverError, VerificationError
from vqlso.records import SolveStatus

REFERENCE = [0, 1, 2, 3]


class Lying:
    """An enumeration whose answer is changed before it is handed on."""

    def __init__(self, **changes):
        self.changes = changes

    def solve(self, task):
        truth = EnumerationBackend().solve(task)
        return replace(truth, **{name: change(truth) for name, change in self.changes.items()})


def no_points(truth):
    return truth.points[:0]


@pytest.fixture
def ensemble():
    return random_ensemble(7, trees=20, categories=5)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"values": lambda truth: truth.values + 1e-3}, "at a point whose objective is"),
        ({"values": lambda truth: truth.values * np.nan}, "at a point whose objective is"),
        ({"bound": lambda truth: truth.values[0] - 1e-3}, "nothing exceeds"),
        ({"bound": lambda _: np.nan}, "nothing exceeds"),
        ({"bound": lambda truth: truth.values[0] + 1e-3}, "optimal under a bound"),
        ({"points": lambda truth: np.zeros_like(truth.points)}, "at a point whose objective is"),
        (
            {"values": lambda truth: truth.values + np.inf, "bound": lambda _: np.inf},
            "at a point whose objective is",
        ),
        ({"points": no_points, "values": lambda truth: truth.values[:0]}, "optimal under a bound"),
        ({"points": lambda truth: truth.points + 9}, "the features cannot take"),
        (
            {
                "points": lambda truth: np.repeat(truth.points, 2, axis=0),
                "values": lambda truth: np.repeat(truth.values, 2),
            },
            "the same point twice",
        ),
    ],
    ids=[
        "value",
        "NaN value",
        "low bound",
        "NaN bound",
        "high bound",
        "points",
        "infinite",
        "no points",
        "no codes",
        "repeated",
    ],
)
def test_a_lying_backend_is_caught_and_its_instance_replayed(ensemble, tmp_path, changes, message):
    with pytest.raises(VerificationError, match=message) as caught:
        maximize(
            ensemble,
            free=[0, 1, 2],
            reference=REFERENCE,
            backend=Lying(**changes),
            failures=tmp_path / "false_claims",
        )
    (saved,) = (tmp_path / "false_claims").iterdir()
    assert str(saved) in str(caught.value)
    assert "Lying" in str(caught.value)
    again = replay(saved, backend="enumeration")
    truth = maximize(ensemble, free=[0, 1, 2], reference=REFERENCE)
    assert again.value == pytest.approx(truth.value, rel=1e-12)
    assert again.status is SolveStatus.OPTIMAL


@pytest.mark.parametrize(
    "constraint",
    [Linear({0: 1.0}, upper=2.0), HammingBall(np.zeros(4), 1), Forbidden({0: 4})],
    ids=["linear", "ball", "forbidden"],
)
def test_a_point_that_misses_a_constraint_is_caught(ensemble, constraint):
    class Careless:
        def solve(self, task):
            free = Instance.checked(task.instance.ensemble, [0], task.instance.reference)
            best = EnumerationBackend().solve(Task(free, k=5))
            missing = [
                row
                for row, point in enumerate(best.points)
                if constraint.violation(free.point(point), free.features)
            ][:1]
            points, values = best.points[missing], best.values[missing]
            return replace(best, points=points, values=values, status=SolveStatus.FEASIBLE)

    with pytest.raises(VerificationError, match="misses a constraint"):
        maximize(
            ensemble,
            free=[0],
            reference=REFERENCE,
            constraints=[constraint],
            backend=Careless(),
        )


class WithoutPoints:
    """A limit struck before any solution."""

    def __init__(self, bound):
        self.bound = bound

    def solve(self, task):
        none = np.empty((0, len(task.instance.free)))
        return BackendResult(none, np.empty(0), self.bound, 1.0, SolveStatus.FEASIBLE, 0, 0.0)


def test_a_bound_below_the_reference_is_caught(ensemble):
    with pytest.raises(VerificationError, match="nothing exceeds"):
        maximize(ensemble, free=[0], reference=REFERENCE, backend=WithoutPoints(-100.0))


def test_without_any_solution_the_reference_is_returned(ensemble):
    maximum = maximize(
        ensemble, free=[0, 1], reference=REFERENCE, backend=WithoutPoints(np.inf), k=3
    )
    assert maximum.z.tolist() == REFERENCE
    assert maximum.value == ensemble.predict([REFERENCE])[0]
    assert maximum.status is SolveStatus.FEASIBLE
    assert maximum.bound == np.inf, "nothing is known, and nothing is made up"


def test_who_solved_it_is_said(ensemble):
    class Handing:
        def solve(self, task):
            result = EnumerationBackend().solve(task)
            return replace(result, solved_by="enumeration", note="smaller than expected")

    found = maximize(ensemble, free=[0], reference=REFERENCE, backend=Handing())
    assert (found.backend, found.note) == ("enumeration", "smaller than expected")
    found = maximize(ensemble, free=[0], reference=REFERENCE, backend=EnumerationBackend())
    assert (found.backend, found.note) == ("EnumerationBackend", "")


def test_replay_refuses_other_files(tmp_path):
    path = tmp_path / "text.npz"
    path.write_text("no instance")
    with pytest.raises(SolverError, match="holds no instance"):
        replay(path)
    with pytest.raises(SolverError, match="holds no instance"):
        replay(tmp_path / "missing.npz")


def test_codes_of_equal_prediction_keep_the_reference_else_the_preferred():
    ensemble = random_ensemble(7, trees=3, cells=2, categories=40)
    ensemble = replace(ensemble, threshold=np.full_like(ensemble.threshold, 19.5))
    ensemble = replace(ensemble, subset=np.full_like(ensemble.subset, -1))
    z = neighbourhood(ensemble, [0, 1], [0, 0])
    values = ensemble.predict(z)
    optimal = z[values == values.max()]
    assert 1 < len(optimal) < len(z), "the instance must leave a choice, and not every one"
    for row in optimal[:: max(1, len(optimal) // 10)]:
        kept = maximize(ensemble, free=[0, 1], reference=row, preference=np.ones((2, 40)))
        assert kept.z.tolist() == row.tolist()
    worst = z[values.argmin()]
    for row in optimal[:: max(1, len(optimal) // 10)]:
        preference = np.zeros((2, 40))
        preference[[0, 1], row] = 1.0
        found = maximize(ensemble, free=[0, 1], reference=worst, preference=preference)
        assert found.value == values.max()
        for cell in (0, 1):
            assert found.z[cell] in (worst[cell], row[cell])


def test_free_cells_count_from_the_ensemble_in_any_order(ensemble):
    one = maximize(ensemble, free=[2, 0], reference=REFERENCE)
    other = maximize(ensemble, free=(0, 2), reference=np.array(REFERENCE, dtype=np.int16))
    assert one.value == pytest.approx(other.value, rel=1e-12)


def test_cells_may_have_different_numbers_of_categories(ensemble):
    ensemble = ensemble.with_features([Categorical(K) for K in (2, 5, 3, 4)])
    maximum = maximize(ensemble, free=[0, 1, 2, 3], reference=[0, 0, 0, 0])
    best = ensemble.predict(neighbourhood(ensemble, [0, 1, 2, 3], [0, 0, 0, 0])).max()
    assert maximum.value == pytest.approx(best, rel=1e-9)
    assert (maximum.z < [2, 5, 3, 4]).all()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"free": []}, "at least one feature"),
        ({"free": [0, 1, 2, 3, 0]}, "5 features.* there are 4"),
        ({"free": [4]}, r"0\.\.3"),
        ({"free": [-1]}, r"0\.\.3"),
        ({"free": [1, 1]}, "repeat"),
        ({"free": [[0, 1]]}, "numbers of at least one feature"),
        ({"free": [0.5]}, "float64"),
        ({"reference": [0, 1, 2]}, "one number or code per feature"),
        ({"reference": [[0, 1], [2, 3]]}, "Flatten"),
        ({"reference": [0.0, 1.0, 2.5, 3.0]}, "feature 2 is 2.5"),
        ({"reference": [0, 1, 2, np.inf]}, "infinite at feature 3"),
        ({"reference": ["a", "b", "c", "d"]}, "numbers or codes"),
        ({"reference": [0, 1, 2, 3j]}, "numbers or codes"),
        ({"reference": [0, 1, 2, 5]}, "feature 3 is 5"),
        ({"reference": [0, -1, 2, 3]}, "feature 1 is -1"),
        ({"preference": np.zeros((4, 3))}, r"shape \(4, 5\)"),
        ({"backend": "gurobi"}, "no backend 'gurobi'"),
    ],
)
def test_nonsense_is_refused_with_a_reason(ensemble, changes, message):
    arguments = {"free": [0, 1], "reference": REFERENCE} | changes
    with pytest.raises(SolverError, match=message):
        maximize(ensemble, **arguments)


@pytest.mark.parametrize("limits", [{"nodes": -1}, {"seconds": 0.0}, {"seconds": float("nan")}])
def test_limits_that_make_no_sense_are_refused(limits):
    with pytest.raises(SolverError, match="limit"):
        Limits(**limits)


def test_importing_the_library_loads_no_solver():
    code = (
        "import sys, solvers.trees;"
        "print([m for m in ('highspy', 'pyomo', 'lightgbm', 'torch') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_rounding_of_parts_that_cancel_out_is_no_false_claim():
    """One point only, whose prediction is a small difference of large leaves."""
    ensemble = random_ensemble(3, trees=40)
    ensemble = replace(ensemble, base=ensemble.base - float(ensemble.predict([REFERENCE])[0]))
    ball = HammingBall(np.array(REFERENCE), 0)
    for backend in ("highs", "enumeration"):
        found = maximize(
            ensemble, free=[2, 1, 0], reference=REFERENCE, constraints=[ball], backend=backend
        )
        assert found.value == pytest.approx(0.0, abs=1e-13)


@pytest.mark.parametrize("scale", [1e-12, 1e-9, 1e-6, 1.0, 1e6, 1e12])
@pytest.mark.parametrize("backend", ["highs", "pyomo"])
def test_the_optimum_does_not_depend_on_the_scale_of_the_scores(backend, scale):
    ensemble = random_ensemble(3, trees=40, categories=6)
    scaled = replace(ensemble, value=scale * ensemble.value, base=scale * ensemble.base)
    free, reference = [0, 1, 2, 3], np.zeros(4, dtype=int)
    best = ensemble.predict(neighbourhood(ensemble, free, reference)).max()
    found = maximize(scaled, free=free, reference=reference, backend=backend)
    assert found.status is SolveStatus.OPTIMAL
    assert found.value == pytest.approx(scale * best, rel=1e-9)
