"""Files that are written whole or not at all, to destinations that are looked at beforehand."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from vqlso.errors import SolverError


def check_destination(path: Path) -> None:
    """Find out whether a file can be written there, before anything is computed for it.

    Raises:
        SolverError: it is a folder or a device, or its folder is missing or protected.
    """
    if path.exists() and not path.is_file():
        raise SolverError(f"{path} cannot be written: it is no file. Name one.")
    temporary = _beside(path)
    try:
        temporary.open("wb").close()
        temporary.unlink()
    except OSError as error:
        raise _unwritable(path, error) from error


@contextmanager
def replaced(path: Path) -> Iterator[IO[bytes]]:
    """A file to write, which takes the place of `path` once it is complete.

    Raises:
        SolverError: the file cannot be written.
    """
    temporary = _beside(path)
    try:
        with temporary.open("wb") as file:
            yield file
        os.replace(temporary, path)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink()
        raise _unwritable(path, error) from error


def _beside(path: Path) -> Path:
    return path.with_name(path.name + ".part")


def _unwritable(path: Path, error: OSError) -> SolverError:
    folder = "" if path.parent.is_dir() else f" Make the folder {path.parent} first."
    return SolverError(f"{path} cannot be written: {error.strerror or error}.{folder}")
