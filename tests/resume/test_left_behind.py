"""What a killed run can leave in its folder, and that it is continued all the same."""

import fcntl
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tiny_runs import events, figures, vqlso

from pipeline.runs.folder import RunFolder
from vqlso.errors import RunFolderError
from vqlso.files import locked, write_whole


def journal_cut(folder: RunFolder, lines: int, torn: bytes = b"") -> None:
    """As a kill leaves it: without the events from this one on, and without a summary."""
    whole = folder.journal.path.read_bytes().splitlines(keepends=True)
    folder.journal.path.write_bytes(b"".join(whole[:lines]) + torn)
    folder.summary.unlink()


def half_files(folder: RunFolder) -> None:
    """Temporary files that were being written."""
    for name in ("summary.json", "journal.jsonl", "archive/000003-query.png", "report.html"):
        (folder.path / f"{name}.part").write_bytes(b"{half")


def superseded_weights(folder: RunFolder) -> None:
    """The round was told of, and the weights before it were not deleted yet."""
    shutil.copy(folder.generator_of(2), folder.generator_of(1))


def a_lock_of_the_dead(folder: RunFolder) -> None:
    script = f"import fcntl, os; f = open({str(folder.path / '.lock')!r}, 'w'); " + (
        "fcntl.flock(f, fcntl.LOCK_EX); print(flush=True); os.kill(os.getpid(), 9)"
    )
    dead = subprocess.run([sys.executable, "-c", script], check=False, stdout=subprocess.PIPE)
    assert dead.returncode == -signal.SIGKILL
    (folder.path / ".lock").write_text(str(os.getpid()))  # whatever it says


def a_network_without_its_note(folder: RunFolder) -> None:
    """Copied or trained, but not yet known to be whole; the cache has it whole."""
    networks = folder.path / "networks"
    (networks / "generator.origin").unlink()
    weights = networks / "generator.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])


def a_torn_line(folder: RunFolder) -> None:
    journal_cut(folder, 6, b'{"event": "query", "id": 3, "z": [[0, 1')


LEFT: list[Callable[[RunFolder], None]] = [
    half_files,
    superseded_weights,
    a_lock_of_the_dead,
    a_network_without_its_note,
    a_torn_line,
]


def test_a_run_that_left_all_of_it_ends_as_the_finished_one(
    finished: RunFolder, tmp_path: Path
) -> None:
    """All at once: a run costs seconds, and whatever one of them spoils would show."""
    path = tmp_path / "run"
    shutil.copytree(finished.path, path)
    folder = RunFolder(path)
    for leave in LEFT:
        leave(folder)
    config = folder.config.read_text()
    folder.config.write_text(config.replace(str(finished.path), str(path)))
    result = vqlso("resume", path)
    assert result.exit_code == 0, result.output
    assert events(folder) == events(finished)
    assert figures(folder) == figures(finished)
    assert not folder.generator_of(1).exists()


def test_a_lock_is_free_when_its_holder_is_gone_and_not_before(tmp_path: Path) -> None:
    lock = tmp_path / ".lock"
    lock.write_text("something old")
    with locked(lock), lock.open("w") as other, pytest.raises(BlockingIOError):
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    with locked(lock):
        pass


def test_a_temporary_file_that_vanishes_is_an_error_with_a_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cleaner of temporary files took it; the old file stands."""
    folder = RunFolder(tmp_path / "run")
    folder.write("file", b"old")
    replace = os.replace

    def cleaned(source: Path, target: Path) -> None:
        os.unlink(source)
        replace(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", cleaned)
        with pytest.raises(RunFolderError, match=r"No such file.*vqlso resume"):
            folder.write("file", b"new")
    assert (folder.path / "file").read_bytes() == b"old"
    write_whole(folder.path / "file", b"new")
    assert (folder.path / "file").read_bytes() == b"new"
