"""What is different when a run is resumed: named, refused or recorded."""

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline import provenance
from pipeline.configuration.composition import composed
from pipeline.configuration.settings import ExperimentConfig
from pipeline.provenance import FILE, compare, environment
from pipeline.runs.folder import RunFolder
from vqlso.errors import RunFolderError

OWN = ("objective=callable", "objective.target=own_resumed_score:score")


@pytest.fixture
def own_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    path = tmp_path / "own_resumed_score.py"
    path.write_text("def score(images):\n    return images.mean((1, 2, 3))\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield path
    sys.modules.pop("own_resumed_score", None)


def started(tmp_path: Path, *overrides: str) -> tuple[RunFolder, ExperimentConfig]:
    folder, config = RunFolder(tmp_path / "run"), composed("demo", overrides)
    folder.write_json(FILE, environment(config, ["vqlso", "run"]))
    return folder, config


def test_nothing_different_is_nothing_said(tmp_path: Path) -> None:
    folder, config = started(tmp_path, "retrainer.k=inf", "solver.cells=[1,2]")
    before = (folder.path / FILE).read_bytes()
    assert compare(folder, config, force=False) == ""
    assert (folder.path / FILE).read_bytes() == before


def test_an_edited_setting_is_named_and_refused(tmp_path: Path) -> None:
    folder, config = started(tmp_path)
    edited = replace(config, queries=9, solver=replace(config.solver, t=16))
    with pytest.raises(
        RunFolderError, match=r"queries was 60 and is 9; solver\.t was 8 and is 16"
    ) as e:
        compare(folder, edited, force=False)
    assert f"vqlso resume --force {folder.path}" in str(e.value)


def test_what_was_forced_is_recorded_and_from_then_on_known(tmp_path: Path) -> None:
    folder, config = started(tmp_path)
    edited = replace(config, queries=9)
    assert "queries was 60 and is 9" in compare(folder, edited, force=True)
    (resumed,) = folder.read_json(FILE)["resumed"]
    assert resumed["changes"] == ["queries was 60 and is 9"]
    assert compare(folder, edited, force=False) == ""


def test_what_may_be_moved_may_be_moved(tmp_path: Path) -> None:
    folder, config = started(tmp_path, "data=folder", "data.root=a", "data.scores=b")
    moved = replace(config, cache="c", threads=1, data=replace(config.data, root="x", scores="y"))
    assert compare(folder, moved, force=False) == ""


def test_other_versions_are_a_warning_that_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, config = started(tmp_path)
    true = provenance.version
    monkeypatch.setattr(
        provenance, "version", lambda name: "9.9" if name == "torch" else true(name)
    )
    monkeypatch.setattr(provenance, "_source", lambda: "0123")
    warning = compare(folder, config, force=False)
    assert f"torch was {true('torch')} and is 9.9" in warning
    assert "source was" in warning
    kept = folder.read_json(FILE)
    assert kept["packages"]["torch"] == "9.9"
    assert len(kept["resumed"]) == 1
    assert compare(folder, config, force=False) == ""


def test_a_function_that_was_edited_is_refused(tmp_path: Path, own_module: Path) -> None:
    folder, config = started(tmp_path, *OWN)
    assert compare(folder, config, force=False) == ""
    own_module.write_text(own_module.read_text().replace("mean", "max"))
    with pytest.raises(RunFolderError, match=r"objective was \w{16} and is \w{16}"):
        compare(folder, config, force=False)
    assert "objective was" in compare(folder, config, force=True)


def test_a_run_of_an_earlier_version_is_compared_in_what_it_kept(tmp_path: Path) -> None:
    folder, config = started(tmp_path)
    old = folder.read_json(FILE)
    kept = {key: old[key] for key in ("python", "packages")}
    folder.write_json(FILE, kept)
    assert compare(folder, replace(config, queries=9), force=False) == ""
    (folder.path / FILE).unlink()
    assert compare(folder, config, force=False) == ""


def test_the_source_is_all_of_the_projects_code() -> None:
    assert provenance._source() == provenance._source()
    assert len(provenance._source()) == 16
