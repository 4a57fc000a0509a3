"""A run's folder: whole files or none, and every failure named."""

import errno
import os
from pathlib import Path

import numpy as np
import pytest
from toys import Mosaic

from pipeline.run_folder import RunFolder
from vqlso.errors import RunFolderError


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder(tmp_path / "run")


def test_files_come_back_as_they_were_written(folder: RunFolder) -> None:
    image = np.random.default_rng(0).integers(0, 256, (3, 5, 7), dtype=np.uint8)
    folder.write_json("facts.json", {"a": 1, "b": [None, "c"]})
    folder.write_arrays("deep/arrays.npz", x=np.arange(3), y=np.array([np.nan]))
    folder.write_image(12, image)
    folder.write_image(12, 255 - image, "reference")
    assert folder.read_json("facts.json") == {"a": 1, "b": [None, "c"]}
    arrays = folder.read_arrays("deep/arrays.npz")
    np.testing.assert_array_equal(arrays["x"], np.arange(3))
    assert np.isnan(arrays["y"]).all()
    np.testing.assert_array_equal(folder.read_image(12), image)
    np.testing.assert_array_equal(folder.read_image(12, "reference"), 255 - image)


def test_json_has_null_for_nan(folder: RunFolder) -> None:
    """A correlation of constant scores is no number, but no reason to lose a run either."""
    folder.write_json("facts.json", {"correlation": float("nan")})
    assert folder.read_json("facts.json") == {"correlation": None}


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EACCES])
def test_what_cannot_be_written_leaves_the_old_file(
    folder: RunFolder, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.write("file", b"old")

    def refuse(source: Path, target: Path) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(RunFolderError, match=f"{os.strerror(code)}.*MB are free.*vqlso resume"):
        folder.write("file", b"new")
    assert (folder.path / "file").read_bytes() == b"old"
    assert [path.name for path in folder.path.iterdir()] == ["file"]


def test_a_generator_that_cannot_be_saved_is_named(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Mosaic, path: Path) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Mosaic, "save", refuse)
    with pytest.raises(RunFolderError, match=r"rounds/003/generator\.safetensors cannot be"):
        folder.keep_generator(Mosaic(), 3)


def test_generators_are_kept_and_forgotten(folder: RunFolder) -> None:
    folder.keep_generator(Mosaic(2), 1)
    assert Mosaic.load(folder.generator_of(1)).turn == 2
    folder.forget_generator_of(1)
    folder.forget_generator_of(1)
    assert not folder.generator_of(1).exists()


def test_what_is_missing_is_named(folder: RunFolder) -> None:
    with pytest.raises(RunFolderError, match=r"no summary\.json: the run did not get so far"):
        folder.read_json("summary.json")
    with pytest.raises(RunFolderError, match=r"no archive/initial\.npz"):
        folder.read_arrays("archive/initial.npz")
    with pytest.raises(RunFolderError, match="image of query 3 is missing"):
        folder.read_image(3)


def test_a_folder_is_a_run_once_it_has_a_configuration(folder: RunFolder) -> None:
    with pytest.raises(RunFolderError, match=r"no config\.yaml"):
        RunFolder.existing(folder.path)
    folder.write("config.yaml", b"name: x\n")
    assert RunFolder.existing(folder.path).config == folder.config


@pytest.mark.parametrize("made", ["journal.jsonl", "networks/judge.safetensors", "archive/x.npz"])
def test_a_run_has_begun_once_something_was_made(folder: RunFolder, made: str) -> None:
    folder.write("config.yaml", b"name: x\n")
    assert not folder.begun
    folder.write(made, b"")
    assert folder.begun


def test_only_one_may_write(folder: RunFolder) -> None:
    other = RunFolder(folder.path)
    with (
        folder.locked(),
        pytest.raises(RunFolderError, match="Another process"),
        other.locked(),
    ):
        pytest.fail("two processes at once")
    with other.locked():
        pass


@pytest.mark.parametrize("name", ["summary.json", "archive.npz"])
def test_a_damaged_file_is_named_with_the_remedy(name: str, tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    (tmp_path / name).write_bytes(b"PK half a file")
    with pytest.raises(RunFolderError, match=rf"{name} is damaged.*start a new run"):
        (folder.read_json if name.endswith("json") else folder.read_arrays)(name)
