"""The command line from end to end: what it prints, what it writes, how it is interrupted."""

import json
import subprocess
import sys
from pathlib import Path

import lightgbm
import pytest
from tiny_runs import events, figures, run_tiny, tiny, vqlso

from pipeline.runs.folder import RunFolder
from vqlso.errors import ConfigError, VqlsoError

DEMANDED = {
    "queries",
    "best",
    "top10",
    "top50",
    "train_best",
    "train_best_reconstructed",
    "reference_mean",
    "query_mean",
    "proven_optimal",
    "frechet",
    "seed",
    "seconds",
    "seconds_by_stage",
}
COMMAND = [sys.executable, "-c", "from pipeline.cli import main; main()"]


def test_help_answers_without_the_heavy_packages() -> None:
    script = (
        "import sys; from pipeline.cli import app\n"
        "try: app(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'lightgbm', 'pyomo', 'highspy', 'matplotlib', 'hydra', 'numpy'}\n"
        "sys.exit(str(heavy & sys.modules.keys()) if heavy & sys.modules.keys() else 0)"
    )
    process = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert process.returncode == 0, process.stderr
    for command in ("run", "resume", "report", "list"):
        assert command in process.stdout


def test_a_run_leaves_what_was_promised(finished: RunFolder) -> None:
    summary = finished.read_json("summary.json")
    assert summary.keys() >= DEMANDED
    assert summary["queries"] == 4
    assert summary["proven_optimal"] == 1.0
    assert summary["top10"] is None
    assert summary["frechet"] > 0
    assert summary["seconds"] == pytest.approx(sum(summary["seconds_by_stage"].values()), abs=1e-3)
    for name in ("config.yaml", "environment.json", "preparation.json", "report.html"):
        assert (finished.path / name).stat().st_size > 0
    assert not list(finished.path.rglob("*.part"))


def test_figures_are_those_of_the_journal(finished: RunFolder) -> None:
    queries = finished.journal.events("query")
    summary = finished.read_json("summary.json")
    scores = [event["score"] for event in queries]
    references = [event["controls"]["reference"] for event in queries]
    assert summary["best"] == max(event["score"] for event in queries if event["novel"])
    assert summary["query_mean"] == pytest.approx(sum(scores) / 4)
    assert summary["reference_mean"] == pytest.approx(sum(references) / 4)
    assert summary["train_best"] <= 2 < summary["train_best"] + 0.5


def test_a_run_keeps_only_its_last_generator(finished: RunFolder) -> None:
    kept = [path.parent.name for path in finished.path.glob("rounds/*/generator.safetensors")]
    assert kept == ["002"]


def test_each_round_keeps_its_proposals_and_the_trees_behind_its_first(finished: RunFolder) -> None:
    queries = finished.journal.events("query")
    assert {event["round"] for event in queries} == {1, 2}
    for round_ in (1, 2):
        told = [event for event in queries if event["round"] == round_]
        kept = finished.read_arrays(f"rounds/{round_:03d}/proposals.npz")
        assert kept["ids"].tolist() == [event["id"] for event in told]
        assert kept["z"].tolist() == [event["z"] for event in told]
        assert kept["score"].tolist() == [event["score"] for event in told]
        trees = lightgbm.Booster(model_file=finished.surrogate_of(round_))
        (predicted,) = trees.predict(kept["z"][:1].reshape(1, -1))
        assert predicted == pytest.approx(told[0]["predicted"], rel=1e-9)


def test_another_process_tells_the_same_story_and_prints_json_only(
    finished: RunFolder, cache: Path, tmp_path: Path
) -> None:
    process = subprocess.run(
        [*COMMAND, "run", *tiny(tmp_path / "run", cache), "--json"],
        capture_output=True,
        text=True,
        check=True,
    )
    printed = json.loads(process.stdout)
    assert printed == RunFolder(tmp_path / "run").read_json("summary.json")
    assert process.stderr == ""
    assert events(RunFolder(tmp_path / "run")) == events(finished)
    assert figures(RunFolder(tmp_path / "run")) == figures(finished)


def test_another_seed_tells_another_story(finished: RunFolder, cache: Path, tmp_path: Path) -> None:
    other = run_tiny(tmp_path / "run", cache, "seed=1")
    first, second = (folder.journal.events("query") for folder in (finished, other))
    assert [event["z"] for event in first] != [event["z"] for event in second]
    starts = [folder.journal.events("round")[0]["version"] for folder in (finished, other)]
    assert starts[0] == starts[1]  # data and networks have seeds of their own


def test_a_finished_run_is_shown_as_a_table(finished: RunFolder) -> None:
    result = vqlso("report", finished.path)
    assert result.exit_code == 0
    assert "Best new image" in result.stdout
    assert str(finished.report) in result.stdout.replace("\n", "")


@pytest.mark.parametrize("command", ["report", "resume"])
def test_summaries_are_printed_as_json(command: str, finished: RunFolder) -> None:
    result = vqlso(command, finished.path, "--json")
    assert json.loads(result.stdout) == finished.read_json("summary.json")


def test_the_list_names_every_part() -> None:
    rows = json.loads(vqlso("list", "--json").stdout)
    named = {(row["role"], row["name"]) for row in rows}
    assert named >= {
        ("experiment", "smile_shift"),
        ("data", "celeba"),
        ("solver", "surrogate_based"),
        ("surrogate", "lightgbm"),
        ("surrogate", "grid_boosting"),
        ("retrainer", "weighted"),
        ("solver.backend", "highs"),
    }
    assert all(row["what"] for row in rows)
    table = vqlso("list").stdout
    assert all(row["name"] in table for row in rows)


def test_settings_are_those_that_an_experiment_reads() -> None:
    rows = json.loads(vqlso("settings", "demo", "solver.t=5", "--json").stdout)
    by_key = {row["key"]: row["value"] for row in rows}
    assert by_key["solver.t"] == 5
    assert by_key["data.count"] == 10_000
    assert not {"objective.target", "data.root", "solver.population", "gan.kimg"} & set(by_key)
    table = vqlso("settings", "demo", "solver=genetic").stdout
    assert "solver.mutation" in table
    assert "solver.t " not in table
    result = vqlso("settings", "demos")
    assert result.exit_code == ConfigError.exit_code
    assert "did you mean 'demo'?" in result.stderr


def test_the_page_of_the_run_folder_names_everything(finished: RunFolder) -> None:
    page = (Path(__file__).parents[2] / "docs" / "run-folder.md").read_text(encoding="utf-8")
    summary = finished.read_json("summary.json")
    keys = {*summary, *summary["judge"], *summary["diversity"]}
    for event in finished.journal.events():
        keys |= event.keys() - {"event"} | {event["event"]}
    assert not [key for key in keys if f"`{key}`" not in page]
    for error in (VqlsoError, *VqlsoError.__subclasses__()):
        assert f"\n| {error.exit_code} | " in page, error


def test_a_folder_of_its_own_is_made_below_runs(
    finished: RunFolder, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = [each for each in tiny(tmp_path, cache) if not each.startswith("out=")]
    result = vqlso("run", *arguments)
    assert result.exit_code == 0, result.output
    (folder,) = (tmp_path / "runs").iterdir()
    assert folder.name.startswith("smile_shift-")
    assert folder.name.endswith("-s0")
    assert events(RunFolder(folder)) == events(finished)
    journal = (folder / "journal.jsonl").read_bytes()
    again = vqlso("run", *arguments)
    assert again.exit_code == 0, again.output
    assert (folder / "journal.jsonl").read_bytes() == journal
