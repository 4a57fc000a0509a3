"""One's own function as the black box: whole runs, batches, failures, and giving up."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from tiny_runs import events, run_tiny, said, tiny, vqlso

from pipeline.runs.folder import RunFolder
from vqlso.errors import ObjectiveError

MODULE = """
import os

import numpy as np

def wandering(images):
    if os.path.isdir("elsewhere"):
        os.chdir("elsewhere")
    return brightness(images)

def brightness(images):
    return 5 * images.mean(axis=(1, 2, 3))

def unlucky(images):
    # Half of all images, as good as drawn by lot.
    return (images.mean(axis=(1, 2, 3)) * 1e5).astype(int) % 2 == 1

def raises(images):
    if unlucky(images).any():
        raise ValueError("no face")
    return brightness(images)

def tired(images):
    # The training set and the samples come in batches, queries and controls one by one.
    if len(images) == 1:
        raise RuntimeError("the camera is off")
    return brightness(images)

def nothing(images):
    return np.full(len(images), np.nan)

def sometimes_nan(images):
    return np.where(unlucky(images), np.nan, brightness(images))
"""


@pytest.fixture(autouse=True)
def own_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A module in the current directory."""
    (tmp_path / "own_score.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield
    sys.modules.pop("own_score", None)


def own(function: str) -> tuple[str, str]:
    return "objective=callable", f"objective.target=own_score:{function}"


def test_a_function_is_the_black_box(cache: Path, tmp_path: Path) -> None:
    folder = run_tiny(tmp_path / "run", cache, *own("brightness"))
    for event in folder.journal.events("query"):
        image = folder.read_image(event["id"])
        assert event["score"] == pytest.approx(5 * image.mean() / 255, rel=1e-5)
    facts = folder.read_json("preparation.json")["scorers"]["queried"]
    assert facts == {"name": "own_score:brightness", "origin": "yours"}


def test_a_function_may_change_the_current_directory(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Given by relative paths, the run stays in one folder, and the cache where it is."""
    (tmp_path / "elsewhere").mkdir()
    cache.mkdir(exist_ok=True)
    relative = Path(os.path.relpath(cache, tmp_path))
    result = vqlso("run", *tiny(Path("run"), relative, *own("wandering")))
    assert result.exit_code == 0, result.output
    assert Path.cwd() == tmp_path / "elsewhere"
    assert not list(Path.cwd().iterdir())
    folder = RunFolder(tmp_path / "run")
    assert len(list(folder.path.glob("archive/*-query.png"))) == 4
    assert folder.report.is_file()
    kept = [folder.config, folder.path / "environment.json", folder.journal.path]
    assert not any(str(tmp_path) in path.read_text() for path in kept)


def test_batches_need_not_divide_the_budget(cache: Path, tmp_path: Path) -> None:
    """7 queries in batches of 3, a retraining every 2: due at 0, then after each batch."""
    folder = run_tiny(
        tmp_path / "run", cache, *own("brightness"), "queries=7", "batch=3", "retrainer.every=2"
    )
    told = events(folder)
    assert [event["id"] for event in told if event["event"] == "query"] == list(range(7))
    rounds = [event["queries"] for event in told if event["event"] == "round"]
    assert rounds == [0, 0, 3, 6]
    assert told[-1] == {"event": "end", "queries": 7, "rounds": 3}


def test_nan_is_a_failure_with_a_reason(cache: Path, tmp_path: Path) -> None:
    folder = run_tiny(tmp_path / "run", cache, *own("sometimes_nan"), "queries=8")
    queries = folder.journal.events("query")
    failed = [event for event in queries if event["score_status"] == "fail"]
    assert 0 < len(failed) < len(queries)
    assert {event["reason"] for event in failed} == {"the objective returned nan"}
    assert all(event["score"] is None for event in failed)
    summary = folder.read_json("summary.json")
    assert summary["failures"] == len(failed)
    unscored = folder.read_json("preparation.json")["data"]["unscored"]
    scores = folder.read_arrays("archive/initial.npz")["scores"]
    assert unscored == np.isnan(scores).sum() > 0


def test_a_raising_function_takes_only_its_own_images_with_it(cache: Path, tmp_path: Path) -> None:
    """It raises for whole batches of the training set; each image still gets its chance."""
    raising = run_tiny(tmp_path / "raising", cache, *own("raises"))
    nan = run_tiny(tmp_path / "nan", cache, *own("sometimes_nan"))
    first, second = (
        folder.read_arrays("archive/initial.npz")["scores"] for folder in (raising, nan)
    )
    np.testing.assert_allclose(first, second, rtol=1e-6)
    reasons = {"": "", "the objective returned nan": "ValueError: no face"}
    for one, other in zip(events(raising), events(nan), strict=True):
        if one["event"] == "query":
            assert one == other | {"reason": reasons[other["reason"]]}


def test_the_run_gives_up_after_failures_in_a_row(cache: Path, tmp_path: Path) -> None:
    """Everything up to there is kept, and a mended function carries on."""
    result = vqlso("run", *tiny(tmp_path / "run", cache, *own("tired"), "queries=30"))
    assert result.exit_code == ObjectiveError.exit_code
    said(result, "20 times in a row", "RuntimeError: the camera is off", "vqlso resume")
    folder = RunFolder(tmp_path / "run")
    queries = folder.journal.events("query")
    assert len(queries) == 20
    assert {event["reason"] for event in queries} == {"RuntimeError: the camera is off"}
    assert all(folder.read_image(event["id"]).shape == (3, 64, 64) for event in queries)

    sys.modules["own_score"].tired = sys.modules["own_score"].brightness  # type: ignore[attr-defined]
    assert vqlso("resume", folder.path).exit_code == 0
    statuses = [event["score_status"] for event in folder.journal.events("query")]
    assert statuses == ["fail"] * 20 + ["ok"] * 10


def test_a_run_whose_queries_all_fail_still_has_a_report(cache: Path, tmp_path: Path) -> None:
    folder = run_tiny(tmp_path / "run", cache, *own("tired"))
    summary = folder.read_json("summary.json")
    assert summary["best"] is summary["query_mean"] is summary["frechet"] is None
    assert summary["failures"] == 4
    assert "the camera is off" in folder.report.read_text()


def test_a_function_that_scores_no_training_image(cache: Path, tmp_path: Path) -> None:
    result = vqlso("run", *tiny(tmp_path / "run", cache, *own("nothing")))
    assert result.exit_code == ObjectiveError.exit_code
    said(result, "own_score:nothing", "failed on all", "the objective returned nan", "resume")
