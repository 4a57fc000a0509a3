"""A whole run whose black box kills its process at times, and what is refused beforehand."""

import sys
from pathlib import Path

import pytest
from tiny_runs import run_tiny, said, tiny, vqlso

MODULE = """
import os

def moody(images):
    print("to the wrong stream")
    if len(images) == 1 and int(float(images.mean()) * 1e5) % 2:
        os._exit(7)
    return 5 * images.mean(axis=(1, 2, 3))
"""


def test_a_run_goes_on_where_its_black_box_dies(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "moody_score.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    asked = ("objective=callable", "objective.target=moody_score:moody", "objective.isolate=true")
    more = ("objective.timeout=60", "objective.failures_count=false", "retrainer.initial_epochs=0")
    folder = run_tiny(tmp_path / "run", cache, *asked, *more)
    queries = folder.journal.events("query")
    failed = [event for event in queries if event["score_status"] == "fail"]
    assert len(queries) - len(failed) == 4
    assert {event["reason"] for event in failed} <= {"its process ended with exit code 7"}
    for event in queries:
        image = folder.read_image(event["id"])
        if event["score_status"] == "ok":
            assert event["score"] == pytest.approx(5 * image.mean() / 255, rel=1e-5)
    controls = [value for event in queries for value in event["controls"].values()]
    assert None in controls  # of these a half fails, whichever the queries are
    assert "wrong stream" not in capfd.readouterr().out
    assert "moody_score" not in sys.modules


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["objective.isolate=true"], ["objective.isolate", "objective=callable"]),
        (
            ["objective=callable", "objective.target=os:getpid", "objective.timeout=3"],
            ["objective.timeout", "objective.isolate=true"],
        ),
        (
            ["objective=callable", "objective.target=os:getpid", "objective.retries=-1"],
            ["objective.retries must be at least 0"],
        ),
    ],
)
def test_settings_that_mean_nothing_are_refused(
    given: list[str], words: list[str], cache: Path, tmp_path: Path
) -> None:
    said(vqlso("run", *tiny(tmp_path / "run", cache, *given)), *words)
