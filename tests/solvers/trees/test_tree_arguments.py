"""Whatever is no argument is named, with what it should be, before anything is solved."""

import re
from pathlib import Path

import numpy as np
import pytest
from random_ensembles import mixed_ensemble, random_ensemble

from solvers.trees import (
    Categorical,
    DistanceTerm,
    Equal,
    Forbidden,
    HammingBall,
    InfeasibleError,
    Limits,
    Linear,
    LinearTerm,
    PairTerm,
    TreeEnsemble,
    maximize,
    minimize,
    replay,
)
from solvers.trees.backends import memory
from solvers.trees.backends.enumeration import EnumerationBackend
from solvers.trees.backends.memory import MemoryMeter, available_megabytes
from solvers.trees.instance import Instance
from solvers.trees.k_best import affordable
from solvers.trees.storage import save
from vqlso.errors import SolverError, VerificationError
from vqlso.records import SolveStatus

REFERENCE = [0, 1, 2, 0]


class Idle:
    """An engine that must not be reached."""

    def solve(self, task):
        raise AssertionError("It was solved.")


class Denying(EnumerationBackend):
    """Calls everything infeasible."""

    def maximise(self, reduced, limits, start):
        raise InfeasibleError("No.")


def asked(**changes):
    ensemble = random_ensemble(1, cells=4, categories=3)
    return {
        "ensemble": ensemble,
        "free": [0, 1],
        "reference": REFERENCE,
        "backend": Idle(),
    } | changes


@pytest.mark.parametrize("solve", [maximize, minimize])
@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("ensemble", object(), "TreeEnsemble.from_model"),
        ("ensemble", "model.txt", "TreeEnsemble.from_model.*'model.txt'"),
        ("free", "3,9", r"as in \[3, 9\]"),
        ("free", 3, r"as in \[3, 9\]"),
        ("free", {0, 1}, r"as in \[3, 9\]"),
        ("free", [0.5], "float64"),
        ("free", [True, False, True, False], "bool"),
        ("free", [[1], [1, 2]], "array of numbers"),
        ("reference", "z.npy", "one number or code per feature"),
        ("reference", list("0120"), "numbers or codes"),
        ("reference", [[1], [1, 2]], "array of numbers"),
        ("allowed", [1, 2], "lists of values"),
        ("allowed", {0: 1}, "{0: 1}"),
        ("allowed", {0: "12"}, "lists of values"),
        ("allowed", {"0": [1]}, "lists of values"),
        ("allowed", {0: ["a"]}, "holds numbers"),
        ("terms", LinearTerm({0: 1.0}), "list of terms"),
        ("terms", (term for term in [LinearTerm({0: 1.0})]), "list of terms"),
        ("terms", [Equal(0, 1)], "list of terms.*Equal"),
        ("terms", [LinearTerm], "list of terms"),
        ("constraints", Equal(0, 1), "list of constraints"),
        ("constraints", [LinearTerm({0: 1.0})], "list of constraints"),
        ("constraints", None, "list of constraints"),
        ("backend", 3, "'auto'"),
        ("backend", EnumerationBackend, "class EnumerationBackend"),
        ("limits", 10, r"Limits\(seconds=10\)"),
        ("limits", None, r"Limits\(seconds=10\)"),
        ("k", 2.5, "whole number"),
        ("k", "2", "whole number"),
        ("incumbent", "z.npy", "holds numbers"),
        ("preference", "p.npy", "holds numbers"),
        ("failures", 3, "path of a folder"),
        ("certificate", 3, "path of a file"),
    ],
)
def test_a_wrong_argument_is_named(solve, name, value, words):
    with pytest.raises(SolverError, match=f"`{name}` .*{words}"):
        solve(**asked(**{name: value}))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: LinearTerm([1.0, 2.0]), "`coefficients` maps"),
        (lambda: LinearTerm({0: "a"}), "`coefficients` holds numbers"),
        (lambda: LinearTerm({"0": 1.0}), "`feature` is a whole number"),
        (lambda: PairTerm(0.5, 1, np.ones((3, 3))), "`feature` is a whole number"),
        (lambda: PairTerm(0, 1, "a"), "`table` holds numbers"),
        (lambda: DistanceTerm("z.npy", 1.0), "`data` holds numbers"),
        (lambda: DistanceTerm(np.array([REFERENCE]), "1"), "`weight` is a number"),
        (lambda: Linear([1.0], upper=3.0), "`coefficients` maps"),
        (lambda: Linear({0: 1.0}, upper="3"), "`upper` is a number"),
        (lambda: Equal("0", 1), "`feature` is a whole number"),
        (lambda: Forbidden([0, 1]), "`values` maps"),
        (lambda: HammingBall("z.npy", 1), "`centres` holds numbers"),
        (lambda: HammingBall(np.array(REFERENCE), "1"), "`radius` is a number"),
    ],
)
def test_a_wrong_part_of_a_term_or_constraint_is_named(make, words):
    def ask():
        part = make()
        sides = {"terms" if hasattr(part, "value") else "constraints": [part]}
        for solve in (minimize, maximize):
            solve(**asked(**sides))

    with pytest.raises(SolverError, match=words):
        ask()


@pytest.mark.parametrize(
    "given", [{"nodes": "10"}, {"nodes": 2.5}, {"seconds": "5"}, {"megabytes": [1]}, {"nodes": -1}]
)
def test_a_limit_that_is_none_is_refused(given):
    with pytest.raises(SolverError, match=re.escape(f"got {next(iter(given.values()))!r}")):
        Limits(**given)


def test_replay_names_wrong_arguments_too(tmp_path):
    path = save(Instance.checked(random_ensemble(1), [0, 1], REFERENCE), tmp_path)
    for given in ({"k": 1.5}, {"limits": 3}, {"backend": None}):
        with pytest.raises(SolverError, match=f"`{next(iter(given))}` "):
            replay(path, **given)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({0: 3}, "has 3 for feature 0, whose codes are 0..2"),
        ({0: -1}, "has -1 for feature 0"),
        ({0: 0.5}, "has 0.5 for feature 0"),
        ({0: "1"}, "got '1' for feature 0"),
        ({0: np.nan}, "got nan for feature 0"),
        # Refused although feature 3, which is fixed at 0, keeps it from ever being completed.
        ({3: 1, 0: 3}, "has 3 for feature 0"),
        ({3: 7}, "has 7 for feature 3"),
        ({9: 1}, "no feature 9"),
    ],
)
def test_a_forbidden_combination_that_cannot_occur_is_refused(values, words):
    with pytest.raises(SolverError, match=words):
        maximize(**asked(constraints=[Forbidden(values)]))


def test_numbers_outside_a_range_may_be_forbidden():
    """Rows of data are, and some lie outside the range that is searched."""
    known = Forbidden({1: 99, 2: -7.5})
    best = maximize(
        mixed_ensemble(1), free=[0, 1], reference=[0, 0, 0.5, 0, 0.5], constraints=[known]
    )
    assert best.status is SolveStatus.OPTIMAL


@pytest.mark.parametrize("backend", ["tables", "highs", "enumeration", "greedy"])
def test_of_more_than_there_are_all_come_back(backend):
    arguments = asked(backend=backend)
    several = maximize(k=10**12, **arguments)
    points = {tuple(solution.z) for solution in several.solutions}
    assert len(points) == len(several.solutions)
    if backend != "greedy":  # which keeps what it met
        assert points == {(a, b, 2, 0) for a in range(3) for b in range(3)}
        assert several.status is SolveStatus.OPTIMAL


def test_more_solutions_than_memory_holds_are_refused_before_solving(monkeypatch):
    ensemble = random_ensemble(1, cells=40, categories=16)
    given = asked(ensemble=ensemble, free=range(40), reference=[0] * 40)
    with pytest.raises(SolverError, match=r"k=1000000000000 asks for .* ask for fewer"):
        maximize(k=10**12, **given)
    with pytest.raises(
        SolverError, match=r"which take about .* there is room for 1 MB: ask for fewer"
    ):
        maximize(k=10**4, limits=Limits(megabytes=1), **given)
    instance = Instance.checked(ensemble, range(40), [0] * 40)
    assert affordable(10**5, instance, Limits(megabytes=1000)) == 10**5
    monkeypatch.setattr("solvers.trees.k_best.available_megabytes", lambda: 150.0)
    with pytest.raises(SolverError, match="there is room for 150 MB: ask for fewer"):
        affordable(10**5, instance, Limits())


def test_memory_ends_the_solves_for_further_points(monkeypatch):
    monkeypatch.setattr(MemoryMeter, "is_exceeded", lambda self: True)
    found = maximize(k=5, limits=Limits(megabytes=1e3), **asked(backend=EnumerationBackend()))
    assert 1 <= len(found.solutions) < 5
    assert found.status is SolveStatus.FEASIBLE


def test_the_available_memory_is_that_of_the_machine(monkeypatch):
    here = available_megabytes()
    assert 1 < here < 1e9
    monkeypatch.setattr(memory, "_MEMINFO", Path("/no/such/file"))
    assert here < available_megabytes() * 1.01


def test_a_destination_is_looked_at_before_solving(tmp_path):
    file = tmp_path / "file"
    file.touch()
    for path in (tmp_path, ".", tmp_path / "missing" / "proof.npz", file / "proof.npz"):
        with pytest.raises(SolverError, match="cannot be written"):
            maximize(certificate=path, **asked())
    assert list(tmp_path.iterdir()) == [file]


def test_paths_may_be_text(tmp_path):
    path = tmp_path / "proof.npz"
    best = maximize(certificate=str(path), **asked(backend="tables"))
    assert best.certificate == path
    assert path.is_file()
    with pytest.raises(VerificationError, match="failures"):
        maximize(failures=str(tmp_path / "failures"), **asked(backend=Denying()))
    assert len(list((tmp_path / "failures").iterdir())) == 1


def test_a_false_claim_is_told_where_its_instance_cannot_be_saved(tmp_path):
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(VerificationError, match=r"finds no point .* is not saved"):
        maximize(failures=file, **asked(backend=Denying()))


def test_objects_are_shown_in_a_line():
    ensemble = random_ensemble(1, cells=4, categories=3)
    assert repr(ensemble) == (
        f"TreeEnsemble(n_trees=8, nodes={len(ensemble.feature)}, n_features=4 (4 Categorical), "
        "transform=identity)"
    )
    data = np.zeros((30, 30))
    for shown in (DistanceTerm(data, 1.0), HammingBall(data, 2.0)):
        assert len(repr(shown)) < 80


def test_a_table_of_branches_is_what_single_branches_are():
    ensemble: TreeEnsemble = mixed_ensemble(3, trees=30)
    for feature, kind in enumerate(ensemble.features):
        nodes = np.flatnonzero(ensemble.feature == feature)
        values = np.arange(4.0) if isinstance(kind, Categorical) else np.linspace(-2, 2, 9)
        values = np.append(values, np.nan)
        expected = ensemble.goes_left(nodes[:, None], values)
        assert ensemble.left_table(nodes, values).tolist() == expected.tolist()
