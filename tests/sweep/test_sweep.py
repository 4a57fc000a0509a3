"""A study without Ray: what it leaves, how it continues, and what it says of what fails."""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from swept_studies import Place, table, tables
from tiny_runs import said, vqlso

from pipeline.runs.folder import RunFolder
from pipeline.studies import jobs
from pipeline.studies.folder import StudyFolder
from pipeline.studies.study import studies
from vqlso.errors import ConfigError, MissingExtraError, StudyError


def again(*options: str | Path):
    return vqlso("sweep", "deaths.yaml", "--workers", "0", *options)


def plan(place: Place) -> list[dict]:
    return json.loads((place.study / "study.json").read_text())["runs"]


def test_each_run_is_an_ordinary_one(swept: Place) -> None:
    runs = plan(swept)
    assert [(run["method"], run["seed"]) for run in runs] == [
        ("with", 0),
        ("without", 0),
        ("with", 1),
        ("without", 1),
    ]
    for run in runs:
        folder = RunFolder(swept.study / run["run"])
        assert folder.path.name.startswith("smile_shift-")
        assert folder.path.name.endswith(f"-s{run['seed']}")
        assert folder.read_json("summary.json")["queries"] == 4
        command = folder.read_json("environment.json")["command"]
        assert command.startswith("vqlso run smile_shift size=tiny")
        assert command.endswith(f"seed={run['seed']}")
    assert vqlso("report", swept.study / runs[0]["run"]).exit_code == 0


def test_what_runs_share_is_made_once(swept: Place) -> None:
    (prepared,) = (swept.study / "preparations").iterdir()
    weights = (prepared / "networks" / "generator.safetensors").read_bytes()
    for run in plan(swept):
        folder = RunFolder(swept.study / run["run"])
        assert (folder.path / "networks" / "generator.safetensors").read_bytes() == weights
        origin = folder.read_json("preparation.json")["generator"]["origin"]
        assert origin in ("trained for this study", "cached weights")
        shared, own = (
            RunFolder(each).read_arrays("archive/initial.npz") for each in (prepared, folder.path)
        )
        assert np.array_equal(shared["scores"], own["scores"])


def dotted(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    found = {}
    for key, value in values.items():
        inner = isinstance(value, dict)
        found |= dotted(value, f"{prefix}{key}.") if inner else {prefix + key: value}
    return found


def test_one_row_a_run_with_its_whole_summary(swept: Place) -> None:
    rows = table(swept.study, "study.parquet")
    for number, run in enumerate(plan(swept)):
        summary = RunFolder(swept.study / run["run"]).read_json("summary.json")
        for key, value in dotted(summary).items():
            if not key.startswith("seconds"):
                told = rows[key][number]
                assert (json.loads(told) if isinstance(value, list) else told) == value, key
        assert (rows["method"][number], rows["run"][number]) == (run["method"], run["run"])


def test_one_row_a_query(swept: Place) -> None:
    rows = table(swept.study, "queries.parquet")
    asked = [
        event
        for run in plan(swept)
        for event in RunFolder(swept.study / run["run"]).journal.events("query")
    ]
    assert rows["query"] == [1, 2, 3, 4] * 4
    assert rows["score"] == [event["score"] for event in asked]
    assert rows["round"] == [event["round"] for event in asked]
    assert rows["control.reference"] == [event["controls"]["reference"] for event in asked]
    first = np.array(rows["score"][:4])
    assert rows["mean_so_far"][:4] == pytest.approx(np.cumsum(first) / np.arange(1, 5))


def test_a_finished_study_is_only_compared_again(swept: Place) -> None:
    before = swept.runs
    result = again()
    assert result.exit_code == 0
    assert "0 runs to do, 4 finished before" in result.stderr
    assert "without" in result.stdout
    assert swept.runs == before


def test_what_was_interrupted_is_continued(copied: Place) -> None:
    """A journal that stops in the middle, a summary that is missing, a run that never began."""
    before = tables(copied.study)
    _, first, second, third = (copied.study / run["run"] for run in plan(copied))
    journal = first / "journal.jsonl"
    journal.write_bytes(b"".join(journal.read_bytes().splitlines(keepends=True)[:3]))
    for run in (first, third):
        (run / "summary.json").unlink()
    shutil.rmtree(second)
    result = again()
    assert result.exit_code == 0, result.output
    assert "3 runs to do, 1 finished before" in result.stderr
    assert tables(copied.study) == before


def test_a_run_that_was_killed_before_its_report_is_reported(copied: Place) -> None:
    run, *_ = (copied.study / run["run"] for run in plan(copied))
    (run / "report.html").unlink()
    before = copied.runs
    result = again()
    assert result.exit_code == 0, result.output
    assert "1 runs to do, 3 finished before" in result.stderr
    assert (run / "report.html").is_file()
    assert copied.runs == before


def test_a_failed_run_is_recorded_and_tried_again(copied: Place, tmp_path: Path) -> None:
    study = yaml.safe_load(Path("deaths.yaml").read_text())
    study["methods"].append({"name": "broken", "overrides": ["objective.target=mortal:broken"]})
    study["seeds"] = [0]
    Path("deaths.yaml").write_text(yaml.safe_dump(study))
    result = again()
    assert result.exit_code == StudyError.exit_code
    assert "broken, seed 0 failed: The objective 'mortal:broken' failed on all" in result.stderr
    assert "no electricity" in result.stderr
    assert "1 of 3 runs failed" in result.stderr
    assert "with" in result.stdout  # the others are compared all the same
    assert [bool(run["reason"]) for run in plan(copied)] == [False, False, True]
    told = json.loads(again("--json").stdout)
    assert [run["state"] for run in told["runs"]] == ["finished", "finished", "failed"]
    assert "no electricity" in told["runs"][2]["reason"]
    assert told["comparison"]["methods"].keys() == {"with", "without"}
    Path("mended").touch()
    assert again().exit_code == 0
    assert not any(run["reason"] for run in plan(copied))


def test_what_nobody_foresaw_keeps_its_traceback(
    copied: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = jobs.start

    def defective(config, *args):
        if config.seed == 1:
            raise MemoryError("3 GiB") if config.retrainer.kind == "none" else KeyError("z")
        return start(config, *args)

    monkeypatch.setattr(jobs, "start", defective)
    shutil.rmtree(copied.study / "runs")
    result = again("--quiet")
    assert result.exit_code == StudyError.exit_code
    assert "with, seed 1 failed: KeyError: 'z'" in result.stderr
    assert "without, seed 1 failed: Out of memory: 3 GiB" in result.stderr
    (trace,) = (copied.study / "failures").iterdir()
    assert "defective" in trace.read_text()


def test_two_sweeps_in_one_folder(swept: Place) -> None:
    with StudyFolder(swept.study).locked():
        result = again()
    assert result.exit_code == StudyError.exit_code
    said(result, "Another sweep is working", "--out DIR")


def test_the_folder_of_another_study(swept: Place) -> None:
    result = vqlso("sweep", "tiny", "--workers", "0", "--out", swept.study)
    assert result.exit_code == StudyError.exit_code
    said(result, "holds the study 'deaths'", "--out DIR")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["no_such_study"], ["'no_such_study'", "figure3_demo"]),
        (["tiny", "--seeds", "0-"], ["--seeds 0-", "0-19"]),
        (["tiny", "--seeds", "1,1"], ["each once"]),
        (["tiny", "queries=0"], ["method 'VQ with retraining'", "at least 1"]),
        (["tiny", "retrainer=none"], ["same configuration"]),
        (["tiny", "--workers", "0", "--address", "a:1"], ["--workers 0 uses no Ray"]),
    ],
)
def test_what_is_refused_before_anything_is_made(
    arguments: list[str], words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = vqlso("sweep", *arguments)
    assert result.exit_code == ConfigError.exit_code
    said(result, *words)
    assert not list(tmp_path.iterdir())


def test_seeds_of_ones_own(copied: Place) -> None:
    assert again("--seeds", "1").exit_code == 0
    assert [run["seed"] for run in plan(copied)] == [1, 1]


def test_without_ray(swept: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.delitem(sys.modules, "pipeline.studies.ray_workers", raising=False)
    result = vqlso("sweep", "deaths.yaml")
    assert result.exit_code == MissingExtraError.exit_code
    said(result, "pip install '.[sweep]'", "--workers 0")


def test_without_pyarrow(copied: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    (copied.study / "study.parquet").unlink()
    (copied.study / "comparison.html").unlink()
    result = again()
    assert result.exit_code == 0
    assert "pip install '.[sweep]'" in result.stderr
    assert (copied.study / "comparison.html").is_file()


def test_the_list_names_every_study() -> None:
    rows = json.loads(vqlso("list", "--json").stdout)
    assert {row["name"] for row in rows if row["role"] == "study"} == set(studies())
