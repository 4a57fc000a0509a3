"""Files that are whole or not there, and locks that die with their process."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def write_whole(path: Path, content: bytes) -> None:
    """Write a file under a temporary name and rename it; its folder is made.

    Raises:
        OSError: the disk is full or the folder cannot be written; no part is left behind.
    """
    temporary = path.with_name(path.name + ".part")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        temporary.write_bytes(content)
        os.replace(temporary, path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


@contextmanager
def locked(lock: Path) -> Iterator[None]:
    """Keep every other process out until the block, or this process, ends.

    Args:
        lock: a file that stands for what is locked; it is made and stays.

    Raises:
        BlockingIOError: another process holds it.
    """
    with lock.open("w") as file:
        if sys.platform != "win32":
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
