"""Run folders, studies and tables of strangers: what they name is neither run nor written."""

import json
import os
import shutil
from pathlib import Path

import pytest
import yaml
from PIL import Image
from tiny_runs import said, vqlso

from pipeline.configuration.composition import as_yaml, composed, saved
from pipeline.origin import mark_of
from pipeline.studies.study import read_study
from vqlso.data.folder import image_folder
from vqlso.errors import ConfigError

BOMB = "a0: &a0 [x, x, x]\n" + "".join(
    f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 9)}]\n" for level in range(1, 9)
)
UNFIT = {
    "a number": "5",
    "a list": "- 1",
    "nested too deep": "a: " + "[" * 5000,
    "nested aliases": BOMB,
    "an alias of itself": "a: &a [*a]",
    "an object": "!!python/object/apply:os.system [echo]",
    "the environment": "name: ${oc.env:HOME}",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A run that somebody else has begun, beside a module that its black box lies in."""
    made = tmp_path / "run"
    made.mkdir()
    target = "objective.target=stolen_score:score"
    config = composed("demo", ["size=tiny", "objective=callable", target])
    (made / "config.yaml").write_text(as_yaml(config))
    (tmp_path / "stolen_score.py").write_text("open('ran', 'w')\ndef score(images): return 0\n")
    return made


@pytest.mark.parametrize("what", UNFIT)
def test_what_is_no_configuration_is_refused(what: str, tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(UNFIT[what])
    with pytest.raises(ConfigError, match="does not fit"):
        saved(path)
    with pytest.raises(ConfigError):
        read_study(str(path))


@pytest.mark.parametrize("forged", [None, "0" * 64])
def test_the_black_box_of_a_stranger_is_not_imported_without_a_question(
    folder: Path, forged: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VQLSO_CACHE", str(folder.parent / "cache"))
    monkeypatch.chdir(folder.parent)
    (folder / "environment.json").write_text(json.dumps({"origin": forged}))
    said(vqlso("resume", folder), "stolen_score", "not begun by you", "--force")
    assert not Path("ran").exists()


def test_marks_are_of_a_user_and_of_a_function(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VQLSO_CACHE", str(tmp_path / "one"))
    named, other, none = (
        composed("demo", ["size=tiny", *given])
        for given in (
            ["objective=callable", "objective.target=scores:smile"],
            ["objective=callable", "objective.target=scores:other"],
            [],
        )
    )
    mark = mark_of(named)
    assert mark is not None
    assert mark == mark_of(named)
    assert mark != mark_of(other)
    assert mark_of(none) is None
    assert (tmp_path / "one" / "origin.key").stat().st_mode & 0o077 == 0
    monkeypatch.setenv("VQLSO_CACHE", str(tmp_path / "two"))
    assert mark != mark_of(named)
    (tmp_path / "file").touch()
    monkeypatch.setenv("VQLSO_CACHE", str(tmp_path / "file"))
    assert mark_of(named) is None


@pytest.mark.parametrize("name", ["rounds", "journal.jsonl", ".lock", "archive/000000-query.png"])
def test_links_out_of_a_run_folder_are_refused(name: str, folder: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.write_text("mine")
    (folder / name).parent.mkdir(exist_ok=True)
    os.symlink(kept, folder / name)
    for command in ("resume", "report"):
        said(vqlso(command, folder), name, "is a link")
    assert kept.read_text() == "mine"
    shutil.rmtree(folder)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("name", ["/dev/zero", "pipe", "no\0file", "x" * 5000, "../nothing"])
def test_a_table_that_names_no_picture_is_not_read_without_end(name: str, tmp_path: Path) -> None:
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    os.mkfifo(pictures / "pipe")
    Image.new("RGB", (8, 8)).save(pictures / "a.png")
    (tmp_path / "scores.csv").write_text(f"file,score\n{name},1\na.png,2\n")
    data = image_folder(
        pictures, tmp_path / "scores.csv", size=8, cache=tmp_path / "cache", max_bad_share=0.5
    )
    assert len(data) == 1
    assert data.labels.tolist() == [2.0]


def test_numbers_that_no_grid_has_are_refused(tmp_path: Path) -> None:
    for t in (2**31, 10**30):
        result = vqlso("run", "demo", "size=tiny", f"solver.t={t}", f"out={tmp_path / 'run'}")
        said(result, "free cells were asked for", "solver.t")


def test_a_journal_whose_links_fit_but_whose_events_do_not(folder: Path) -> None:
    config = yaml.safe_load((folder / "config.yaml").read_text())
    assert config["objective"]["target"] == "stolen_score:score"
    from benchmarks.faults.fuzz_inputs import linked

    event = {"event": "query", "score": "high", "time": {"seconds": {}}}
    (folder / "journal.jsonl").write_bytes(linked([event]))
    said(vqlso("report", folder), "journal.jsonl", "not what this version of vqlso writes")
