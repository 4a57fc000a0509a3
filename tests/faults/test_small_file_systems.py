"""A real file system that is full, and none for shared memory: in a process with mounts of its own.

Such a process needs no rights on Linux, where the system lets users make name spaces.
"""

import ctypes
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest
from test_resources import ended
from tiny_runs import events, figures, run_tiny, tiny

from pipeline.runs.folder import RunFolder
from vqlso.errors import RunFolderError

if sys.platform != "linux":
    pytest.skip("limits as Linux has them", allow_module_level=True)

NEW_MOUNTS, NEW_USERS = 0x20000, 0x10000000  # CLONE_NEWNS, CLONE_NEWUSER
READ_ONLY, REMOUNT, RECURSIVE, PRIVATE = 1, 32, 16384, 1 << 18
UNMOUNTABLE = "file systems cannot be mounted here"


def own_mounts() -> None:
    """Leave the mounts of all other processes alone from here on; only one thread may run."""
    system = ctypes.CDLL(None, use_errno=True)
    user, group = os.getuid(), os.getgid()
    _asked(system.unshare(NEW_MOUNTS | NEW_USERS))
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
    Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
    _asked(system.mount(b"none", b"/", None, RECURSIVE | PRIVATE, None))


def mount(place: Path, kib: int, flags: int = 0) -> None:
    """A file system in memory; with `REMOUNT` one that is there gets another size."""
    system = ctypes.CDLL(None, use_errno=True)
    where, options = os.fsencode(place), f"size={kib}k".encode()
    _asked(system.mount(b"tmpfs", where, b"tmpfs", flags, options))


def _asked(result: int) -> None:
    if result:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def apart(what: Callable[[], object], log: Path) -> str:
    """Do it in a fork with mounts of its own; how it failed, if it did."""
    process = os.fork()
    if not process:
        try:
            own_mounts()
            what()
            log.write_text("")
        except BaseException:
            log.write_text(traceback.format_exc())
        finally:
            os._exit(0)
    os.waitpid(process, 0)
    return log.read_text()


@pytest.fixture(scope="module")
def _mountable(tmp_path_factory: pytest.TempPathFactory) -> None:
    place = tmp_path_factory.mktemp("mountable")
    if apart(lambda: mount(place, 4), place.with_suffix(".log")):
        pytest.skip(UNMOUNTABLE)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> RunFolder:
    """A run with room. Not to be changed."""
    return run_tiny(tmp_path_factory.mktemp("whole") / "run", cache)


@pytest.mark.usefixtures("_mountable")
@pytest.mark.parametrize("share", [0.3, 0.97])
def test_a_run_on_a_full_disk_goes_on_when_there_is_room(
    share: float, whole: RunFolder, cache: Path, tmp_path: Path
) -> None:
    """The disk holds so much of what the run writes; then it grows, and `resume` ends alike."""
    needed = sum(_pages(path.stat().st_size) for path in whole.path.rglob("*"))
    disk, log = tmp_path / "disk", tmp_path / "log"
    disk.mkdir()
    out = disk / "run"

    def full_then_larger() -> None:
        mount(disk, int(4 * share * needed))
        code, output = ended(["run", *tiny(out, cache)], lambda: None, log)
        assert code == RunFolderError.exit_code, output
        assert "No space left on device" in output, output
        assert "vqlso resume" in output, output
        assert not list(disk.rglob("*.part"))
        mount(disk, 8 * needed, REMOUNT)
        begun = (out / "config.yaml").is_file()
        again = ["resume", str(out)] if begun else ["run", *tiny(out, cache)]
        code, output = ended(again, lambda: None, log)
        assert code == 0, output
        assert events(RunFolder(out)) == events(whole)
        assert figures(RunFolder(out)) == figures(whole)

    assert not apart(full_then_larger, tmp_path / "outer")


@pytest.mark.usefixtures("_mountable")
def test_a_run_needs_no_shared_memory(whole: RunFolder, cache: Path, tmp_path: Path) -> None:
    """`/dev/shm` is there, and nothing can be made in it."""
    out = tmp_path / "run"

    def without() -> None:
        mount(Path("/dev/shm"), 4, READ_ONLY)
        code, output = ended(["run", *tiny(out, cache)], lambda: None, tmp_path / "log")
        assert code == 0, output

    assert not apart(without, tmp_path / "outer")
    assert events(RunFolder(out)) == events(whole)


def _pages(size: int) -> int:
    return -(-size // 4096)
