"""What a run folder holds, read into arrays: the only thing that page and figures look at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from omegaconf import OmegaConf

from pipeline.runs.folder import RunFolder
from pipeline.runs.journal import Event, Journal
from vqlso.errors import RunFolderError
from vqlso.records import ScoreStatus

Facts = Mapping[str, Any]
Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Queries:
    """The journalled queries, m of them, in their order.

    Attributes:
        scores: (m,) float64, NaN where the black box failed.
        predicted: (m,) float64, the surrogate's prediction; NaN without one.
        novel: (m,) bool, whether the codes were new.
        controls: (m,) float64 by name, what the same scorer says of each query's controls.
        free_cells: row-major indices of the cells that the search could change, a query each.
        reasons: why the failed ones failed, in their order.
    """

    scores: NDArray[np.float64]
    predicted: NDArray[np.float64]
    novel: NDArray[np.bool_]
    controls: Mapping[str, NDArray[np.float64]]
    free_cells: tuple[tuple[int, ...], ...]
    reasons: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.scores)

    @classmethod
    def of(cls, events: Sequence[Event]) -> Queries:
        """Arrays of the journal's "query" events."""
        names = sorted({name for event in events for name in event.get("controls", {})})
        return cls(
            scores=_column([event["score"] for event in events]),
            predicted=_column([event["predicted"] for event in events]),
            novel=np.array([event["novel"] for event in events], dtype=bool),
            controls={
                name: _column([event.get("controls", {}).get(name) for event in events])
                for name in names
            },
            free_cells=tuple(tuple(event.get("free_cells", ())) for event in events),
            reasons=tuple(
                event.get("reason") or "no reason given"
                for event in events
                if event["score_status"] != ScoreStatus.OK
            ),
        )


@dataclass(frozen=True)
class Samples:
    """What the generator itself made after one round; see `pipeline.shift`.

    Attributes:
        round: number of retrainings before them.
        images: (<=16, 3, H, W) uint8.
        degrees: (m,) float64, by the queried scorer.
        judged: (m,) float64, by the judge; empty without one.
    """

    round: int
    images: NDArray[np.uint8]
    degrees: NDArray[np.float64]
    judged: NDArray[np.float64]


@dataclass(frozen=True)
class Record:
    """One run, finished or not; what it has not written yet is empty.

    Attributes:
        path: the folder as it was named.
        config: the composed configuration, verbatim.
        settings: the same, parsed.
        environment: command, machine and package versions.
        preparation: facts about data, generator and scorers.
        rounds: the journal's "round" events.
        queries: the journal's "query" events.
        seconds: durations by stage, summed over the journal.
        finished: whether the journal tells of the end.
        samples: of the first and the last measured round.
        evaluation: the arrays of `evaluation.npz`.
        summary: the run's figures.
    """

    path: str
    config: str
    settings: Facts
    environment: Facts
    preparation: Facts
    rounds: tuple[Event, ...]
    queries: Queries
    seconds: dict[str, float]
    finished: bool
    samples: tuple[Samples, ...]
    evaluation: Arrays
    summary: Facts


def read(folder: RunFolder) -> Record:
    """Everything that the run has written so far.

    Raises:
        RunFolderError: the journal is damaged.
    """
    events = folder.journal.events()
    config = folder.read_settings()
    rounds = tuple(event for event in events if event["event"] == "round")
    queries, seconds = journalled(folder.journal)
    settings = cast(dict[str, Any], OmegaConf.to_container(OmegaConf.create(config)))
    return Record(
        path=str(folder.named),
        config=config,
        settings=settings,
        environment=_json(folder, "environment.json"),
        preparation=_json(folder, "preparation.json"),
        rounds=rounds,
        queries=queries,
        seconds=seconds,
        finished=any(event["event"] == "end" for event in events),
        samples=_first_and_last_samples(folder, [event["round"] for event in rounds]),
        evaluation=_arrays(folder, "evaluation.npz"),
        summary=_json(folder, "summary.json"),
    )


def journalled(journal: Journal) -> tuple[Queries, dict[str, float]]:
    """The queries, and the durations by stage.

    Raises:
        RunFolderError: the journal is damaged, or tells of queries in another way.
    """
    events = journal.events()
    try:
        queries = Queries.of([event for event in events if event["event"] == "query"])
        return queries, _total_seconds(events)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise RunFolderError(
            f"The events in {journal.path} are not what this version of vqlso writes "
            f"({type(error).__name__}: {error}). Use the version that wrote them, or restore the "
            "file from a copy."
        ) from error


def _first_and_last_samples(folder: RunFolder, rounds: Sequence[int]) -> tuple[Samples, ...]:
    files = {round_: f"rounds/{round_:03d}/shift.npz" for round_ in rounds}
    measured = [round_ for round_, name in files.items() if (folder.path / name).is_file()]
    return tuple(
        Samples(round=round_, **_arrays(folder, files[round_]))
        for round_ in dict.fromkeys([*measured[:1], *measured[-1:]])
    )


def _total_seconds(events: Sequence[Event]) -> dict[str, float]:
    total: dict[str, float] = {}
    for event in events:
        for stage, seconds in event.get("time", {}).get("seconds", {}).items():
            total[stage] = total.get(stage, 0.0) + seconds
    return total


def _json(folder: RunFolder, name: str) -> Facts:
    return folder.read_json(name) if (folder.path / name).is_file() else {}


def _arrays(folder: RunFolder, name: str) -> dict[str, NDArray[Any]]:
    return folder.read_arrays(name) if (folder.path / name).is_file() else {}


def _column(values: Sequence[float | None]) -> NDArray[np.float64]:
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)
