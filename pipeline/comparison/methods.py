"""Methods compared: means over seeds with intervals, and paired differences."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.comparison.results import Result, Results
from pipeline.report.digits import Digits
from pipeline.report.headline import Kind, agreement, rows, score_digits
from vqlso.metrics.intervals import mean_interval
from vqlso.metrics.paired import PairedDifference, paired_difference

if TYPE_CHECKING:
    from pipeline.comparison.pooled import Pooled

JUDGE = "judge."
# Differences are tested for these; the others describe the runs, and more tests find more chance.
TESTED = (
    "best",
    "top10",
    "top50",
    "query_mean",
    "gain",
    "judge.query_mean",
    "judge.gain",
    "frechet",
)
GAIN = (
    "Gain over the references",
    "The mean of all queries minus that of their references: what the search itself adds.",
)


@dataclass(frozen=True)
class Measure:
    """One figure of a run.

    Attributes:
        key: its name, with "judge." before the judge's.
        label: a few words.
        sentence: what it means.
        kind: how it is written.
        digits: how scores are written.
    """

    key: str
    label: str
    sentence: str
    kind: Kind
    digits: Digits


@dataclass(frozen=True)
class Cell:
    """A measure of one method.

    Attributes:
        n: seeds that have it.
        mean: over these; None without any.
        half_width: of the 95 % interval (Student's t); None below two seeds.
    """

    n: int
    mean: float | None
    half_width: float | None


@dataclass(frozen=True)
class Arm:
    """One side of the comparison.

    Attributes:
        label: the method with its settings.
        results: its runs, by seed.
    """

    label: str
    results: Mapping[int, Result]


@dataclass(frozen=True)
class Pairing:
    """Two methods over the seeds that both have.

    Attributes:
        measure: what is compared.
        a: the one.
        b: the other; the difference is a - b.
        difference: over the common seeds.
    """

    measure: Measure
    a: str
    b: str
    difference: PairedDifference


@dataclass(frozen=True)
class Comparison:
    """Everything that table, page and charts show.

    Attributes:
        name: of the study.
        arms: the methods.
        measures: what some run has.
        cells: by measure key and arm label.
        pairings: tested differences.
        missing: runs that are left out, and why.
        smoke_test: whether any run only tested the plumbing.
        mixed: what makes the methods unequal besides themselves, a sentence each.
        distances: of the methods' pooled queries; None where nobody asked for them.
    """

    name: str
    arms: tuple[Arm, ...]
    measures: tuple[Measure, ...]
    cells: Mapping[tuple[str, str], Cell]
    pairings: tuple[Pairing, ...]
    missing: tuple[str, ...]
    smoke_test: bool
    mixed: tuple[str, ...]
    distances: Pooled | None = None

    @property
    def fewest_seeds(self) -> int:
        """Of any method."""
        return min(len(arm.results) for arm in self.arms)


def compared(found: Results) -> Comparison:
    """The comparison of finished runs."""
    arms = _arms(found.results)
    summaries = [_figures(result) for result in found.results]
    measures = _measures(found.results)
    values = {id(result): figures for result, figures in zip(found.results, summaries, strict=True)}

    def of(arm: Arm, key: str) -> dict[int, float]:
        known = {seed: values[id(each)].get(key) for seed, each in arm.results.items()}
        return {seed: value for seed, value in known.items() if value is not None}

    return Comparison(
        name=found.name,
        arms=arms,
        measures=measures,
        cells={
            (measure.key, arm.label): _cell(list(of(arm, measure.key).values()))
            for measure in measures
            for arm in arms
        },
        pairings=tuple(_pairings(arms, measures, of)),
        missing=found.missing,
        smoke_test=any(result.summary.get("smoke_test") for result in found.results),
        mixed=tuple(_mixed(arms)),
    )


def as_json(comparison: Comparison) -> dict[str, Any]:
    """The figures for machines."""
    return {
        "study": comparison.name,
        "methods": {
            arm.label: {
                "seeds": sorted(arm.results),
                **{
                    measure.key: asdict(comparison.cells[measure.key, arm.label])
                    for measure in comparison.measures
                },
            }
            for arm in comparison.arms
        },
        "differences": [
            {"measure": each.measure.key, "a": each.a, "b": each.b, **asdict(each.difference)}
            for each in comparison.pairings
        ],
        "distances": asdict(comparison.distances) if comparison.distances else None,
        "missing": list(comparison.missing),
    }


def _arms(results: Sequence[Result]) -> tuple[Arm, ...]:
    by_label: dict[str, dict[int, Result]] = {}
    for result in results:
        by_label.setdefault(result.arm, {})[result.seed] = result
    return tuple(Arm(label, dict(sorted(runs.items()))) for label, runs in by_label.items())


def _figures(result: Result) -> dict[str, float | None]:
    """All measures of a run by their keys."""
    found: dict[str, float | None] = {}
    for row in rows(result.summary):
        found[row.key] = row.value
        found[JUDGE + row.key] = row.judge
    if both := agreement(result.summary):
        found |= {"gain": both.queried, f"{JUDGE}gain": both.judge}
    elif None not in (found.get("query_mean"), found.get("reference_mean")):
        found["gain"] = result.summary["query_mean"] - result.summary["reference_mean"]
    return found


def _measures(results: Sequence[Result]) -> tuple[Measure, ...]:
    """What some run has, in the report's order, the judge's after the scorer's."""
    widest = max(results, key=lambda result: result.summary.get("spread") or 0.0)
    digits = score_digits(widest.summary)
    known = {key for each in results for key, value in _figures(each).items() if value is not None}
    described: dict[str, tuple[str, str, Kind]] = {}
    for row in (row for each in results for row in rows(each.summary)):
        described.setdefault(row.key, (row.label, row.sentence, row.kind))
        if row.key == "reference_mean":
            described.setdefault("gain", (*GAIN, "score"))
    by_judge: dict[str, tuple[str, str, Kind]] = {
        JUDGE + key: (f"Judge: {label[0].lower()}{label[1:]}", sentence, kind)
        for key, (label, sentence, kind) in described.items()
    }
    return tuple(
        Measure(key, label, sentence, kind, digits)
        for key, (label, sentence, kind) in {**described, **by_judge}.items()
        if key in known
    )


def _cell(values: Sequence[float]) -> Cell:
    if not values:
        return Cell(0, None, None)
    mean, half_width = mean_interval(np.array(values, dtype=np.float64))
    return Cell(len(values), mean, None if math.isnan(half_width) else half_width)


def _pairings(
    arms: Sequence[Arm],
    measures: Sequence[Measure],
    of: Callable[[Arm, str], dict[int, float]],
) -> list[Pairing]:
    found = []
    for measure in (each for each in measures if each.key in TESTED):
        for a, b in combinations(arms, 2):
            first, second = of(a, measure.key), of(b, measure.key)
            common = [seed for seed in first if seed in second]
            if common:
                sides = (np.array([side[seed] for seed in common]) for side in (first, second))
                found.append(Pairing(measure, a.label, b.label, paired_difference(*sides)))
    return found


def _mixed(arms: Sequence[Arm]) -> list[str]:
    results = [result for arm in arms for result in arm.results.values()]
    told = []
    if len({len(result.queries) for result in results}) > 1:
        told.append("The runs had different numbers of queries.")
    if len({tuple(arm.results) for arm in arms}) > 1:
        told.append("The methods have run with different seeds; pairs are of the common ones.")
    if len({result.source for result in results}) > 1:
        told.append("The runs were started with different versions of this project's code.")
    networks = {result.summary.get("frechet_network") for result in results}
    if len(networks) > 1:
        told.append("The Fréchet distances are of different networks and not comparable.")
    return told
