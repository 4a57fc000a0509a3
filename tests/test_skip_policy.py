"""A skip must have a known reason, or the whole run fails: checked on runs of their own."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

POLICY = Path(__file__).with_name("conftest.py")


def outcome(folder: Path, test: str, *options: str) -> tuple[int, str]:
    """Exit code and output of pytest on one test file under the policy."""
    (folder / "tests").mkdir()
    (folder / ".ci").mkdir()
    (folder / ".ci" / "known_skips.txt").write_text("# a comment\nno such file\n")
    shutil.copy(POLICY, folder / "tests")
    (folder / "tests" / "test_it.py").write_text(f"import pytest\n\n{test}\n")
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *options]
    finished = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    return finished.returncode, finished.stdout


def skipping(reason: str) -> str:
    return f"def test_it():\n    pytest.skip({reason!r})\n\ndef test_other():\n    pass"


def test_a_known_skip_is_listed(tmp_path: Path) -> None:
    code, output = outcome(tmp_path, skipping("no such file"), "-n", "1")
    assert code == 0
    assert "1 x no such file" in output


@pytest.mark.parametrize("options", [(), ("-n", "1")])
def test_an_unknown_skip_fails(tmp_path: Path, options: tuple[str, ...]) -> None:
    code, output = outcome(tmp_path, skipping("no such file today"), *options)
    assert code == 1
    assert "FAILED 1 x no such file today: not in .ci/known_skips.txt" in output


def test_a_file_skipped_as_a_whole_counts(tmp_path: Path) -> None:
    test = "pytest.importorskip('no_such_module')\n\ndef test_it():\n    pass"
    code, output = outcome(tmp_path, test, "-n", "1")
    assert code != 0
    assert "FAILED 1 x could not import 'no_such_module'" in output


def test_a_failure_keeps_its_own_exit_code(tmp_path: Path) -> None:
    code, output = outcome(tmp_path, "def test_it(:\n    pass")
    assert code == pytest.ExitCode.INTERRUPTED
    assert "skips by reason" not in output
