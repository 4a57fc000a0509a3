"""What finished runs have found, read from their folders for tables and comparisons."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import numpy as np
from omegaconf import OmegaConf

from pipeline.configuration.composition import NOT_HASHED
from pipeline.report.record import Queries
from pipeline.report.series import Vector, top_k_curves
from pipeline.runs.folder import RunFolder
from pipeline.runs.journal import Event
from pipeline.studies.folder import Planned, is_finished, is_study, kept_plan
from pipeline.studies.study import arm_label, as_override
from vqlso.errors import StudyError

KEYS_SHOWN = 3
NOT_THERE = "not there"


@dataclass(frozen=True)
class Result:
    """One finished run.

    Attributes:
        method: its name.
        settings: what a grid gave it, by key.
        seed: of the run.
        run: its folder, as tables name it.
        folder: where that is.
        summary: its `summary.json`.
        source: hash of the project's code that it was started with; empty where unknown.
        queries: the journalled queries, m of them.
        rounds: (m,) int, the retrainings before each.
        seconds: (m,) float64, computing time from the first round to each query's score, without
            the preparation and without pauses.
        judged: (m,) float64, the judge's scores; NaN where there are none.
    """

    method: str
    settings: Mapping[str, Any]
    seed: int
    run: str
    folder: RunFolder
    summary: Mapping[str, Any]
    source: str
    queries: Queries
    rounds: tuple[int, ...]
    seconds: Vector
    judged: Vector

    @property
    def arm(self) -> str:
        """The side of the comparison that it belongs to."""
        return arm_label(self.method, self.settings)

    @cached_property
    def curves(self) -> dict[str, Vector]:
        """After each query the best and the 10th and 50th best new score, and the mean of all."""
        by_rank = top_k_curves(self.queries)
        scores = self.queries.scores
        known = np.isfinite(scores)
        total = np.cumsum(np.where(known, scores, 0.0))
        mean = np.divide(
            total, np.cumsum(known), out=np.full(len(scores), np.nan), where=np.cumsum(known) > 0
        )
        return {"best": by_rank[1], "top10": by_rank[10], "top50": by_rank[50], "mean": mean}


@dataclass(frozen=True)
class Results:
    """Finished runs, and what is said of the others.

    Attributes:
        name: of the study, or of what is compared.
        results: in the order of the plan.
        missing: a line for each run that is left out.
    """

    name: str
    results: tuple[Result, ...]
    missing: tuple[str, ...]


def results_of(folders: Sequence[Path]) -> Results:
    """The finished runs of study folders and run folders.

    Runs that belong to no study are grouped by their configuration without the seed, and named by
    the settings in which the groups differ.

    Raises:
        StudyError: nothing there is a finished run, or a run is given twice.
        VqlsoError: a folder is neither, or its files are damaged.
    """
    found: list[Result] = []
    missing: list[str] = []
    names: list[str] = []
    loose = [folder for folder in folders if not is_study(folder)]
    for folder in folders:
        if is_study(folder):
            name, runs = kept_plan(folder)
            names.append(name)
            _read_all(((each, folder / each.run) for each in runs), found, missing)
    _read_all(_named_by_difference(loose), found, missing)
    if not found:
        raise StudyError(
            f"Nothing to compare: no run in {', '.join(map(str, folders))} is finished. "
            + " ".join(missing)
        )
    _require_distinct(found)
    return Results(" and ".join(names) or "comparison", tuple(found), tuple(missing))


def _read_all(
    runs: Iterator[tuple[Planned, Path]], found: list[Result], missing: list[str]
) -> None:
    for planned, path in runs:
        arm = arm_label(planned.method, planned.settings)
        if is_finished(path):
            found.append(_read(planned, path))
        else:
            why = f"failed: {planned.reason}" if planned.reason else "is not finished."
            missing.append(f"{arm}, seed {planned.seed} {why}")


def _read(planned: Planned, path: Path) -> Result:
    folder = RunFolder(path)
    events = folder.journal.events()
    asked = [event for event in events if event["event"] == "query"]
    queries = Queries.of(asked)
    known = folder.read_json("environment.json") if (path / "environment.json").is_file() else {}
    return Result(
        method=planned.method,
        settings=planned.settings,
        seed=planned.seed,
        run=planned.run,
        folder=folder,
        summary=folder.read_json(folder.summary.name),
        source=str(known.get("source", "")),
        queries=queries,
        rounds=tuple(event["round"] for event in asked),
        seconds=_seconds(events),
        judged=_judged(folder, queries),
    )


def _seconds(events: Sequence[Event]) -> Vector:
    """Summed stages, not times of day: a run that was interrupted is not slower for it."""
    spent = np.cumsum([sum(event["time"]["seconds"].values()) for event in events])
    return spent[[event["event"] == "query" for event in events]]


def _judged(folder: RunFolder, queries: Queries) -> Vector:
    """The evaluation judges the scored queries in the journal's order."""
    judged = np.full(len(queries), np.nan)
    answered = np.isfinite(queries.scores)
    if (folder.path / "evaluation.npz").is_file():
        known = folder.read_arrays("evaluation.npz").get("query_judged", np.empty(0))
        if len(known) == answered.sum():
            judged[answered] = known
    return judged


def _named_by_difference(folders: Sequence[Path]) -> Iterator[tuple[Planned, Path]]:
    """Runs as their files tell of them: those of earlier versions had other settings."""
    settings = {folder: _settings(RunFolder.existing(folder)) for folder in folders}
    deciding = {
        folder: {key: value for key, value in each.items() if key not in (*NOT_HASHED, "seed")}
        for folder, each in settings.items()
    }
    keys = dict.fromkeys(key for each in deciding.values() for key in each)
    differing = [
        key for key in keys if len({each.get(key, NOT_THERE) for each in deciding.values()}) > 1
    ]
    for folder, each in deciding.items():
        shown = [f"{key}={each.get(key, NOT_THERE)}" for key in differing[:KEYS_SHOWN]]
        if len(differing) > KEYS_SHOWN:
            shown.append(hashlib.sha256(repr(each).encode()).hexdigest()[:8])
        name = ", ".join(shown) or each.get("name", "run")
        yield Planned(name, {}, int(settings[folder].get("seed", 0)), str(folder)), folder


def _settings(folder: RunFolder) -> dict[str, str]:
    """A run's settings by dotted keys, as texts."""
    content = OmegaConf.to_container(OmegaConf.create(folder.read_settings()))
    return {key: as_override(value) for key, value in _flat(cast(dict[str, Any], content))}


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _require_distinct(results: Sequence[Result]) -> None:
    seen: dict[tuple[str, int], str] = {}
    for result in results:
        key = (result.arm, result.seed)
        if key in seen:
            raise StudyError(
                f"{seen[key]} and {result.run} are both {result.arm}, seed {result.seed}: the same "
                "run twice, or methods of one name. Compare only one of them."
            )
        seen[key] = result.run
