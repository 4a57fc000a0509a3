import errno
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from vqlso.data import cache as cache_module
from vqlso.data.cache import Decoded, content_key, decoded
from vqlso.data.crop import CENTRE_SQUARE, Box, CentreCrop, Crop
from vqlso.errors import DataError

SIZE = 8


class CountingCrop:
    """The centre square; counts its calls and can be interrupted in one of them."""

    def __init__(self, interrupt_at: int | None = None) -> None:
        self.calls = 0
        self.interrupt_at = interrupt_at

    @property
    def settings(self) -> Mapping[str, Any]:
        return {"crop": "counting"}

    def box(self, picture: Image.Image) -> Box:
        if self.calls == self.interrupt_at:
            raise KeyboardInterrupt
        self.calls += 1
        return CENTRE_SQUARE.box(picture)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Twelve pictures, the i-th of them uniformly of the grey value i."""
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for value in range(12):
        Image.new("RGB", (SIZE, SIZE), (value,) * 3).save(pictures / f"{value:02d}.png")
    return pictures


def decode(
    folder: Path, crop: Crop = CENTRE_SQUARE, max_bad_share: float = 0.0, size: int = SIZE
) -> Decoded:
    return decoded(
        folder,
        sorted(path.name for path in folder.iterdir()),
        size=size,
        crop=crop,
        cache=folder.parent / "cache",
        max_bad_share=max_bad_share,
    )


def grey_values(images: np.ndarray) -> list[int]:
    assert all(len(np.unique(image)) == 1 for image in images)
    return [int(image[0, 0, 0]) for image in images]


def finished(folder: Path) -> list[Path]:
    cache = folder.parent / "cache"
    return [path for path in cache.iterdir() if path.is_dir() and path.suffix != ".partial"]


def test_images_come_in_the_order_of_the_names_as_a_read_only_map(folder: Path) -> None:
    result = decode(folder)
    assert grey_values(result.images) == list(range(12))
    assert result.images.shape == (12, 3, SIZE, SIZE)
    assert result.images.dtype == np.uint8
    assert isinstance(result.images, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        result.images[0] = 0


def test_the_second_call_decodes_nothing(folder: Path) -> None:
    first, second = CountingCrop(), CountingCrop()
    before = decode(folder, first)
    after = decode(folder, second)
    assert (first.calls, second.calls) == (12, 0)
    assert before.key == after.key
    np.testing.assert_array_equal(before.images, after.images)


def test_key_depends_on_names_content_size_and_crop(folder: Path) -> None:
    def key(*names: str, size: int = SIZE, crop: Crop = CENTRE_SQUARE) -> str:
        return content_key(folder, names, size=size, crop=crop)

    first = key("00.png", "01.png")
    keys = {
        first,
        key("01.png", "00.png"),
        key("00.png"),
        key("00.png", "01.png", size=4),
        key("00.png", "01.png", crop=CentreCrop(share=0.5)),
        key("00.png", "01.png", crop=CentreCrop(centre=(0.5, 0.4))),
    }
    stat = (folder / "00.png").stat()
    Image.new("RGB", (SIZE, SIZE), (200,) * 3).save(folder / "00.png")
    os.utime(folder / "00.png", ns=(stat.st_atime_ns, stat.st_mtime_ns))
    keys.add(key("00.png", "01.png"))
    assert len(keys) == 7


def test_key_does_not_depend_on_where_or_when_the_files_were_put(folder: Path) -> None:
    before = content_key(folder, ["03.png"], size=SIZE, crop=CENTRE_SQUARE)
    moved = folder.rename(folder.parent / "elsewhere")
    os.utime(moved / "03.png", (0, 0))
    assert content_key(moved, ["03.png"], size=SIZE, crop=CENTRE_SQUARE) == before


def test_damaged_pictures_are_named_skipped_and_counted(folder: Path) -> None:
    whole = (folder / "04.png").read_bytes()
    (folder / "04.png").write_bytes(whole[:40])
    (folder / "07.png").write_text("not a picture")
    Image.new("RGB", (SIZE - 1, SIZE)).save(folder / "09.png")
    result = decode(folder, max_bad_share=0.25)
    assert list(result.skipped) == ["04.png", "07.png", "09.png"]
    assert "fewer than the 8 asked for" in result.skipped["09.png"]
    assert result.rows.tolist() == [0, 1, 2, 3, 5, 6, 8, 10, 11]
    assert grey_values(result.images) == result.rows.tolist()


def test_a_truncated_jpeg_is_skipped_not_half_grey(folder: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(folder / "12.jpg")
    whole = (folder / "12.jpg").read_bytes()
    (folder / "12.jpg").write_bytes(whole[: len(whole) // 2])
    assert list(decode(folder, max_bad_share=0.1).skipped) == ["12.jpg"]


def test_a_name_without_a_file_is_skipped_as_missing(folder: Path) -> None:
    result = decoded(
        folder,
        ["00.png", "gone.png"],
        size=SIZE,
        crop=CENTRE_SQUARE,
        cache=folder.parent / "cache",
        max_bad_share=0.5,
    )
    assert result.skipped == {"gone.png": "is missing"}


def test_too_many_damaged_pictures_fail_by_name_and_a_larger_share_continues(
    folder: Path,
) -> None:
    for name in ("04.png", "07.png"):
        (folder / name).write_text("not a picture")
    with pytest.raises(DataError, match=r"2 of 12 pictures .* 04\.png cannot be decoded") as error:
        decode(folder, CountingCrop(), max_bad_share=0.1)
    assert "max_bad_share" in str(error.value)
    assert finished(folder) == []
    rest = CountingCrop()
    result = decode(folder, rest, max_bad_share=0.2)
    assert rest.calls == 4
    assert grey_values(result.images) == [0, 1, 2, 3, 5, 6, 8, 9, 10, 11]
    with pytest.raises(DataError, match="2 of 12"):
        decode(folder, CountingCrop(), max_bad_share=0.1)


@pytest.mark.parametrize("stop", [0, 1, 5, 11])
def test_an_interrupted_decoding_leaves_no_cache_and_continues_where_it_stopped(
    folder: Path, stop: int
) -> None:
    (folder / "03.png").write_text("not a picture")
    with pytest.raises(KeyboardInterrupt):
        decode(folder, CountingCrop(interrupt_at=min(stop, 10)), max_bad_share=0.1)
    assert finished(folder) == []
    rest = CountingCrop()
    result = decode(folder, rest, max_bad_share=0.1)
    assert rest.calls == 11 - min(stop, 10)
    assert grey_values(result.images) == [value for value in range(12) if value != 3]
    assert len(finished(folder)) == 1


def test_a_killed_decoding_continues_from_its_checkpoint(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class PowerCut(BaseException):
        pass

    open_image = Image.open

    def open_until_cut(path: Path) -> Image.Image:
        if path.name == "07.png":
            raise PowerCut
        return open_image(path)

    monkeypatch.setattr(cache_module, "CHECKPOINT_EVERY", 5)
    monkeypatch.setattr(Image, "open", open_until_cut)
    with pytest.raises(PowerCut):
        decode(folder, CountingCrop())
    monkeypatch.undo()
    rest = CountingCrop()
    assert grey_values(decode(folder, rest).images) == list(range(12))
    assert rest.calls == 7


class FullDisk:
    """A file whose disk is full after so many bytes."""

    def __init__(self, file: Any, room: int) -> None:
        self.file = file
        self.room = room

    def __enter__(self) -> "FullDisk":
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.file, name)

    def write(self, data: bytes) -> None:
        if self.file.tell() + len(data) > self.room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.file.write(data)


def test_a_full_disk_names_the_cache_and_loses_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache_module, "CHECKPOINT_EVERY", 2)
    open_path = Path.open
    room = 128 + 7 * 3 * SIZE**2
    monkeypatch.setattr(
        Path,
        "open",
        lambda path, *args, **settings: (
            FullDisk(open_path(path, *args, **settings), room)
            if path.name == "images.npy"
            else open_path(path, *args, **settings)
        ),
    )
    with pytest.raises(DataError, match=r"cache .* is full: .* MB are needed and \d+ MB are free"):
        decode(folder, CountingCrop())
    monkeypatch.undo()
    assert finished(folder) == []
    rest = CountingCrop()
    assert grey_values(decode(folder, rest).images) == list(range(12))
    assert rest.calls == 12 - 6


def test_a_cache_that_cannot_be_a_folder_is_named(folder: Path) -> None:
    (folder.parent / "cache").write_text("a file, not a folder")
    with pytest.raises(DataError, match=r"cache .*Choose another cache folder"):
        decode(folder)


def test_an_empty_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    with pytest.raises(DataError, match="pictures is empty"):
        decode(tmp_path / "pictures")


def test_pictures_are_turned_upright(tmp_path: Path) -> None:
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    upright = np.zeros((SIZE, SIZE, 3), dtype=np.uint8)
    upright[: SIZE // 2] = 255
    exif = Image.Exif()
    exif[0x0112] = 3  # the camera was held upside down
    Image.fromarray(upright[::-1].copy()).save(pictures / "phone.png", exif=exif)
    image = decode(pictures).images[0]
    np.testing.assert_array_equal(image, upright.transpose(2, 0, 1))


class CountedSteps:
    """A progress that remembers totals and steps."""

    def __init__(self) -> None:
        self.tasks: list[list[int]] = []

    @contextmanager
    def task(self, description: str, total: int) -> Iterator[Callable[[int], None]]:
        counted = [0, total]
        self.tasks.append(counted)

        def advance(steps: int) -> None:
            counted[0] += steps

        yield advance


def test_the_bar_counts_every_picture(folder: Path) -> None:
    progress = CountedSteps()
    decoded(
        folder,
        ["00.png", "01.png", "02.png"],
        size=SIZE,
        crop=CENTRE_SQUARE,
        cache=folder.parent / "cache",
        max_bad_share=0.0,
        progress=progress,
    )
    assert progress.tasks == [[3, 3]]
