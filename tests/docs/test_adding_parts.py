"""The examples of docs/adding-parts.md, put into a copy of the checkout and run there."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "adding-parts.md"
BLOCK = re.compile(r"^`([\w/.]+)`:\n\n```(?:python|yaml)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LONGEST = 40

BUILD = """
from pipeline.checks import check
from pipeline.configuration.composition import composed
from pipeline.commands.listing import listing
from pipeline.parts import build_retrainer, build_solver
from vqlso.spaces import CodeGrid

CHOICES = ["surrogate=bagged", "solver=scattering", "solver.backend=ascent", "retrainer=top",
           "objective=callable"]
for choice in CHOICES:
    more = ["objective.target=my_scores:redness"] if choice == "objective=callable" else []
    config = composed("demo", [choice, "size=tiny", *more])
    check(config)
    solver = build_solver(config, CodeGrid(16, 8, 8), threads=1)
    print(choice, type(getattr(solver, "surrogate", solver)).__name__,
          type(build_retrainer(config)).__name__)
print({row["name"] for row in listing()} >= {"bagged", "scattering", "ascent", "top"})
"""


def blocks() -> list[tuple[str, str]]:
    """File and text of each example, in the page's order."""
    return BLOCK.findall(PAGE.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the code with all examples in their places."""
    copy = tmp_path_factory.mktemp("checkout")
    for folder in ("vqlso", "solvers", "pipeline", "configs"):
        # What is compiled is copied too, since to compile the tree engine takes most of a minute.
        ignored = shutil.ignore_patterns("*.tmp.*", "*.pyc.*", "weights")
        shutil.copytree(ROOT / folder, copy / folder, ignore=ignored)
    for name, text in blocks():
        path = copy / name
        path.parent.mkdir(parents=True, exist_ok=True)
        before = path.read_text(encoding="utf-8") if path.exists() else ""
        path.write_text(f"{before}\n\n{text}", encoding="utf-8")
    return copy


def run(checkout: Path, *arguments: str) -> str:
    """Output of a Python command that sees the copy instead of the checkout."""
    environment = {**os.environ, "PYTHONPATH": str(checkout), "PYTHONSAFEPATH": "1"}
    command = [sys.executable, *arguments]
    done = subprocess.run(
        command, cwd=checkout, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_every_example_is_found_and_short() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert len(blocks()) == page.count("```python") + page.count("```yaml")
    for name, text in blocks():
        assert sum(bool(line.strip()) for line in text.splitlines()) < LONGEST, name


def test_every_part_can_be_chosen(checkout: Path) -> None:
    output = run(checkout, "-c", BUILD)
    assert output.splitlines() == [
        "surrogate=bagged BaggedTrees WeightedRetraining",
        "solver=scattering Scattering WeightedRetraining",
        "solver.backend=ascent GridBoosting WeightedRetraining",
        "retrainer=top GridBoosting TopRetraining",
        "objective=callable GridBoosting WeightedRetraining",
        "True",
    ]


def test_the_examples_pass_their_own_tests(checkout: Path) -> None:
    output = run(checkout, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests")
    assert re.search(r"\d+ passed", output)
