"""Runs that lack something: room, rights, memory, descriptors, processors, a steady clock."""

import errno
import io
import os
import resource
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tiny_runs import events, figures, run_tiny, said, tiny, vqlso

from pipeline.cli import app
from pipeline.runs.folder import RunFolder
from vqlso.errors import RunFolderError

if sys.platform != "linux":
    pytest.skip("limits as Linux has them", allow_module_level=True)

WRITING = set("wax+")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> RunFolder:
    """A run that lacked nothing. Not to be changed."""
    return run_tiny(tmp_path_factory.mktemp("whole") / "run", cache)


@contextmanager
def failing(number: int | None, code: int, within: Path) -> Iterator[list[str]]:
    """The how-manieth write within a folder fails, and all later ones; tells what was written."""
    written: list[str] = []
    kept = {"open": io.open, "replace": os.replace, "fsync": os.fsync}

    def count(path: object) -> None:
        written.append(str(path))
        if number is not None and len(written) > number:
            raise OSError(code, os.strerror(code), str(path))

    def opened(file: object, mode: str = "r", *rest: object, **more: object) -> object:
        if WRITING & set(mode) and Path(str(file)).is_relative_to(within):
            count(file)
        return kept["open"](file, mode, *rest, **more)

    def replaced(source: object, target: object) -> None:
        if Path(str(target)).is_relative_to(within):
            count(target)
        kept["replace"](source, target)

    def synced(descriptor: int) -> None:
        count(f"descriptor {descriptor}")
        kept["fsync"](descriptor)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(io, "open", opened)
        patch.setattr(os, "replace", replaced)
        patch.setattr(os, "fsync", synced)
        yield written


@pytest.fixture(scope="module")
def writes(whole: RunFolder, tmp_path_factory: pytest.TempPathFactory, cache: Path) -> int:
    """How often a run whose networks are trained opens files for writing, renames or syncs."""
    assert figures(whole)
    folder = tmp_path_factory.mktemp("counted") / "run"
    with failing(None, 0, folder) as written:
        run_tiny(folder, cache)
    assert len(written) > 30
    return len(written)


@pytest.mark.parametrize(
    ("share", "code"),
    [
        *((share, errno.ENOSPC) for share in (0, 0.1, 0.5, 0.95)),
        *((share, errno.EROFS) for share in (0, 0.3)),
    ],
)
def test_a_disk_that_takes_no_more(
    share: float, code: int, writes: int, whole: RunFolder, cache: Path, tmp_path: Path
) -> None:
    """The message tells the way on, and the run ends as if there had always been room."""
    out = tmp_path / "run"
    with failing(int(share * writes), code, out):
        result = vqlso("run", *tiny(out, cache))
    assert result.exit_code == RunFolderError.exit_code
    said(result, os.strerror(code), "vqlso resume")
    assert not list(out.rglob("*.part"))
    going_on = ["resume", out] if (out / "config.yaml").is_file() else ["run", *tiny(out, cache)]
    again = vqlso(*going_on)
    assert again.exit_code == 0, again.output
    assert events(RunFolder(out)) == events(whole)
    assert figures(RunFolder(out)) == figures(whole)


def ended(arguments: list[object], limit: Callable[[], object], log: Path) -> tuple[int, str]:
    """Exit code and output of a command in a fork of this process under a limit."""
    process = os.fork()
    if not process:
        code = 1
        try:
            with log.open("w") as file:
                os.dup2(file.fileno(), 1)
                os.dup2(file.fileno(), 2)
            sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w")
            limit()
            app([str(each) for each in arguments], standalone_mode=True)
        except SystemExit as leave:
            code = leave.code if isinstance(leave.code, int) else 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    return code, log.read_text(errors="replace")


def one_processor() -> None:
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


def clock_that_jumps() -> None:
    real, calls = time.time, [0]

    def jumping() -> float:
        calls[0] += 1
        return real() + (-1e8 if calls[0] % 2 else 1e8)

    time.time = jumping


@pytest.mark.parametrize("limit", [one_processor, clock_that_jumps])
def test_a_run_ends_alike(
    limit: Callable[[], object], whole: RunFolder, cache: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    code, output = ended(["run", *tiny(out, cache)], limit, tmp_path / "log")
    assert code == 0, output
    assert events(RunFolder(out)) == events(whole)
    assert figures(RunFolder(out)) == figures(whole)


def few_descriptors() -> None:
    used = len(os.listdir("/proc/self/fd"))
    resource.setrlimit(resource.RLIMIT_NOFILE, (used, used))  # the log is closed by then


def little_memory() -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + 2**21
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


def outline(folder: RunFolder) -> list[tuple[object, ...]]:
    """What happened, without figures: with little memory torch convolves by kernels that round
    otherwise, so that a label's last bit may differ."""
    told = ("event", "round", "id", "status", "score_status")
    return [tuple(event.get(each) for each in told) for event in events(folder)]


@pytest.mark.parametrize(("limit", "alike"), [(few_descriptors, events), (little_memory, outline)])
def test_a_run_that_gets_too_little_can_be_continued(
    limit: Callable[[], object],
    alike: Callable[[RunFolder], object],
    whole: RunFolder,
    cache: Path,
    tmp_path: Path,
) -> None:
    """It ends, well or not, and whatever it left is gone on with."""
    out = tmp_path / "run"
    code, output = ended(["run", *tiny(out, cache)], limit, tmp_path / "log")
    assert "Traceback" not in output
    assert code == 0 or "ran out of memory or of open files" in output, output
    going_on = ["resume", out] if (out / "config.yaml").is_file() else ["run", *tiny(out, cache)]
    again = vqlso(*going_on)
    assert again.exit_code == 0, again.output
    assert alike(RunFolder(out)) == alike(whole)
