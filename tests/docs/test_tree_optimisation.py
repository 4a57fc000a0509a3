"""docs/tree-optimisation.md: its scripts print what it shows, and its files are read."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tiny_runs import vqlso

from pipeline.commands.trees_files import read_demands, read_features
from solvers.trees.backends import BACKENDS
from solvers.trees.readers import lightgbm, onnx, sklearn, xgboost

PAGE = Path(__file__).parents[2] / "docs" / "tree-optimisation.md"
TEXT = PAGE.read_text(encoding="utf-8")
SCRIPT = re.compile(r"^```python\n(.*?)^```\n\n```text\n(.*?)^```$", re.MULTILINE | re.DOTALL)
JSON = re.compile(r"^```json\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LONGEST = 30


def test_every_script_is_found_and_short() -> None:
    scripts = SCRIPT.findall(TEXT)
    assert len(scripts) == TEXT.count("```python") == 4
    assert all(len(script.splitlines()) <= LONGEST for script, _ in scripts)


@pytest.mark.parametrize(
    ("script", "shown"),
    SCRIPT.findall(TEXT),
    ids=["five minutes", "process", "patient", "sequences"],
)
def test_a_script_prints_what_is_shown(tmp_path: Path, script: str, shown: str) -> None:
    file = tmp_path / "script.py"
    file.write_text(script, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, file], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == shown


def test_the_files_are_read(tmp_path: Path) -> None:
    features, demands = JSON.findall(TEXT)
    for name, content in (("features.json", features), ("demands.json", demands)):
        (tmp_path / name).write_text(content, encoding="utf-8")
    assert len(read_features(tmp_path / "features.json")) == 3
    read = read_demands(tmp_path / "demands.json", np.zeros(4))
    assert [len(read[part]) for part in ("allowed", "terms", "constraints")] == [1, 2, 3]


def test_options_and_engines_are_those_that_exist() -> None:
    shown = vqlso("trees", "maximize", "--help").stdout
    options = set(re.findall(r"--[a-z]+", shown)) - {"--help", "--debug"}
    assert set(re.findall(r"(?<![-\w])--[a-z]+", TEXT)) == options
    table = TEXT.split("## Engines")[1].split("## Features")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == set(BACKENDS)


def test_the_models_that_are_read_are_all_listed() -> None:
    rows = TEXT.split("## Which models are read")[1].split("## On the command line")[0]
    read = {
        row.split("|")[1].strip(): set(re.findall(r"`([\w:]+)`", row.split("|")[2]))
        for row in rows.splitlines()
        if row.startswith("| ")
    }
    objectives = lightgbm._PLAIN | lightgbm._EXPONENTIAL | lightgbm._RANKING
    assert objectives <= read["LightGBM"]
    assert read["XGBoost"] == {
        *(xgboost._PLAIN | xgboost._SIGMOID | xgboost._EXPONENTIAL),
        *("gbtree", "dart", "missing", "nan"),
    }
    assert read["scikit-learn"] == {
        *(*sklearn._TREES, *sklearn._FORESTS, *sklearn._BOOSTED, *sklearn._HISTOGRAM)
    }
    assert {*onnx._OPERATORS, *onnx._BEFORE, *onnx._AFTER} <= read["ONNX"]


def test_links_lead_somewhere() -> None:
    headings = {
        re.sub(r"\W+", "-", line.lstrip("# ").lower())
        for line in TEXT.splitlines()
        if line.startswith("#")
    }
    links = set(re.findall(r"\]\(#([\w-]+)\)", TEXT))
    assert links
    assert links <= headings
