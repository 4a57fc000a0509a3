import io

import pytest
from rich.console import Console

from pipeline.report.headline import Agreement, Verdict, agreement, duration, rows, written
from pipeline.report.table import summary_table


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.04, "0.0 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (59.6, "1 min 00 s"),
        (200, "3 min 20 s"),
        (3599.7, "1 h 00 min"),
        (7500, "2 h 05 min"),
    ],
)
def test_durations(seconds, text):
    assert duration(seconds) == text


def test_numbers_are_written_with_the_digits_that_mean_something():
    assert written(12345, "count") == "12\u202f345"
    assert written(0.9851, "share") == "98.5\u202f%"
    assert written(1.0, "share") == "100\u202f%"
    assert written(2.4567, "score") == "2.46"


@pytest.mark.parametrize(
    ("queried", "judge", "verdict"),
    [
        (2.0, 1.9, Verdict.CONFIRMED),
        (2.0, 1.2, Verdict.PARTLY),
        (2.0, 0.9, Verdict.EXPLOITATION),
        (2.0, -0.5, Verdict.EXPLOITATION),
        (-0.1, 0.0, Verdict.NO_GAIN),
        (0.0, 0.0, Verdict.NO_GAIN),
    ],
)
def test_verdicts(queried, judge, verdict):
    assert Agreement(queried, judge).verdict == verdict


def test_agreement_compares_gains_not_levels():
    summary = {"query_mean": 3.0, "reference_mean": 1.0}
    gains = agreement(summary | {"judge": {"query_mean": 4.5, "reference_mean": 3.0}})
    assert gains == Agreement(2.0, 1.5)
    assert agreement(summary | {"judge": None}) is None
    assert agreement(summary | {"judge": {"query_mean": None, "reference_mean": 3.0}}) is None


def printed(summary) -> list[str]:
    console = Console(file=io.StringIO(), width=100)
    console.print(summary_table(summary))
    return console.file.getvalue().splitlines()


def test_the_terminal_shows_every_figure_once(made_up):
    summary = made_up(60).summary()
    lines = printed(summary)
    assert len(lines) == 2 + len(rows(summary))
    best = next(line for line in lines if line.startswith("Best new image"))
    assert best.split()[-2:] == [f"{summary['best']:.2f}", f"{summary['judge']['best']:.2f}"]
    assert any("1 h 12 min" in line for line in lines)


def test_without_a_judge_the_terminal_has_no_column_for_it(made_up):
    lines = printed(made_up(40, judged=None).summary())
    assert "Judge" not in lines[0]
    assert any(line.split()[-2:] == ["not", "reached"] for line in lines)
