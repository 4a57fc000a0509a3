"""A run that is killed anywhere and resumed tells the same story as one that never was."""

import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tiny_runs import TINY_EVENTS, events, figures, tiny, vqlso

from pipeline.commands.terminal import INTERRUPTED
from pipeline.runs.folder import RunFolder

if sys.platform == "win32":
    pytest.skip("no such signal here", allow_module_level=True)

DRIVER = Path(__file__).with_name("driver.py")
EVENT_POINTS = {
    "round 0": "after:1",
    "the first retraining": "after:2",
    "a query in the middle of a round": "after:3",
    "a torn query": "torn:4",
    "the query before a retraining": "after:4",
    "a retraining that was not journalled": "before:5",
    "a retraining": "after:5",
    "the last query": "after:7",
    "the end, without a summary": "after:8",
}
CTRL_C = "interrupt:3"
TRAINING_POINT = "state:generator:7"


def stop(points: list[str], folder: Path, cache: Path) -> str:
    """Run to every point in a process of its own; the exit codes are checked, stderr returned."""
    process = subprocess.run(
        [sys.executable, str(DRIVER), *points, "--", "run", *tiny(folder / "{point}", cache)],
        capture_output=True,
        text=True,
        check=False,
    )
    codes = [INTERRUPTED if point == CTRL_C else -signal.SIGKILL for point in points]
    expected = [f"{point} {code}" for point, code in zip(points, codes, strict=True)]
    assert process.stdout.splitlines() == expected, process.stderr
    return process.stderr


def contents(folder: RunFolder, name: str) -> dict[str, bytes]:
    """The files of this name, by their round."""
    return {path.parent.name: path.read_bytes() for path in folder.path.glob(f"rounds/*/{name}")}


def resumed(path: Path) -> RunFolder:
    result = vqlso("resume", path)
    assert result.exit_code == 0, result.output
    return RunFolder(path)


@pytest.fixture(scope="module")
def stopped(finished: RunFolder, cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The runs, one a point, all at once: to start a process costs most.

    The fixture `finished` has filled the cache.
    """
    folder = tmp_path_factory.mktemp("stopped")
    stop(list(EVENT_POINTS.values()), folder, cache)
    return folder


def test_the_story_has_all_kinds_of_events(finished: RunFolder) -> None:
    told = events(finished)
    assert [event["event"] for event in told] == TINY_EVENTS
    queries = [event for event in told if event["event"] == "query"]
    assert len({event["version"] for event in queries}) == 2
    assert any(event["reencoded_cells"] for event in queries)


@pytest.mark.parametrize("point", EVENT_POINTS.values(), ids=EVENT_POINTS.keys())
def test_a_killed_run_is_resumed(point: str, stopped: Path, finished: RunFolder) -> None:
    kind, number = point.split(":")
    left = RunFolder(stopped / point).journal.events()
    assert len(left) == int(number) - (kind != "after")
    folder = resumed(stopped / point)
    assert events(folder) == events(finished)
    assert figures(folder) == figures(finished)
    for name in ("surrogate.txt", "proposals.npz"):
        assert contents(folder, name) == contents(finished, name)


def test_a_killed_training_continues(finished: RunFolder, cache: Path, tmp_path: Path) -> None:
    """Trained on from its last state, the generator is the one that was never interrupted."""
    other = tmp_path / "cache-without-generator"
    shutil.copytree(cache, other, ignore=shutil.ignore_patterns("generator-*"))
    stop([TRAINING_POINT], tmp_path, other)
    networks = tmp_path / TRAINING_POINT / "networks"
    assert (networks / "generator.state").is_file()
    assert not (networks / "generator.safetensors").exists()
    folder = resumed(tmp_path / TRAINING_POINT)
    assert events(folder) == events(finished)
    assert not (networks / "generator.state").exists()
    origin = folder.read_json("preparation.json")["generator"]["origin"]
    assert origin == "trained in this run"


def test_ctrl_c_says_how_to_continue(finished: RunFolder, cache: Path, tmp_path: Path) -> None:
    folder = tmp_path / "my runs"
    message, path = stop([CTRL_C], folder, cache), folder / CTRL_C
    assert f"`vqlso resume '{path}'` continues the run" in message
    assert "Traceback" not in message
    assert len(events(RunFolder(path))) == 3
    assert events(resumed(path)) == events(finished)


def test_resuming_a_finished_run_changes_nothing(finished: RunFolder) -> None:
    before = finished.journal.path.read_bytes(), finished.summary.read_bytes()
    result = vqlso("resume", finished.path)
    assert result.exit_code == 0
    assert (finished.journal.path.read_bytes(), finished.summary.read_bytes()) == before
