"""A run's folder: where everything of a run lies, written so that a kill leaves no half file."""

from __future__ import annotations

import io
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, TypeVar
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray
from omegaconf.errors import OmegaConfBaseException
from PIL import Image
from safetensors import SafetensorError
from yaml import YAMLError

from pipeline.configuration.yaml_text import settings_by_name
from pipeline.runs.journal import Journal, plain
from vqlso.contracts import KeepsSurrogate, RetrainableGenerator
from vqlso.errors import CheckpointError, RunFolderError
from vqlso.files import locked, write_whole

# Of a long run's rounds so many folders are kept at most; each holds some tens of kilobytes.
MOST_ROUNDS = 256

G = TypeVar("G", bound=RetrainableGenerator)


class RunFolder:
    """Paths and atomic writes of one run.

    Args:
        path: the folder; made where it is missing. It stays this folder wherever the process,
            or a black box within it, changes its current directory to.
    """

    def __init__(self, path: Path) -> None:
        self.named = path
        self.path = path = path.absolute()
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RunFolderError(
                f"The run folder {path} cannot be made ({error.strerror}). Choose another out=DIR."
            ) from error
        self.journal = Journal(path / "journal.jsonl")

    @classmethod
    def existing(cls, path: Path) -> RunFolder:
        """A folder that a run has written.

        Raises:
            RunFolderError: there is no run in it, or a link that leads out of it.
        """
        if not (path / "config.yaml").is_file():
            raise RunFolderError(
                f"{path} is not a run folder: it has no config.yaml. "
                "Runs lie under runs/ unless out=DIR said otherwise."
            )
        _require_no_links(path)
        return cls(path)

    @property
    def config(self) -> Path:
        """The composed configuration."""
        return self.path / "config.yaml"

    @property
    def report(self) -> Path:
        """The page that a person opens."""
        return self.path / "report.html"

    @property
    def summary(self) -> Path:
        """The figures of a finished run."""
        return self.path / "summary.json"

    @property
    def begun(self) -> bool:
        """Whether something was made here that starting again would lose."""
        made = (self.journal.path, self.path / "networks", self.path / "archive")
        return any(path.exists() for path in made)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep every other process from writing to this run.

        Raises:
            RunFolderError: one is already writing, or the folder cannot be written.
        """
        lock = self.path / ".lock"
        with ExitStack() as held:
            try:
                held.enter_context(locked(lock))
            except BlockingIOError as error:
                raise RunFolderError(
                    f"Another process is working on {self.path}. Wait for its end, or stop "
                    "it, before you resume the run."
                ) from error
            except OSError as error:
                raise _unwritable(lock, self.path, error) from error
            yield

    def generator_of(self, round_: int) -> Path:
        """The weights after so many retrainings."""
        return self.path / "rounds" / f"{round_:03d}" / "generator.safetensors"

    def keep_generator(self, generator: RetrainableGenerator, round_: int) -> None:
        """Save the weights after so many retrainings, whole or not at all."""
        path = self.generator_of(round_)
        with writing(path, self.path):
            generator.save(path)

    def kept_generator(self, kind: type[G], round_: int) -> G:
        """The generator after so many retrainings.

        Raises:
            RunFolderError: its file is missing or damaged.
        """
        path = self.generator_of(round_)
        try:
            return kind.load(path)
        except (CheckpointError, OSError) as error:
            raise RunFolderError(
                f"The journal tells of {round_} retrainings, but {path} is missing or damaged: "
                "restore it from a copy, or start a new run with another out=DIR."
            ) from error

    def surrogate_of(self, round_: int) -> Path:
        """The surrogate behind a round's first proposal."""
        return self.path / "rounds" / f"{round_:03d}" / "surrogate.txt"

    def keep_surrogate(self, solver: KeepsSurrogate, round_: int) -> None:
        """Save the solver's surrogate, whole or not at all."""
        path = self.surrogate_of(round_)
        with writing(path, self.path):
            path.parent.mkdir(parents=True, exist_ok=True)
            solver.save_surrogate(path)

    def forget_before(self, round_: int) -> None:
        """Delete what is superseded: earlier weights, and most folders of a long run's rounds.

        Of `MOST_ROUNDS` rounds or more every second one is kept, of twice as many every fourth,
        and so on: what is left always spans the run, and follows from the round alone.
        """
        stride = 1
        while round_ // stride >= MOST_ROUNDS:
            stride *= 2
        for folder in (self.path / "rounds").glob("[0-9]*"):
            if not folder.name.isdecimal():  # a copy that a person made
                continue
            number = int(folder.name)
            if number < round_:
                self.generator_of(number).unlink(missing_ok=True)
                if number % stride:
                    shutil.rmtree(folder, ignore_errors=True)

    def write_json(self, name: str, value: Mapping[str, Any]) -> None:
        """Write a JSON file, whole or not at all; NaN and infinities become null."""
        text = json.dumps(plain(value), indent=2, allow_nan=False)
        self.write(name, f"{text}\n".encode())

    def read_json(self, name: str) -> dict[str, Any]:
        """Read a JSON file of this run.

        Raises:
            RunFolderError: the run has not written it, or it is damaged.
        """
        try:
            value: dict[str, Any] = json.loads((self.path / name).read_text())
        except FileNotFoundError as error:
            raise RunFolderError(
                f"{self.path} has no {name}: the run did not get so far."
            ) from error
        except ValueError as error:
            raise self._damaged(name) from error
        if not isinstance(value, dict):
            raise self._damaged(name)
        return value

    def write_arrays(self, name: str, **arrays: NDArray[Any]) -> None:
        """Write an .npz file, whole or not at all."""
        buffer = io.BytesIO()
        np.savez(buffer, **arrays)  # type: ignore[arg-type]
        self.write(name, buffer.getvalue())

    def read_arrays(self, name: str) -> dict[str, NDArray[Any]]:
        """Read an .npz file of this run."""
        try:
            with np.load(self.path / name, allow_pickle=False) as file:
                return dict(file)
        except FileNotFoundError as error:
            raise RunFolderError(f"{self.path} has no {name}: it cannot be resumed.") from error
        except (ValueError, EOFError, BadZipFile) as error:
            raise self._damaged(name) from error

    def read_settings(self) -> str:
        """The composed configuration, verbatim."""
        try:
            text = self.config.read_text(encoding="utf-8")
            settings_by_name(text)
            return text
        except (OSError, ValueError, RecursionError, YAMLError, OmegaConfBaseException) as error:
            raise self._damaged(self.config.name) from error

    def _damaged(self, name: str) -> RunFolderError:
        return RunFolderError(
            f"{self.path / name} is damaged. Restore it from a copy, or start a new run with "
            "another out=DIR."
        )

    def write_image(self, query: int, image: NDArray[np.uint8], role: str = "query") -> None:
        """Keep a scored image, (3, H, W) uint8, losslessly; `role` names a control."""
        buffer = io.BytesIO()
        Image.fromarray(np.ascontiguousarray(image.transpose(1, 2, 0))).save(buffer, "PNG")
        self.write(_image_name(query, role), buffer.getvalue())

    def read_image(self, query: int, role: str = "query") -> NDArray[np.uint8]:
        """(3, H, W) uint8, a scored image.

        Raises:
            RunFolderError: it is missing or damaged.
        """
        name = _image_name(query, role)
        try:
            with Image.open(self.path / name) as image:
                return np.asarray(image.convert("RGB")).transpose(2, 0, 1).copy()
        except FileNotFoundError as error:
            raise RunFolderError(
                f"The image of query {query} is missing from {self.path}: restore {name} from a "
                "copy, or start a new run with another out=DIR."
            ) from error
        except Exception as error:  # Pillow meets damage with errors of many kinds
            raise self._damaged(name) from error

    def write(self, name: str, content: bytes) -> None:
        """Write a file under a temporary name and rename it.

        Raises:
            RunFolderError: the disk is full or the folder cannot be written.
        """
        path = self.path / name
        with writing(path, self.path):
            write_whole(path, content)


@contextmanager
def writing(path: Path, run: Path) -> Iterator[None]:
    """Turn what the operating system says about writing `path` into a RunFolderError."""
    try:
        yield
    except (OSError, SafetensorError) as error:
        raise _unwritable(path, run, error) from error


def _unwritable(path: Path, run: Path, error: Exception) -> RunFolderError:
    reason = getattr(error, "strerror", None) or error
    free = shutil.disk_usage(run).free / 1e6
    return RunFolderError(
        f"{path} cannot be written ({reason}; {free:.0f} MB are free). What was computed so "
        f"far is kept: make room or mend the folder's rights, then `vqlso resume {run}`, or "
        "the same command again if it had not begun."
    )


def _require_no_links(run: Path) -> None:
    """A link in a stranger's folder would have its target written, or deleted, in its place."""
    for folder, folders, files in os.walk(run):
        for name in (*folders, *files):
            if (Path(folder) / name).is_symlink():
                raise RunFolderError(
                    f"{Path(folder) / name} is a link. What is within a run's folder is written "
                    "and deleted, so nothing in it may lead elsewhere: put the file itself there. "
                    "The folder as a whole may be a link."
                )


def _image_name(query: int, role: str) -> str:
    return f"archive/{query:06d}-{role}.png"
