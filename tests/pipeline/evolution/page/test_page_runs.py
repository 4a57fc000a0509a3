"""The runs folder: everything below it that is a run's, and nothing else."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.evolution.page.runs import SHOWN, RunsFolder
from pipeline.runs.folder import RunFolder
from vqlso.errors import RunFolderError

SECRET = "not for you"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A runs folder beside a secret run, with links out of it and within it."""
    top = tmp_path_factory.mktemp("top")
    outside, runs = top / "secret", top / "runs"
    for folder, task in ((outside, "search"), (runs / "a", "evolve"), (runs / "study" / "b", "")):
        folder.mkdir(parents=True)
        (folder / "config.yaml").write_text(f"name: x\ntask: {task}\n")
        (folder / "report.html").write_text(SECRET if folder == outside else "a report")
    (runs / "link").symlink_to(outside)
    (runs / "again").symlink_to(runs / "a")
    (runs / "circle").symlink_to(runs / "circle")
    (runs / "c").mkdir()
    (runs / "c" / "config.yaml").write_text("name: c\n")
    (runs / "c" / "report.html").symlink_to(outside / "report.html")
    (runs / "c" / "evaluation.npz").symlink_to(outside / "config.yaml")
    return runs


def test_runs_are_listed_with_what_they_are(root: Path) -> None:
    found = {run.name: run for run in RunsFolder(root).all()}
    assert found.keys() == {"a", "study/b", "c"}
    assert found["a"].can_be_picked_in
    assert not found["study/b"].is_session
    assert found["a"].has_report


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "../secret",
        "a/../../secret",
        "link",
        "circle",
        "study",
        "nothing",
        "a\0",
        "a" * 5000,
    ],
)
def test_nothing_outside_is_a_run(root: Path, name: str) -> None:
    with pytest.raises(RunFolderError, match="There is no run"):
        RunsFolder(root).path(name)
    assert not (root / "nothing").exists()


def test_an_absolute_path_is_none(root: Path) -> None:
    with pytest.raises(RunFolderError, match="There is no run"):
        RunsFolder(root).path(str(root.parent / "secret"))


@given(st.lists(st.sampled_from(["..", ".", "a", "link", "secret", "c", "study", "", "/"])))
def test_no_way_leads_to_the_secret(root: Path, parts: list[str]) -> None:
    try:
        content = RunsFolder(root).file("/".join(parts), "report.html").read_text()
    except RunFolderError:
        return
    assert content != SECRET


def test_links_within_a_run_stay_within_it(root: Path) -> None:
    runs = RunsFolder(root)
    assert runs.file("again", "report.html").read_text() == "a report"
    with pytest.raises(RunFolderError, match=r"has no report\.html"):
        runs.file("c", "report.html")
    assert len(runs.best_images("c")) == 0
    assert not runs.described("c").has_report


def test_the_best_images_are_shown(root: Path) -> None:
    images = np.arange(20 * 3 * 4 * 4, dtype=np.uint8).reshape(20, 3, 4, 4)
    RunFolder(root / "a").write_arrays("evaluation.npz", best_images=images)
    assert np.array_equal(RunsFolder(root).best_images("a"), images[:SHOWN])


def test_a_linked_runs_folder_is_one(root: Path, tmp_path: Path) -> None:
    (tmp_path / "runs").symlink_to(root)
    assert RunsFolder(tmp_path / "runs").path("a") == root / "a"
