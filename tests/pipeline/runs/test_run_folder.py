"""A run's folder: whole files or none, and every failure named."""

import errno
import os
from pathlib import Path

import numpy as np
import pytest
from toys import Mosaic

from pipeline.runs.folder import RunFolder
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
    folder.keep_generator(Mosaic(3), 2)
    for _ in range(2):
        folder.forget_before(2)
        assert not folder.generator_of(1).exists()
        assert Mosaic.load(folder.generator_of(2)).turn == 3


@pytest.mark.parametrize(
    ("round_", "kept"),
    [
        (3, [0, 1, 2, 3]),
        (4, [0, 2, 4]),
        (7, [0, 2, 4, 6, 7]),
        (8, [0, 4, 8]),
        (70, [0, 32, 64, 70]),
    ],
)
def test_of_a_long_run_rounds_are_thinned(
    round_: int, kept: list[int], folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether all at once or after each round, which is how a killed run and another differ."""
    monkeypatch.setattr("pipeline.runs.folder.MOST_ROUNDS", 4)
    for number in range(round_ + 1):
        folder.write(f"rounds/{number:03d}/shift.npz", b"")
        if round_ != 7:
            folder.forget_before(number)
    folder.forget_before(round_)
    assert sorted(int(each.name) for each in (folder.path / "rounds").iterdir()) == kept


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


@pytest.mark.parametrize("length", [0, 8, 40, 120])
def test_a_truncated_image_is_named_with_the_remedy(folder: RunFolder, length: int) -> None:
    image = np.random.default_rng(0).integers(0, 256, (3, 40, 40), dtype=np.uint8)
    folder.write_image(3, image)
    path = folder.path / "archive/000003-query.png"
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(RunFolderError, match=r"000003-query\.png is damaged.*start a new run"):
        folder.read_image(3)


def test_an_image_with_a_damaged_chunk_is_named(folder: RunFolder) -> None:
    folder.write_image(3, np.zeros((3, 40, 40), dtype=np.uint8))
    path = folder.path / "archive/000003-query.png"
    content = bytearray(path.read_bytes())
    for position in range(33, len(content), 3):
        content[position] ^= 0x5A
    path.write_bytes(content)
    with pytest.raises(RunFolderError, match=r"000003-query\.png is damaged"):
        folder.read_image(3)


@pytest.mark.parametrize("text", ["[]", "1", "null"])
def test_json_that_holds_no_facts_is_damaged(folder: RunFolder, text: str) -> None:
    folder.write("summary.json", text.encode())
    with pytest.raises(RunFolderError, match=r"summary\.json is damaged"):
        folder.read_json("summary.json")


@pytest.mark.parametrize("text", [b"a: [", b"- 1", b"\xff", b"a: ${b"])
def test_a_configuration_that_cannot_be_read_is_damaged(folder: RunFolder, text: bytes) -> None:
    folder.write("config.yaml", text)
    with pytest.raises(RunFolderError, match=r"config\.yaml is damaged"):
        folder.read_settings()


def test_a_folder_stays_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder = RunFolder(Path("run"))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    folder.write("config.yaml", b"name: x\n")
    folder.journal.append("end", {})
    assert {path.name for path in (tmp_path / "run").iterdir()} == {"config.yaml", "journal.jsonl"}
    assert folder.named == Path("run")


@pytest.mark.parametrize("name", ["summary.json", "archive.npz"])
def test_a_damaged_file_is_named_with_the_remedy(name: str, tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    (tmp_path / name).write_bytes(b"PK half a file")
    with pytest.raises(RunFolderError, match=rf"{name} is damaged.*start a new run"):
        (folder.read_json if name.endswith("json") else folder.read_arrays)(name)
