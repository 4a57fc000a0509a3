"""Tables of finished runs, from summaries and journals made up by hand."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from benchmarks.tabulate import main
from pipeline.comparison.parquet import RUNS_TABLE
from pipeline.runs.folder import RunFolder

ENTRIES = (
    *("query_mean", "reference_mean", "random_codes_mean", "best", "top10", "top50", "train_best"),
    *("train_best_reconstructed", "frechet", "frechet_references", "proven_optimal"),
)


def finished(path: Path, score: float) -> Path:
    """A run whose every figure is its score, of five queries with this score."""
    folder = RunFolder(path)
    (path / "config.yaml").touch()
    figures: dict[str, Any] = dict.fromkeys(ENTRIES, score)
    folder.write_json("summary.json", {**figures, "judge": figures})
    folder.journal.append("round", {"shift": {"mean": score, "judge_mean": score}})
    for _ in range(5):
        query = {"score": score, "predicted": None, "acquisition": None, "bound": None}
        folder.journal.append("query", query)
    return path


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """One method with two settings and two seeds, whose rows are in no order."""
    rows = [
        {"method": "VQ", "setting.solver.t": t, "seed": seed, "run": f"runs/{t}-{seed}"}
        for seed in (1, 0)
        for t in (4, 8)
    ]
    for row in rows:
        finished(tmp_path / row["run"], row["setting.solver.t"] + row["seed"])
    parquet.write_table(pa.Table.from_pylist(rows), tmp_path / RUNS_TABLE)
    return tmp_path


def test_two_arms_are_compared_in_pairs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = [finished(tmp_path / name, score) for name, score in {"a": 1, "b": 3, "c": 2}.items()]
    main([f"first={runs[0]},{runs[1]}", f"second={runs[2]},{runs[1]}"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "| | first | second | difference |"
    assert "| best | 2.00 ± 12.71 | 2.50 ± 6.35 | -0.50 ± 6.35 |" in lines
    assert "| largest claim - prediction | none | none | none |" in lines


def test_every_setting_of_a_study_is_an_arm(
    study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main([str(study), "--figure", "Top-50", "--figure", "queries' mean, last fifth"])
    assert capsys.readouterr().out.splitlines() == [
        "| | Top-50 | queries' mean, last fifth |",
        "|---|---|---|",
        "| VQ, solver.t=4 | 4.50 ± 6.35 | 4.50 ± 6.35 |",
        "| VQ, solver.t=8 | 8.50 ± 6.35 | 8.50 ± 6.35 |",
    ]


def test_figures_that_there_are_not_are_named(study: Path) -> None:
    with pytest.raises(SystemExit, match="worst"):
        main([str(study), "--figure", "worst"])
