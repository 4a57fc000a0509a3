"""Pictures are decoded once into one memory-mapped uint8 file, keyed by content and settings.

`<cache>/<key>/` holds `images.npy` and `index.json`, both complete, or does not exist. While it
is being made it is called `<key>.partial`, where an interrupted decoding continues.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from vqlso.data.crop import Crop, cropped
from vqlso.errors import DataError
from vqlso.progress import SILENT, Progress

LAYOUT = 1  # raise when the files' layout or the decoding changes: old caches are then unused
CHECKPOINT_EVERY = 256  # pictures: the most that a killed process loses

# Pillow raises these for damaged files: SyntaxError for broken PNG chunks, ValueError for
# impossible headers, and a bomb error for absurd sizes.
_UNREADABLE = (OSError, SyntaxError, ValueError, Image.DecompressionBombError, DataError)


@dataclass(frozen=True)
class Decoded:
    """What the cache holds.

    Attributes:
        images: (n, 3, size, size) uint8, a read-only memory map.
        rows: (n,) int64, which of the requested names each image belongs to.
        skipped: why each of the other names could not be used, by name.
        key: hash of the files' names and bytes and of all settings.
    """

    images: NDArray[np.uint8]
    rows: NDArray[np.int64]
    skipped: dict[str, str]
    key: str


def decoded(
    folder: Path,
    names: Sequence[str],
    *,
    size: int,
    crop: Crop,
    cache: Path,
    max_bad_share: float,
    progress: Progress = SILENT,
) -> Decoded:
    """The pictures `folder/name`, cropped to `size`, from the cache or decoded into it.

    Args:
        folder: where the pictures lie.
        names: paths relative to `folder`, each once.
        size: edge of the square images, pixels.
        crop: chooses the square.
        cache: folder of all caches; it is made where missing.
        max_bad_share: share of `names`, in [0, 1], that may be unusable.
        progress: shows one bar while pictures are decoded.

    Raises:
        DataError: the folder is empty, more than `max_bad_share` of the pictures are missing,
            damaged or of a wrong size, or the cache cannot be written. What was decoded is
            kept.
    """
    if not any(folder.iterdir()):
        raise DataError(f"The folder {folder} is empty: put the pictures there.")
    key = content_key(folder, names, size=size, crop=crop)
    finished = cache / key
    with _writing_to(cache, bytes_needed=len(names) * 3 * size * size):
        cache.mkdir(parents=True, exist_ok=True)
        if not finished.exists():
            with _one_process_at_a_time(cache / ".lock"):
                if not finished.exists():
                    partial = cache / f"{key}.partial"
                    _Decoding(folder, names, size, crop, max_bad_share, partial).run(progress)
                    partial.rename(finished)
    skipped = _Checkpoint.read(finished).skipped
    _require_share(skipped, len(names), max_bad_share)
    return Decoded(
        images=np.load(finished / "images.npy", mmap_mode="r"),
        rows=np.array([row for row, name in enumerate(names) if name not in skipped], np.int64),
        skipped=skipped,
        key=key,
    )


def content_key(folder: Path, names: Sequence[str], *, size: int, crop: Crop) -> str:
    """Hash of names, file contents, size and crop: 32 hexadecimal digits."""
    settings = {"layout": LAYOUT, "size": size, **crop.settings}
    digest = hashlib.blake2b(json.dumps(settings, sort_keys=True).encode(), digest_size=16)
    for name in names:
        try:
            path = _regular_file(folder / name)
            content = hashlib.blake2b(path.read_bytes(), digest_size=16).digest()
        except OSError:
            content = b"unreadable"
        digest.update(json.dumps(name).encode() + content)
    return digest.hexdigest()


def fingerprint(
    key: str, labels: NDArray[np.float64], people: NDArray[np.int64], label_origin: str
) -> str:
    """Hash of a data set: cached images (by their key), labels and people; 32 digits."""
    digest = hashlib.blake2b(f"{key} {label_origin}".encode(), digest_size=16)
    digest.update(labels.tobytes())
    digest.update(people.tobytes())
    return digest.hexdigest()


@dataclass(frozen=True)
class _Checkpoint:
    """How far a decoding has come; replaced as a whole, so that Ctrl-C never finds half of one.

    Attributes:
        files: how many names are done.
        skipped: why some of them were not stored, by name.
    """

    files: int = 0
    skipped: dict[str, str] = field(default_factory=dict)

    @property
    def images(self) -> int:
        """How many of the names done are stored."""
        return self.files - len(self.skipped)

    @classmethod
    def read(cls, folder: Path) -> _Checkpoint:
        path = folder / "index.json"
        return cls(**json.loads(path.read_text("utf-8"))) if path.exists() else cls()

    def write(self, folder: Path) -> None:
        temporary = folder / "index.json.tmp"
        temporary.write_text(json.dumps(asdict(self)), "utf-8")
        temporary.replace(folder / "index.json")


@dataclass
class _Decoding:
    """Decodes into the folder `partial`, from where an earlier attempt stopped."""

    folder: Path
    names: Sequence[str]
    size: int
    crop: Crop
    max_bad_share: float
    partial: Path

    def run(self, progress: Progress) -> None:
        self.partial.mkdir(exist_ok=True)
        self._done = _Checkpoint.read(self.partial)
        path = self.partial / "images.npy"
        path.touch()
        # Appending, not writing through a memory map: a full disk is then an OSError, where a
        # map of a sparse file ends the process with SIGBUS.
        with path.open("r+b") as file:
            self._write_header(file, len(self.names))
            file.truncate(file.tell() + self._done.images * 3 * self.size**2)
            file.seek(0, os.SEEK_END)
            try:
                self._append_images(file, progress)
            except (KeyboardInterrupt, DataError):
                self._checkpoint(file)
                raise
            self._write_header(file, self._done.images)
            self._checkpoint(file)

    def _append_images(self, file: BinaryIO, progress: Progress) -> None:
        with progress.task(f"decoding {self.folder.name}", len(self.names)) as advance:
            advance(self._done.files)
            for name in self.names[self._done.files :]:
                self._done = self._append(file, name)
                advance(1)
                _require_share(self._done.skipped, len(self.names), self.max_bad_share)
                if self._done.files % CHECKPOINT_EVERY == 0:
                    self._checkpoint(file)

    def _append(self, file: BinaryIO, name: str) -> _Checkpoint:
        done = self._done
        try:
            with Image.open(_regular_file(self.folder / name)) as picture:
                ImageOps.exif_transpose(picture, in_place=True)
                image = cropped(picture, self.crop, self.size)
        except _UNREADABLE as error:
            return _Checkpoint(done.files + 1, {**done.skipped, name: _reason(error)})
        file.write(image.tobytes())
        return _Checkpoint(done.files + 1, done.skipped)

    def _checkpoint(self, file: BinaryIO) -> None:
        file.flush()
        os.fsync(file.fileno())  # the index must never be ahead of the images, even after a crash
        self._done.write(self.partial)

    def _write_header(self, file: BinaryIO, images: int) -> None:
        """Numpy pads headers, so that the first axis can change without moving the data."""
        file.seek(0)
        np.lib.format.write_array_header_1_0(
            file,
            {"descr": "|u1", "fortran_order": False, "shape": (images, 3, self.size, self.size)},
        )


def _regular_file(path: Path) -> Path:
    """The path, of what is no device or pipe: these may be read without end."""
    if not path.is_file():
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
    return path


def _reason(error: Exception) -> str:
    if isinstance(error, DataError):
        return str(error)
    if isinstance(error, FileNotFoundError):
        return "is missing"
    return f"cannot be decoded: {error}"


def _require_share(skipped: Mapping[str, str], total: int, max_bad_share: float) -> None:
    if len(skipped) <= max_bad_share * total:
        return
    shown = "; ".join(f"{name} {reason}" for name, reason in list(skipped.items())[:3])
    raise DataError(
        f"{len(skipped)} of {total} pictures cannot be used, more than the share of "
        f"{max_bad_share:g} that may be skipped (max_bad_share): {shown}"
        f"{' ...' if len(skipped) > 3 else ''}. Restore these files, or allow a larger share; "
        "what was decoded so far is kept."
    )


@contextmanager
def _writing_to(cache: Path, bytes_needed: int) -> Iterator[None]:
    """Turns what the operating system says about the cache folder into a DataError."""
    try:
        yield
    except OSError as error:
        if error.errno == errno.ENOSPC:
            existing = next(path for path in (cache, *cache.absolute().parents) if path.exists())
            free = shutil.disk_usage(existing).free
            raise DataError(
                f"The disk of the cache {cache} is full: {bytes_needed / 1e6:.0f} MB are needed "
                f"and {free / 1e6:.0f} MB are free. Make room or choose another cache folder; "
                "decoding continues where it stopped."
            ) from error
        raise DataError(
            f"The cache {cache} cannot be used: {error}. Choose another cache folder."
        ) from error


@contextmanager
def _one_process_at_a_time(lock: Path) -> Iterator[None]:
    """Holds an advisory lock; a second process waits here and then finds the cache finished."""
    with lock.open("w") as file:
        if sys.platform != "win32":
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX)
        yield
