"""A few of the inputs of benchmarks/faults/fuzz.py, whose hundred thousand are for the night."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from vqlso.errors import DataError

if sys.platform != "linux":
    pytest.skip("limits of memory are asked of Linux", allow_module_level=True)

from benchmarks.faults.fuzz_watching import Watch

REPOSITORY = Path(__file__).parents[2]
CASES = 600


def test_no_input_does_anything_but_be_read_or_refused(tmp_path: Path) -> None:
    chosen = ["--cases", str(CASES), "--seed", "1", "--results", str(tmp_path)]
    result = subprocess.run(
        [sys.executable, "-m", "benchmarks.faults.fuzz", *chosen],
        cwd=REPOSITORY,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr[-4000:]
    *targets, everything = json.loads((tmp_path / "fuzz.json").read_text())["tables"][0]["rows"]
    assert len(targets) == 16
    assert int(everything[1]) > 0.9 * CASES
    assert everything[4] == "0"
    for name, cases, refused, read, *_ in targets:
        assert int(cases) == int(refused) + int(read), name
    assert int(everything[3]) > 0.05 * CASES  # the damage is not such that nothing gets further


def caught(read: object, within: Path) -> list[str]:
    """The defects that a watch finds, in a process of its own since it cannot be taken back."""
    reading, writing = os.pipe()
    process = os.fork()
    if not process:
        try:
            watch = Watch(within)
            watch.begin()
            watch.case(read, b"given")
            os.write(writing, json.dumps(list(watch.defects)).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        told = json.loads(pipe.read())
    os.waitpid(process, 0)
    return told


def refuses(_given: bytes) -> None:
    raise DataError("It is no table: give another.")


def spins(_given: bytes) -> None:
    os.kill(os.getpid(), signal.SIGPROF)  # as its timer does at last


@pytest.mark.parametrize(
    ("read", "words"),
    [
        (lambda given: given.decode(), None),
        (refuses, None),
        (lambda given: int(given), "ValueError"),
        (lambda given: bytearray(2**40), "MemoryError"),
        (lambda given: eval("1 + 1"), "compile"),
        (lambda given: os.system("true"), "os.system"),
        (lambda given: subprocess.run(["true"], check=False), "subprocess.Popen"),
        (lambda given: Path("outside").write_bytes(given), "open of outside"),
        (spins, "longer than"),
    ],
)
def test_the_watch_hears_what_is_forbidden(
    read: object, words: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = caught(read, tmp_path / "within")
    assert any(words in line for line in found) if words else found == []
