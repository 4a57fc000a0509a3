"""A whole run on two processes: the second helps to train, the first does and writes all else."""

import subprocess
import sys
from pathlib import Path

import pytest
from processes import needs_gloo
from tiny_runs import TINY_EVENTS, events, tiny

from pipeline.runs.folder import RunFolder

# One thread each, as torchrun would choose; its free choice of a port lets tests run side by side.
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]


def structure(value: object) -> object:
    """Keys and types, and of lists the types of what they hold."""
    if isinstance(value, dict):
        return {key: structure(each) for key, each in value.items()}
    if isinstance(value, list):
        return sorted({str(structure(each)) for each in value})
    return type(value).__name__


@needs_gloo
def test_two_processes_end_with_the_journal_of_one(finished: RunFolder, tmp_path: Path) -> None:
    """In structure: generators that differ by rounding may draw other proposals."""
    command = [*TORCHRUN, "-m", "pipeline.cli", "run", *tiny(tmp_path / "run", tmp_path / "cache")]
    process = subprocess.run(command, capture_output=True, text=True, check=False, timeout=240)
    assert process.returncode == 0, process.stderr
    assert process.stdout.count("Report: ") == 1
    assert "Traceback" not in process.stderr
    two = RunFolder(tmp_path / "run")
    assert [event["event"] for event in events(two)] == TINY_EVENTS
    assert structure(events(two)) == structure(events(finished))
    data = [run.read_json("preparation.json")["data"] for run in (two, finished)]
    assert data[0] == data[1]
    one_summary, two_summary = (run.read_json("summary.json") for run in (finished, two))
    assert two_summary["proven_optimal"] == 1
    # On a scale from 0 to 5.
    for figure in ("query_mean", "reference_mean", "train_best"):
        assert two_summary[figure] == pytest.approx(one_summary[figure], abs=0.2)
