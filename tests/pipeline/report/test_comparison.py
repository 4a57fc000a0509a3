"""Comparisons of made-up runs, against means, intervals and curves computed by hand."""

import io
import json
import math
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.console import Console
from test_page import Page
from tiny_runs import said, vqlso

from pipeline.comparison.best_of_methods import best_strips
from pipeline.comparison.curves import curves
from pipeline.comparison.methods import Comparison, compared
from pipeline.comparison.page import PAGE, files_of, render
from pipeline.comparison.pooled import Pooled
from pipeline.comparison.results import results_of
from pipeline.comparison.table import distances_shown
from pipeline.studies.folder import PLAN
from vqlso.errors import RunFolderError, StudyError

SEEDS = (0, 1, 2)
T_975_2 = 4.302653  # of Student's distribution with 2 degrees of freedom, from a printed table
CONFIG = "name: smile_shift\nseed: {seed}\nqueries: {{queries}}\nsolver:\n  t: {t}\n"


@pytest.fixture(scope="module")
def folders(make_run: type, tmp_path_factory: pytest.TempPathFactory) -> dict[int, list[Path]]:
    """Runs with 4 and with 8 free cells, three seeds each; 8 is better by about a tenth."""
    root = tmp_path_factory.mktemp("runs")
    found: dict[int, list[Path]] = {4: [], 8: []}
    for t, paths in found.items():
        for seed in SEEDS:
            run = make_run(root / f"t{t}-s{seed}", seed=seed)
            run.scores += 0.1 * (t == 8) + 0.01 * seed * (t == 8)
            run.write_all()
            run.write_start(CONFIG.format(seed=seed, t=t))
            paths.append(run.folder.path)
    return found


@pytest.fixture(scope="module")
def comparison(folders: dict[int, list[Path]]) -> Comparison:
    return compared(results_of([*folders[4], *folders[8]]))


def summaries(paths: list[Path], key: str) -> np.ndarray:
    return np.array([json.loads((path / "summary.json").read_text())[key] for path in paths])


def test_runs_without_a_study_are_named_by_what_differs(comparison: Comparison) -> None:
    assert [arm.label for arm in comparison.arms] == ["solver.t=4", "solver.t=8"]
    assert [list(arm.results) for arm in comparison.arms] == [[0, 1, 2]] * 2


@pytest.mark.parametrize("key", ["best", "query_mean", "frechet"])
def test_means_and_intervals_by_hand(
    key: str, comparison: Comparison, folders: dict[int, list[Path]]
) -> None:
    for t, paths in folders.items():
        values = summaries(paths, key)
        cell = comparison.cells[key, f"solver.t={t}"]
        assert cell.n == 3
        assert cell.mean == pytest.approx(values.sum() / 3)
        deviation = math.sqrt(((values - values.sum() / 3) ** 2).sum() / 2)
        assert cell.half_width == pytest.approx(T_975_2 * deviation / math.sqrt(3), rel=1e-6)


def test_the_gain_is_of_queries_over_references(
    comparison: Comparison, folders: dict[int, list[Path]]
) -> None:
    gains = summaries(folders[4], "query_mean") - summaries(folders[4], "reference_mean")
    assert comparison.cells["gain", "solver.t=4"].mean == pytest.approx(gains.mean())


def test_differences_are_paired_by_seed(
    comparison: Comparison, folders: dict[int, list[Path]]
) -> None:
    differences = summaries(folders[4], "query_mean") - summaries(folders[8], "query_mean")
    (pairing,) = [each for each in comparison.pairings if each.measure.key == "query_mean"]
    assert (pairing.a, pairing.b, pairing.difference.n) == ("solver.t=4", "solver.t=8", 3)
    assert pairing.difference.mean == pytest.approx(differences.mean())
    half_width = T_975_2 * differences.std(ddof=1) / math.sqrt(3)
    assert pairing.difference.half_width == pytest.approx(half_width, rel=1e-6)
    # About .11 +- .02: the seeds' own scatter, of about .1, drops out of the pairs.
    assert pairing.difference.clear_of_zero
    assert comparison.cells["query_mean", "solver.t=4"].half_width > half_width


def test_curves_are_those_of_the_journals(comparison: Comparison) -> None:
    arm = comparison.arms[0]
    best, mean = (curves(comparison.arms, kind, "queries")[0] for kind in ("best", "mean"))
    scores = np.stack([run.queries.scores for run in arm.results.values()])
    novel = np.stack([run.queries.novel for run in arm.results.values()])
    assert best.x.tolist() == list(range(1, 41))
    counted = np.where(novel, scores, -np.inf)
    expected = np.fmax.accumulate(counted, axis=1)
    assert best.each == pytest.approx(expected)
    assert best.mean == pytest.approx(expected.mean(axis=0))
    assert mean.each[:, -1] == pytest.approx(np.nanmean(scores, axis=1))
    assert mean.each[:, 9] == pytest.approx(np.nanmean(scores[:, :10], axis=1))


def test_curves_against_seconds_step_when_a_score_is_there(comparison: Comparison) -> None:
    """Made-up rounds take 3.25 s before every eighth query, and each query .87 s."""
    curve = curves(comparison.arms, "best", "seconds")[0]
    run = comparison.arms[0].results[0]
    assert run.seconds[0] == pytest.approx(3.25 + 0.87)
    assert run.seconds[-1] == pytest.approx(5 * 3.25 + 40 * 0.87)
    assert curve.x[-1] == pytest.approx(run.seconds[-1])
    assert np.isnan(curve.mean[curve.x < run.seconds[0]]).all()
    assert curve.each[0, -1] == run.curves["best"][-1]
    later = np.searchsorted(curve.x, run.seconds[20] + 0.4)
    assert curve.each[0, later] == run.curves["best"][20]


def test_the_page_needs_nothing_else(folders: dict[int, list[Path]], tmp_path: Path) -> None:
    result = vqlso("compare", *folders[4], *folders[8], "--out", tmp_path)
    assert result.exit_code == 0, result.output
    assert "solver.t=8" in result.stdout
    page = Page(tmp_path / "comparison.html")
    assert not page.open
    ids = {attrs["id"] for _, attrs in page.tags if attrs.get("id")}
    assert ids >= {
        "figures",
        "differences",
        "curves",
        "images",
        "meaning",
        "runs",
        "row-best",
        "row-gain",
    }
    assert len([tag for tag, _ in page.tags if tag == "svg"]) == 4
    assert not [attrs for _, attrs in page.tags if str(attrs.get("src", "")).startswith("http")]
    assert "#01" not in page.html  # every hue has become a colour of the page
    assert "With 3 seeds an interval is wide" in page.text
    assert "7 comparisons without correction" in page.text
    assert "nan" not in page.text


def test_the_charts_are_pictures_in_colour(folders: dict[int, list[Path]], tmp_path: Path) -> None:
    vqlso("compare", *folders[4], *folders[8], "--out", tmp_path)
    charts = {path.name: path for path in (tmp_path / "charts").iterdir()}
    assert charts.pop("best-images.png").is_file()
    assert sorted(charts) == [
        f"{kind}-{against}.png" for kind in ("best", "mean") for against in ("queries", "seconds")
    ]
    for path in charts.values():
        pixels = np.asarray(Image.open(path).convert("RGB"))
        assert pixels[0, 0].tolist() == [0xFD, 0xFD, 0xFC]  # the page's paper
        for line in ((0x1F, 0x63, 0xC6), (0xBF, 0x52, 0x12)):  # the first two methods'
            assert (pixels == line).all(axis=2).any()
        assert not (pixels < 12).all(axis=2).any()  # no hue was left over


def test_the_best_images_stand_right_of_their_starting_points(comparison: Comparison) -> None:
    strips = best_strips(comparison)
    assert [(strip.method, strip.seed) for strip in strips] == [
        ("solver.t=4", 0),
        ("solver.t=8", 0),
    ]
    kept = comparison.arms[1].results[0].folder.read_arrays("evaluation.npz")
    pixels = np.asarray(strips[1].picture)[:, :, :3]
    assert strips[1].count == 10
    assert strips[1].paired
    for left, images in ((0, kept["best_references"]), (68, kept["best_images"])):
        tiles = [pixels[:64, left + 148 * pair :][:, :64] for pair in range(10)]
        np.testing.assert_array_equal(tiles, images[:10].transpose(0, 2, 3, 1))


def test_json_for_machines(folders: dict[int, list[Path]], tmp_path: Path) -> None:
    printed = json.loads(vqlso("compare", *folders[4], "--out", tmp_path, "--json").stdout)
    (method,) = printed["methods"].values()
    assert method["seeds"] == [0, 1, 2]
    assert method["best"]["mean"] == pytest.approx(summaries(folders[4], "best").mean())
    assert printed["differences"] == []


def distances(value: float) -> dict[str, object]:
    """Of one group, as the pipeline measures them."""
    whole = [value, value - 1, value + 1]
    degree = {"3": {"n": 77, "frechet": [value + 3, 0.0, 99.0]}}
    shares = {"precision": 0.5, "recall": 0.25, "density": 1.0, "coverage": 0.5}
    figures = {"n": 120, "frechet": whole, "kernel": [0.5, -0.25, 1.25], "rank_deficient": False}
    return {**figures, "frechet_by_degree": degree, **shares}


def test_pooled_distances_are_labelled_by_network_and_n(comparison: Comparison) -> None:
    groups = {"solver.t=4": 41.0, "solver.t=8": 37.0, "real target images": 5.0}
    images = {name: distances(value) for name, value in groups.items()}
    runs = {"solver.t=4": 3, "solver.t=8": 3}
    pooled = Pooled(({"network": "a network", "images": images},), runs, ("One is left out.",))
    full = replace(comparison, distances=pooled)
    page = render(full, {})
    for cell in ("37.00 (36.00 to 38.00)", "to degree 3, N 77", "40.00", ">120<", "25.0\u202f%"):
        assert cell in page
    assert "In the features of a network" in page
    assert "0.500 (−0.250 to 1.25)" in page
    assert "One is left out." in page
    terminal = Console(file=io.StringIO(), width=200, record=True)
    for table in distances_shown(full):
        terminal.print(table)
    shown = terminal.export_text()
    assert "Degree 3, N 77" in shown
    assert "41.00 ± 1.00" in shown
    assert "a network" in shown
    assert 'id="distances"' not in render(comparison, {})
    files = files_of(full)
    assert files["charts/tradeoff-0.png"].startswith(b"\x89PNG")
    assert f"solver.t=8 {full.cells['query_mean', 'solver.t=8'].mean:.2f}" in files[PAGE].decode()
    assert not [name for name in files_of(comparison) if "tradeoff" in name]


def test_one_seed_has_no_interval(folders: dict[int, list[Path]]) -> None:
    single = compared(results_of([folders[4][0], folders[8][0]]))
    assert {cell.half_width for cell in single.cells.values()} == {None}
    assert all(math.isnan(each.difference.t_test) for each in single.pairings)


def test_unequal_sides_are_told(folders: dict[int, list[Path]]) -> None:
    unequal = compared(results_of([*folders[4], folders[8][1]]))
    assert any("different seeds" in each for each in unequal.mixed)
    (pairing,) = [each for each in unequal.pairings if each.measure.key == "best"]
    assert pairing.difference.n == 1


def test_what_is_not_finished_is_left_out_and_named(
    make_run: type, folders: dict[int, list[Path]], tmp_path: Path
) -> None:
    unfinished = make_run(tmp_path / "unfinished", queries=8)
    unfinished.write_start(CONFIG.format(seed=7, t=4))
    unfinished.write_journal()
    found = compared(results_of([*folders[4], unfinished.folder.path]))
    assert found.missing == ("queries=8, seed 7 is not finished.",)
    said(vqlso("compare", unfinished.folder.path), "Nothing to compare", "seed 7 is not finished")


def test_folders_that_cannot_be_compared(folders: dict[int, list[Path]], tmp_path: Path) -> None:
    with pytest.raises(RunFolderError, match="is not a run folder"):
        results_of([tmp_path / "none"])
    copy = shutil.copytree(folders[4][0], tmp_path / "copy")
    with pytest.raises(StudyError, match="the same run twice"):
        results_of([folders[4][0], copy])
    (tmp_path / PLAN).write_text("{")
    with pytest.raises(StudyError, match=r"study\.json is damaged"):
        results_of([tmp_path])


def test_more_methods_than_hues(make_run: Callable, tmp_path: Path) -> None:
    """Nine methods, one of which never answered."""
    paths = []
    for t in range(1, 10):
        failed = tuple(range(12)) if t == 3 else (5,)
        run = make_run(tmp_path / str(t), queries=12, judged=None, failed=failed)
        if t == 3:
            run.answered = np.arange(1)  # its summary has to hold something
        run.write_all()
        run.write_start(CONFIG.format(seed=0, t=t))
        paths.append(run.folder.path)
    result = vqlso("compare", *paths, "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert "36" not in Page(tmp_path / "out" / "comparison.html").text[:200]
