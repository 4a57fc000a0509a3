"""A few of the kills of benchmarks/faults/web_kills.py: of the server behind the page."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

if sys.platform != "linux":
    pytest.skip("no such signal here", allow_module_level=True)
pytest.importorskip("gradio", reason="Gradio is not installed")

REPOSITORY = Path(__file__).parents[2]


def test_a_killed_server_loses_nothing_that_it_answered(tmp_path: Path) -> None:
    chosen = ["--kills", "2", "--starts", "random", "--seed", "2"]
    result = subprocess.run(
        [sys.executable, "-m", "benchmarks.faults.web_kills", *chosen, "--results", tmp_path],
        cwd=REPOSITORY,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr[-4000:]
    told = json.loads((tmp_path / "web_kills.json").read_text())
    assert told["kills"] >= 2
    assert told["lost"] == []
