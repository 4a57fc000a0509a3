"""Runs of seconds that are killed: how each begins, how it goes on, and what it must end with."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml

from pipeline.runs.folder import RunFolder
from pipeline.runs.journal import without_time
from vqlso.generators.vqvae import VQVAE, VQVAENetwork, VQVAESettings

# Small enough for hundreds of runs; two retrainings, and two queries after each.
SMALL = (
    "size=tiny",
    "threads=1",
    "queries=4",
    "data.count=160",
    "data.size=16",
    "generator.categories=4",
    "generator.batch_size=16",
    "generator.epochs=4",
    "objective.epochs=1",
    "surrogate.trees=10",
    "surrogate.min_samples_leaf=3",
    "shift.samples=20",
)
RETRAINING = ("retrainer.every=2", "retrainer.batch_size=16")
SMALL_GAN = (
    "size=tiny",
    "threads=1",
    "data.size=16",
    "data.count=120",
    "gan.kimg=0.12",
    "gan.look_kimg=0.04",
    "gan.samples=20",
)
SMALL_INVERSION = ("size=tiny", "threads=1", "queries=14", "invert.starts=4", "solver=genetic")
SUBJECTS = ("search", "invert", "train_gan", "sweep")


@dataclass(frozen=True)
class Subject:
    """A command in a folder of its own.

    Attributes:
        kind: one of `SUBJECTS`.
        folder: holds its run, its cache and whatever it is given.
    """

    kind: str
    folder: Path

    @property
    def out(self) -> Path:
        """Where the command writes."""
        return self.folder / "out"

    def begin(self) -> list[str]:
        """The command; what it is given is made first."""
        self.folder.mkdir(parents=True, exist_ok=True)
        places = [f"out={self.out}", f"cache={self.folder / 'cache'}"]
        if self.kind == "search":
            return ["run", "smile_shift", *SMALL, *RETRAINING, *places]
        if self.kind == "train_gan":
            return ["run", "train_stylegan2", *SMALL_GAN, *places]
        if self.kind == "invert":
            given = ["generator=vqvae", f"generator.checkpoint={self._untrained()}"]
            return ["run", "invert", *given, *SMALL_INVERSION, *places]
        return ["sweep", str(self._study()), "--workers", "0", "--out", str(self.out)]

    def carry_on(self) -> list[str]:
        """What a person types after a kill: a run without a configuration has not begun."""
        if self.kind == "sweep" or not (self.out / "config.yaml").is_file():
            return self.begin()
        return ["resume", str(self.out)]

    def story(self) -> dict[str, Any]:
        """What must not depend on a kill: journals and summaries but for times, names of files."""
        files = (path for path in self.out.rglob("*") if path.is_file())
        told: dict[str, Any] = {"files": sorted(str(each.relative_to(self.out)) for each in files)}
        for run in self._runs():
            folder = RunFolder(run)
            summary = folder.read_json(folder.summary.name)
            told[f"{run.name} journal"] = without_time(folder.journal.events())
            told[f"{run.name} summary"] = _without_speed(summary)
        return told

    def _runs(self) -> Iterator[Path]:
        if self.kind == "sweep":
            yield from sorted((self.out / "runs").iterdir())
        else:
            yield self.out

    def _untrained(self) -> Path:
        path = self.folder / "untrained.safetensors"
        if not path.is_file():
            with torch.random.fork_rng():
                torch.manual_seed(0)
                VQVAE(VQVAENetwork(VQVAESettings(16, 2, 8, 4, 1))).save(path)
        return path

    def _study(self) -> Path:
        path = self.folder / "killed.yaml"
        study = {
            "name": "killed",
            "experiment": "smile_shift",
            "overrides": [*SMALL, f"cache={self.folder / 'cache'}"],
            "methods": [
                {"name": "with", "overrides": [*RETRAINING]},
                {"name": "without", "overrides": ["retrainer=none"]},
            ],
            "seeds": [0],
        }
        path.write_text(yaml.safe_dump(study), encoding="utf-8")
        return path


def _without_speed(summary: dict[str, Any]) -> dict[str, Any]:
    timed = ("seconds", "images_a_second")
    return {key: value for key, value in summary.items() if not key.startswith(timed)}
