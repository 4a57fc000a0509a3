"""Random small fits of every library: `benchmarks.trees.thousand` on some of its numbers."""

from dataclasses import replace

import numpy as np
import pytest

for library in ("xgboost", "sklearn", "onnx", "onnxruntime", "skl2onnx", "onnxmltools"):
    pytest.importorskip(library)
for engine in ("ortools", "pyscipopt", "pytoulbar2"):
    pytest.importorskip(engine)

from benchmarks.trees.fits import LIBRARIES  # noqa: E402
from benchmarks.trees.thousand import ORACLE, examined, main, question  # noqa: E402
from solvers.trees.backends import BACKENDS, highs  # noqa: E402
from solvers.trees.backends.enumeration import EnumerationBackend  # noqa: E402
from vqlso.records import SolveStatus  # noqa: E402

QUICK = ("auto", "tables", "highs", "greedy", "toulbar2", ORACLE)
# A solve of these takes tens of milliseconds, or starts a process.
SLOW = sorted(set(BACKENDS) - set(QUICK))


def findings(library, engines, numbers):
    for number in numbers:
        for engine, finding in examined(question(library, number), engines):
            yield f"{library} {number} {engine}", engine, finding


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize(
    ("engines", "numbers"), [(QUICK, range(100)), (SLOW, range(200, 212))], ids=["quick", "slow"]
)
def test_every_engine_equals_enumeration_and_the_library(library, engines, numbers):
    refused = 0
    for name, engine, finding in findings(library, engines, numbers):
        assert not finding.fault, f"{name}: {finding.fault}"
        if finding.status is None:
            assert engine in ("tables", "toulbar2"), f"{name} refused: {finding.refusal}"
            assert "free features" in finding.refusal
            refused += 1
        else:
            expected = SolveStatus.UNPROVEN if engine == "greedy" else SolveStatus.OPTIMAL
            assert finding.status is expected, name
    assert refused < 0.2 * len(numbers) * len(engines), "most instances are within reach of all"


def test_questions_are_the_same_at_every_call_and_of_many_kinds():
    asked = [question("lightgbm", number) for number in range(40)]
    again = question("lightgbm", 17)
    assert np.array_equal(again.reference, asked[17].reference, equal_nan=True)
    assert (again.free == asked[17].free).all()
    assert again.best == asked[17].best
    assert {q.sign for q in asked} == {1, -1}
    assert {q.k for q in asked} == {1, 3}
    assert {len(q.free) for q in asked} >= {1, 2, 3, 4}
    assert {q.reference.dtype.kind for q in asked} == {"i", "f"}
    assert any(np.isnan(q.reference).any() for q in asked)
    ensembles = [q.fit.ensemble for q in asked]
    assert any((e.subset >= 0).any() for e in ensembles)
    assert any(((e.subset < 0) & (e.feature >= 0)).any() for e in ensembles)


def test_a_worse_answer_is_called_wrong(monkeypatch, capsys):
    """The comparison itself: an engine whose answer is the worst is found out, and printed."""

    class Pessimist(EnumerationBackend):
        def maximise(self, reduced, limits, start):
            best = super().maximise(reduced, limits, start)
            labels = np.zeros_like(best.labels)
            value = float(reduced.values(labels[None])[0])
            return replace(best, labels=labels, value=value, bound=value)

    monkeypatch.setattr(highs, "HighsBackend", Pessimist)
    assert main(["--libraries", "lightgbm", "--engines", "highs", "--count", "12"]) == 1
    printed = capsys.readouterr().out
    assert "lightgbm" in printed
    assert "VerificationError" in printed or "values are not those" in printed


def test_the_table_counts_what_was_examined(capsys):
    assert main(["--libraries", "onnx", "--engines", "tables,greedy", "--count", "5"]) == 0
    lines = capsys.readouterr().out.splitlines()
    cells = [[cell.strip() for cell in line.split("|")] for line in lines if line[:1] == "|"]
    solved, proven, refused, wrong = zip(*(row[3:7] for row in cells[2:]), strict=True)
    assert cells[2][1:3] == ["onnx", "tables"]
    assert int(solved[0]) + int(refused[0]) == 5
    assert (solved[1], proven[1], refused[1]) == ("5", "0", "0"), "a heuristic proves nothing"
    assert wrong == ("0", "0")
