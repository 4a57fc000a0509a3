"""What a sweep shows: bars whose counts are those of the journals, and lines for logs."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from pipeline.configuration.composition import composed
from pipeline.studies.console import Bars, Lines
from pipeline.studies.jobs import Outcome, Preparing, Running

QUERY = '{"event": "query", "id": 0}\n'


@pytest.fixture
def runs(tmp_path: Path) -> list[Running]:
    """Two of six queries each; the first was interrupted after two."""
    config = composed("demo", ["size=tiny"])
    found = [Running(f"run {n}", config, tmp_path / str(n), (), tmp_path) for n in range(2)]
    for run in found:
        run.folder.mkdir()
    (found[0].folder / "journal.jsonl").write_text('{"event": "round"}\n' + 2 * QUERY)
    return found


def test_bars_count_the_queries_that_are_left(runs: list[Running]) -> None:
    said: list[str] = []
    bars = Bars(said.append, Console(file=io.StringIO(), width=200))
    with bars:
        preparing = Preparing("both", runs[0].config, runs[0].prepared)
        bars.begins(runs, finished=3)
        bars.began(preparing)
        bars.ended(preparing, Outcome())
        every = bars.bars.tasks[0]
        assert (every.completed, every.total) == (0, 10)
        assert every.description == "runs: 3 of 5 done, 0 running, 0 failed"
        for run in runs:
            bars.began(run)
        (runs[1].folder / "journal.jsonl").write_text(3 * QUERY)
        bars.tick()
        assert every.completed == 3
        assert [task.completed for task in bars.bars.tasks[1:]] == [2, 3]
        bars.lost(runs[0], "Its worker died.")
        bars.ended(runs[1], Outcome("no electricity"))
        assert every.description == "runs: 3 of 5 done, 0 running, 1 failed"
        assert len(bars.bars.tasks) == 1
    assert said == [
        "run 0: Its worker died. It is tried again.",
        "run 1 failed: no electricity",
    ]


def test_lines_tell_how_long_the_rest_will_take(
    runs: list[Running], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = iter([0.0, 0.0, 0.0, 30.0, 90.0])
    monkeypatch.setattr("pipeline.studies.console.monotonic", lambda: next(now))
    said: list[str] = []
    complaints: list[str] = []
    lines = Lines(complaints.append, said.append)
    lines.begins(runs, finished=0)
    for run in runs:
        lines.began(run)
    lines.ended(runs[0], Outcome(remarks=("other packages",)))
    lines.ended(runs[1], Outcome())
    assert said == [
        "2 runs to do, 0 finished before",
        "1 of 2: run 0 finished in 30 s; about 30 s left",
        "2 of 2: run 1 finished in 1 min 30 s",
    ]
    assert complaints == ["other packages"]
