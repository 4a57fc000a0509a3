"""The examples of the README, as they stand there."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

README = Path(__file__).parents[2] / "README.md"
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LONGEST = 25


def examples() -> list[str]:
    """The Python blocks, in order."""
    return BLOCK.findall(README.read_text(encoding="utf-8"))


def output(example: str, folder: Path) -> str:
    """What an example prints, run as a script in an empty folder."""
    script = folder / "example.py"
    script.write_text(example, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, script], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_search_finds_redder_lips_than_the_data_has(tmp_path: Path) -> None:
    example = examples()[0]
    assert len(example.splitlines()) <= LONGEST
    found, against = output(example, tmp_path).split("against")
    assert float(found) > float(against)


def test_the_exact_optimiser_finds_the_planted_optimum(tmp_path: Path) -> None:
    printed = output(examples()[1], tmp_path)
    assert "optimal" in printed
    codes = [int(code) for code in re.findall(r"\d+", printed[: printed.index("]")])]
    # The target rewards equal codes in cells 0 and 1, and a high code in cell 2.
    assert codes[0] == codes[1]
    assert codes[2] == 11


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_links_lead_somewhere(page: str) -> None:
    root = README.parent
    text = (root / page).read_text(encoding="utf-8")
    targets = re.findall(r"\]\((?!https?:)([^)#]+)", text)
    assert targets
    missing = [each for each in targets if not ((root / page).parent / each).exists()]
    assert not missing
