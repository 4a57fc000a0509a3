"""Whatever is wrong with what a person gives: one paragraph with the thing and the remedy."""

import errno
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image
from tiny_runs import said, tiny, vqlso

from pipeline.preparation import preparing
from pipeline.runs.folder import RunFolder
from vqlso.errors import CheckpointError, ConfigError, DataError, RunFolderError


@pytest.fixture
def run(tmp_path: Path, cache: Path):
    """A run that is expected to fail."""
    return lambda *overrides: vqlso("run", *tiny(tmp_path / "run", cache, *overrides))


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A folder of six grey pictures with a CSV of scores beside it."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    lines = ["file,score"]
    for number in range(6):
        Image.new("RGB", (70, 64), (40 * number,) * 3).save(folder / f"{number}.png")
        lines.append(f"{number}.png,{number}")
    (tmp_path / "scores.csv").write_text("\n".join(lines) + "\n")
    return folder


def of(pictures: Path) -> tuple[str, ...]:
    return "data=folder", f"data.root={pictures}", f"data.scores={pictures.parent}/scores.csv"


def unfinished(finished: RunFolder, tmp_path: Path) -> RunFolder:
    """A copy of a run that was killed before its summary was written."""
    folder = tmp_path / "run"
    shutil.copytree(finished.path, folder)
    (folder / "summary.json").unlink()
    return RunFolder(folder)


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("quieries=5", ["'quieries'", "did you mean 'queries'"]),
        ("solver.tt=5", ["'solver.tt'", "did you mean 'solver.t'"]),
        ("data=facse", ["'facse'", "did you mean 'faces'", "celeba, faces, folder"]),
        ("queries", ["'queries'", "key=value"]),
        ("queries=many", ["queries", "'many'"]),
        ("queries=2.5", ["queries", "2.5"]),
        ("queries=0", ["queries must be at least 1", "0"]),
        ("queries=-3", ["queries must be at least 1", "-3"]),
        ("batch=0", ["batch must be at least 1"]),
        ("seed=-1", ["seed must be at least 0"]),
        ("threads=0", ["threads must be at least 1"]),
        ("data.size=60", ["data.size=60", "multiple of 8", "56 or 64"]),
        ("data.kind=fases", ["data.kind", "did you mean 'faces'"]),
        ("data=folder data.crop=center", ["data.crop", "did you mean 'centre'"]),
        ("data.count=0", ["data.count must be at least 1"]),
        ("data=folder data.max_bad_share=nan", ["data.max_bad_share", "nan"]),
        ("generator.codebook.update=emma", ["generator.codebook.update", "did you mean 'ema'"]),
        ("generator.decay=cosinus", ["generator.decay", "did you mean 'cosine'"]),
        ("generator.learning_rate=0", ["generator.learning_rate must be above 0"]),
        ("generator.checkpoint=none.safetensors", ["generator.checkpoint=none.safetensors"]),
        ("objective.kind=person", ["objective.kind", "callable"]),
        ("surrogate=lightgbm surrogate.leaves=1", ["surrogate.leaves must be at least 2"]),
        ("surrogate.kind=catboost", ["surrogate.kind 'catboost'"]),
        ("surrogate=grid_boosting surrogate.depth=3", ["surrogate.depth", "surrogate=lightgbm"]),
        ("surrogate=grid_boosting surrogate.leaves=8", ["surrogate.leaves", "no effect"]),
        ("solver.t=65", ["64 cells (8 x 8)", "solver.t"]),
        ("solver.t=0", ["solver.t must be at least 1"]),
        ("solver.cells=[3,64]", ["64 cells", "solver.cells"]),
        ("solver.backend=hihgs", ["'hihgs'", "Did you mean 'highs'"]),
        ("solver.importance=gains", ["solver.importance", "did you mean 'gain'"]),
        ("solver.references=unifrom", ["solver.references", "did you mean 'uniform'"]),
        ("solver.time_limit=0", ["solver.time_limit must be above 0"]),
        ("retrainer.every=0", ["retrainer.every must be at least 1"]),
        ("retrainer.k=0", ["retrainer.k must be above 0"]),
        ("shift.components=0", ["shift.components must be at least 1"]),
        ("metrics.features=none.pth", ["metrics.features=none.pth"]),
    ],
)
def test_a_setting_that_cannot_be_used(override: str, words: list[str], run, tmp_path) -> None:
    result = run(*override.split())
    assert result.exit_code == ConfigError.exit_code
    said(result, *words)
    assert not (tmp_path / "run").exists()  # found before anything was made


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["data=celeba"], ["data.kind=celeba needs data.root"]),
        (["data=folder", "data.root=."], ["data.kind=folder needs data.scores"]),
        (["objective=callable"], ["objective.kind=callable needs objective.target"]),
        (["objective.target=my:score"], ["objective.target", "no effect", "objective=callable"]),
        (["objective=celeba_dialog"], ["needs objective.checkpoint"]),
        (["objective=callable", "objective.target=no_such:f"], ["no_such", "ModuleNotFound"]),
        (["objective=callable", "objective.target=math"], ["'math'", "module:function"]),
    ],
)
def test_something_that_another_setting_needs(overrides: list[str], words: list[str], run) -> None:
    result = run(*overrides)
    assert result.exit_code == ConfigError.exit_code
    said(result, *words)


def test_an_unknown_experiment() -> None:
    said(vqlso("run", "smile_shfit"), "'smile_shfit'", "did you mean 'smile_shift'", "demo")


def test_debug_shows_the_traceback(run) -> None:
    with pytest.raises(ConfigError):
        run("queries=0", "--debug")


def test_a_checkpoint_of_another_architecture(run, finished: RunFolder, tmp_path: Path) -> None:
    judge = finished.path / "networks" / "judge.safetensors"
    result = run(f"generator.checkpoint={judge}")
    assert result.exit_code == CheckpointError.exit_code
    said(result, str(judge), "degree classifier", "vqvae")
    text = tmp_path / "notes.safetensors"
    text.write_text("not weights")
    result = run(f"generator.checkpoint={text}")  # the first attempt made nothing to be kept
    assert result.exit_code == CheckpointError.exit_code
    said(result, str(text), "safetensors")


def test_a_checkpoint_for_images_of_another_size(run, finished: RunFolder) -> None:
    checkpoint = finished.path / "networks" / "generator.safetensors"
    said(run(f"generator.checkpoint={checkpoint}", "data.size=32"), "64 pixels", "data.size=64")


def test_a_scorer_for_images_of_another_size(finished: RunFolder, tmp_path: Path) -> None:
    """Not a failed query: it would fail every time."""
    folder = unfinished(finished, tmp_path)
    config = yaml.safe_load(folder.config.read_text())
    config["data"]["size"] = 32
    folder.config.write_text(yaml.safe_dump(config))
    result = vqlso("resume", "--force", folder.path)
    assert result.exit_code == DataError.exit_code
    said(result, "3 x 64 x 64", "3 x 32 x 32", "same size")


def test_a_configuration_that_was_edited(finished: RunFolder, tmp_path: Path) -> None:
    folder = unfinished(finished, tmp_path)
    text = folder.config.read_text()
    folder.config.write_text(text.replace("  t: 3", "  t: 2"))
    result = vqlso("resume", folder.path)
    assert result.exit_code == RunFolderError.exit_code
    said(result, "solver.t was 3 and is 2", "another out=DIR", "--force")
    forced = vqlso("resume", "--force", folder.path)
    assert forced.exit_code == 0, forced.output
    assert "solver.t was 3 and is 2" in forced.stderr
    assert "solver.t was 3 and is 2" in folder.report.read_text()


def test_a_finished_run_is_not_reported_under_an_edited_configuration(
    finished: RunFolder, tmp_path: Path
) -> None:
    folder = RunFolder(Path(shutil.copytree(finished.path, tmp_path / "finished")))
    before = folder.report.read_text()
    folder.config.write_text(folder.config.read_text().replace("  t: 3", "  t: 2"))
    result = vqlso("resume", folder.path)
    assert result.exit_code == RunFolderError.exit_code
    said(result, "solver.t was 3 and is 2")
    assert folder.report.read_text() == before


@pytest.mark.parametrize("command", ["resume", "report"])
def test_a_configuration_that_is_no_yaml(command: str, finished: RunFolder, tmp_path: Path) -> None:
    folder = unfinished(finished, tmp_path)
    folder.config.write_text("queries: [")
    said(vqlso(command, folder.path), "config.yaml")


def test_a_truncated_image_of_a_query(finished: RunFolder, tmp_path: Path) -> None:
    folder = unfinished(finished, tmp_path)
    image = folder.path / "archive/000001-query.png"
    image.write_bytes(image.read_bytes()[:200])
    result = vqlso("resume", folder.path)
    assert result.exit_code == RunFolderError.exit_code
    said(result, "000001-query.png is damaged", "start a new run")


@pytest.mark.parametrize("gone", [2, 4])
def test_a_deleted_line_of_the_journal(gone: int, finished: RunFolder, tmp_path: Path) -> None:
    folder = unfinished(finished, tmp_path)
    lines = folder.journal.path.read_bytes().splitlines(keepends=True)
    folder.journal.path.write_bytes(b"".join(lines[:gone] + lines[gone + 1 :]))
    for command in ("resume", "report"):
        said(vqlso(command, folder.path), f"Line {gone + 1}", "deleted", "another out=DIR")


def test_a_round_whose_generator_is_gone(finished: RunFolder, tmp_path: Path) -> None:
    """A journal that was cut back behind a round whose weights were deleted."""
    folder = unfinished(finished, tmp_path)
    lines = folder.journal.path.read_bytes().splitlines(keepends=True)
    folder.journal.path.write_bytes(b"".join(lines[:3]))
    result = vqlso("resume", folder.path)
    assert result.exit_code == RunFolderError.exit_code
    said(result, "rounds/001/generator.safetensors", "start a new run")


def test_pictures_smaller_than_asked_for(run, pictures: Path) -> None:
    for path in pictures.iterdir():
        Image.new("RGB", (40, 40)).save(path)
    result = run(*of(pictures))
    assert result.exit_code == DataError.exit_code
    said(result, "1 of 6 pictures", "0.png offers a square of 40 pixels, fewer than the 64")


def test_an_empty_folder_of_pictures(run, pictures: Path) -> None:
    for path in pictures.iterdir():
        path.unlink()
    result = run(*of(pictures))
    assert result.exit_code == DataError.exit_code
    said(result, f"{pictures} is empty")


def test_too_many_damaged_pictures(run, pictures: Path) -> None:
    (pictures / "2.png").write_bytes(b"\x89PNG damaged")
    said(run(*of(pictures)), "1 of 6 pictures", "max_bad_share", "2.png cannot be decoded")


def test_too_few_people_for_two_scorers(run, pictures: Path) -> None:
    (pictures.parent / "scores.csv").write_text("file,score\n0.png,0\n1.png,5\n")
    said(run(*of(pictures)), "2 people are too few")


@pytest.mark.parametrize(("restrict", "which"), [("-1", "no image"), ("9", "every image")])
def test_a_restriction_that_leaves_one_side_empty(
    restrict: str, which: str, run, pictures: Path
) -> None:
    result = run(*of(pictures), f"data.restrict={restrict}")
    assert result.exit_code == DataError.exit_code
    said(result, which, "data.restrict", "from 0 to 5")


def test_missing_annotations(run, tmp_path: Path) -> None:
    (tmp_path / "celeba" / "img_align_celeba").mkdir(parents=True)
    said(
        run("data=celeba", f"data.root={tmp_path / 'celeba'}"),
        "combined_annotation.txt",
        "list_attr_celeba.txt",
    )


def test_a_mistake_that_made_nothing_may_be_corrected_in_place(
    run, pictures: Path, tmp_path: Path
) -> None:
    said(run(*of(pictures), "data.restrict=-1"), "no image")
    said(run(*of(pictures), "data.restrict=9"), "every image")
    kept = yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())
    assert kept["data"]["restrict"] == 9


def test_a_folder_that_holds_a_run(finished: RunFolder, cache: Path) -> None:
    before = finished.config.read_bytes()
    result = vqlso("run", *tiny(finished.path, cache, "seed=5"))
    assert result.exit_code == RunFolderError.exit_code
    said(result, f"vqlso resume {finished.path}", "out=DIR")
    assert finished.config.read_bytes() == before


def test_an_out_that_is_a_file(cache: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    said(vqlso("run", *tiny(tmp_path / "file", cache)), str(tmp_path / "file"), "out=DIR")


@pytest.mark.parametrize("command", ["resume", "report"])
def test_a_folder_without_a_run(command: str, tmp_path: Path) -> None:
    result = vqlso(command, tmp_path / "nothing")
    assert result.exit_code == RunFolderError.exit_code
    said(result, "nothing is not a run folder", "runs/")
    assert not (tmp_path / "nothing").exists()


def test_a_configuration_of_another_version(finished: RunFolder, tmp_path: Path) -> None:
    config = yaml.safe_load(finished.config.read_text())
    config["solver"]["temperature"] = 3
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    said(vqlso("resume", tmp_path), "config.yaml", "temperature")


@pytest.mark.parametrize("file", ["config.yaml", "archive/initial.npz", "journal.jsonl"])
def test_a_full_disk(file: str, run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message names the file and the way on; with room again the run can be finished."""
    replace, fsync = os.replace, os.fsync

    def no_room(source: str, target: str) -> None:
        if str(target).endswith(file):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(target))
        replace(source, target)

    def no_room_for_more(descriptor: int) -> None:
        if file == "journal.jsonl":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        fsync(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", no_room)
        patch.setattr(os, "fsync", no_room_for_more)
        result = run()
    assert result.exit_code == RunFolderError.exit_code
    said(result, file, "No space left", f"vqlso resume {tmp_path / 'run'}")
    assert not list((tmp_path / "run").rglob("*.part"))


def test_data_that_have_changed_since(
    finished: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run is not continued on other training images than it was begun on."""
    folder = unfinished(finished, tmp_path)
    load = preparing.load_data

    def fewer(*args):
        data = load(*args)
        labels = data.labels.copy()
        labels[np.flatnonzero(labels < 2)[0]] = 5
        return type(data)(**{**vars(data), "labels": labels})

    monkeypatch.setattr(preparing, "load_data", fewer)
    said(vqlso("resume", folder.path), "the data has changed", "Start a new run")


def test_a_generator_that_has_changed_since(finished: RunFolder, tmp_path: Path) -> None:
    folder = unfinished(finished, tmp_path)
    shutil.copy(folder.path / "networks/generator.safetensors", folder.generator_of(2))
    result = vqlso("resume", folder.path)
    assert result.exit_code == RunFolderError.exit_code
    said(result, "was run with generator", "Start a new run")


def test_two_processes_on_one_run(finished: RunFolder, tmp_path: Path) -> None:
    folder = unfinished(finished, tmp_path)
    with folder.locked():
        said(vqlso("resume", folder.path), "Another process is working", str(folder.path))
