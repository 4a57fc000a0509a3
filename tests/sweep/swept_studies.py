"""One study of tiny runs, finished once without Ray: what every other sweep of it must equal."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from tiny_runs import TINY, vqlso

pytest.importorskip("pyarrow", reason="pyarrow is not installed")

from pyarrow import parquet

# A black box that kills the process it runs in, once a folder: as a lack of memory would.
MORTAL = """
import os
import signal
from pathlib import Path


def score(images):
    alive = Path("killed-before")
    if len(images) == 1 and not alive.exists():
        alive.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return images.mean(axis=(1, 2, 3))


def broken(images):
    if not Path("mended").exists():
        raise RuntimeError("no electricity")
    return images.mean(axis=(1, 2, 3))
"""


@dataclass(frozen=True)
class Place:
    """A folder to start sweeps in."""

    path: Path

    @property
    def study(self) -> Path:
        return self.path / "studies" / "deaths"

    @property
    def runs(self) -> dict[str, bytes]:
        """The journals by their runs."""
        return {
            path.parent.name: path.read_bytes() for path in self.study.glob("runs/*/journal.jsonl")
        }


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Callable[[], Place]:
    """Makes folders with the study and its black box in them."""
    retraining = [each for each in TINY if each.startswith("retrainer.")]
    settings = [each for each in TINY if each not in retraining]
    study = {
        "name": "deaths",
        "experiment": "smile_shift",
        "overrides": [*settings, f"cache={cache}", "objective=callable"],
        "methods": [
            {"name": "with", "overrides": ["objective.target=mortal:score", *retraining]},
            {
                "name": "without",
                "overrides": ["objective.target=mortal:score", "retrainer=none"],
            },
        ],
        "seeds": [0, 1],
    }

    def made(survives: bool = True) -> Place:
        folder = tmp_path_factory.mktemp("sweep")
        (folder / "deaths.yaml").write_text(yaml.safe_dump(study))
        (folder / "mortal.py").write_text(MORTAL)
        if survives:
            (folder / "killed-before").touch()
        return Place(folder)

    return made


@pytest.fixture(scope="session")
def finished_study(place: Callable[[], Place]) -> Place:
    found = place()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(found.path)
        result = vqlso("sweep", "deaths.yaml", "--workers", "0")
    assert result.exit_code == 0, result.output
    return found


@pytest.fixture
def swept(finished_study: Place, monkeypatch: pytest.MonkeyPatch) -> Place:
    """A finished study, and the current directory. Not to be changed."""
    monkeypatch.chdir(finished_study.path)
    return finished_study


@pytest.fixture
def copied(finished_study: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """A finished study that may be changed, and the current directory."""
    shutil.copytree(finished_study.path, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return Place(tmp_path)


TABLES = ("study.parquet", "queries.parquet")


def table(study: Path, name: str) -> dict[str, list]:
    """The columns, but for times, and the code's hash, which an edit in the meantime changes."""
    columns = parquet.read_table(study / name).to_pydict()
    return {key: each for key, each in columns.items() if not key.startswith(("seconds", "source"))}


def tables(study: Path) -> dict[str, dict[str, list]]:
    """Both tables."""
    return {name: table(study, name) for name in TABLES}
