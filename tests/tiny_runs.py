"""Whole runs in seconds: a configuration small enough to be run often, yet not degenerate."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from pipeline.cli import app
from pipeline.commands.terminal import INTERRUPTED
from pipeline.runs.folder import RunFolder
from pipeline.runs.journal import Event, without_time

# With few codes and small batches the generator uses all of them after a handful of epochs, so
# that trees split, queries are new and retraining changes codes.
TINY = (
    "size=tiny",
    "threads=1",
    "queries=4",
    "data.count=300",
    "generator.categories=4",
    "generator.batch_size=16",
    "generator.epochs=5",
    "generator.learning_rate=3e-3",
    "surrogate.trees=20",
    "surrogate.min_samples_leaf=3",
    "retrainer.every=2",
    "retrainer.batch_size=16",
    "shift.samples=20",
)
# Round 0, a retraining before the first query, and one in the middle.
TINY_EVENTS = ["round", "round", "query", "query", "round", "query", "query", "end"]


def vqlso(*arguments: str | Path) -> Result:
    """The command line, in this process; what it does not expect passes through."""
    return CliRunner().invoke(app, [str(each) for each in arguments], catch_exceptions=False)


def tiny(out: Path, cache: Path, *overrides: str) -> list[str]:
    """Arguments of a tiny run; later overrides win."""
    keys = {override.split("=")[0] for override in overrides}
    if "data" in keys:
        keys.add("data.count")  # of the procedural faces
    if any(override.startswith("generator.checkpoint=") for override in overrides):
        keys |= {each.split("=")[0] for each in TINY if each.startswith("generator.")}
    kept = [each for each in TINY if each.split("=")[0] not in keys]
    return ["smile_shift", *kept, *overrides, f"out={out}", f"cache={cache}"]


def run_tiny(out: Path, cache: Path, *overrides: str) -> RunFolder:
    """A finished tiny run."""
    result = vqlso("run", *tiny(out, cache, *overrides))
    assert result.exit_code == 0, result.output
    return RunFolder(out)


def events(folder: RunFolder) -> list[Event]:
    """What two runs of one seed share of their journals."""
    return without_time(folder.journal.events())


def figures(folder: RunFolder) -> dict[str, object]:
    """What two runs of one seed share of their summaries."""
    summary = folder.read_json("summary.json")
    return {key: value for key, value in summary.items() if not key.startswith("seconds")}


def said(result: Result, *words: str) -> None:
    """The command failed with one paragraph on the error stream that holds these words."""
    assert result.exit_code not in (0, INTERRUPTED), result.output
    assert result.stdout == ""
    message = result.stderr.strip()
    assert message.startswith("vqlso: ")
    assert "\n\n" not in message
    assert "Traceback" not in message
    _require(message, words)


def _require(message: str, words: Sequence[str]) -> None:
    missing = [word for word in words if word not in message]
    assert not missing, f"{missing} not in: {message}"


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Shared by all tests of this session, wherever they lie."""
    return tmp_path_factory.getbasetemp() / "shared-cache"


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> RunFolder:
    """A run that nothing interrupted. Not to be changed."""
    return run_tiny(tmp_path_factory.mktemp("finished") / "run", cache)
