"""The data behind each figure, computed apart from its drawing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.report.record import Queries, Record
from pipeline.runs.journal import Event
from vqlso.metrics.top_k import top_k_curve

Vector = NDArray[np.float64]

RANKS = (1, 10, 50)


def top_k_curves(queries: Queries) -> dict[int, Vector]:
    """Best, 10th and 50th best novel score after each query: (m,) by k, NaN until k count."""
    counted = np.where(queries.novel, queries.scores, np.nan)
    return {k: top_k_curve(counted, k) for k in RANKS}


@dataclass(frozen=True)
class Calibration:
    """The surrogate's promises beside what the black box then said.

    Attributes:
        predicted: (m,) float64.
        scores: (m,) float64.
    """

    predicted: Vector
    scores: Vector

    @property
    def error(self) -> float:
        """Mean absolute difference."""
        return float(np.abs(self.predicted - self.scores).mean())

    @property
    def optimism(self) -> float:
        """Mean of prediction minus score: a maximiser finds where its surrogate errs upwards."""
        return float((self.predicted - self.scores).mean())


def calibration(queries: Queries) -> Calibration | None:
    """Queries with both a prediction and a score; None where there are none."""
    known = np.isfinite(queries.predicted) & np.isfinite(queries.scores)
    if not known.any():
        return None
    return Calibration(queries.predicted[known], queries.scores[known])


def compared_scores(queries: Queries) -> dict[str, Vector]:
    """Finite scores of the queries and of their controls, by name; nobody's are left out."""
    columns = {**queries.controls, "queries": queries.scores}
    order = [name for name in ("reference", "random_codes", "queries") if name in columns]
    finite = {name: columns[name][np.isfinite(columns[name])] for name in order}
    return {name: values for name, values in finite.items() if len(values)}


@dataclass(frozen=True)
class ShiftBand:
    """The distribution of the generator's own samples, r measured rounds.

    Attributes:
        rounds: (r,) int64, retrainings before the measurement.
        low, median, high: (r,) float64, quantiles 0.05, 0.5 and 0.95 by the queried scorer.
        mean: (r,) float64, by the queried scorer.
        judge_mean: (r,) float64, by the judge; NaN without one.
    """

    rounds: NDArray[np.int64]
    low: Vector
    median: Vector
    high: Vector
    mean: Vector
    judge_mean: Vector


def shift_band(rounds: Sequence[Event]) -> ShiftBand | None:
    """The measured rounds; None where fewer than two were, for then nothing can have moved."""
    measured = [event for event in rounds if event["shift"]]
    if len(measured) < 2:
        return None

    def column(name: str) -> Vector:
        values = [event["shift"].get(name) for event in measured]
        return np.array([np.nan if value is None else value for value in values])

    return ShiftBand(
        rounds=np.array([event["round"] for event in measured], dtype=np.int64),
        low=column("q05"),
        median=column("median"),
        high=column("q95"),
        mean=column("mean"),
        judge_mean=column("judge_mean"),
    )


@dataclass(frozen=True)
class TwoScorers:
    """What the queried scorer and the judge say of the same images, (m,) float64 each."""

    query: Vector
    query_judged: Vector
    reference: Vector
    reference_judged: Vector


def two_scorers(record: Record) -> TwoScorers | None:
    """Scored queries and their references; None without a judge.

    The evaluation judges scored queries in the journal's order, so rows match by position.
    """
    judged = record.evaluation.get("query_judged", np.empty(0))
    answered = np.isfinite(record.queries.scores)
    if not len(judged) or len(judged) != answered.sum():
        return None
    references = record.queries.controls.get("reference", np.full(len(answered), np.nan))
    reference_judged = record.evaluation["reference_judged"]
    if len(reference_judged) != len(judged):
        reference_judged = np.full(len(judged), np.nan)
    return TwoScorers(
        record.queries.scores[answered], judged, references[answered], reference_judged
    )


@dataclass(frozen=True)
class CodeUsage:
    """How often each entry of the codebook occurs in a set of codes.

    Attributes:
        shares: (K,) float64, most used first; they sum to 1.
    """

    shares: Vector

    @property
    def used(self) -> int:
        """Entries that occur at all."""
        return int((self.shares > 0).sum())

    @property
    def perplexity(self) -> float:
        """exp of the entropy: how many equally used entries would be as diverse (1..K)."""
        occurring = self.shares[self.shares > 0]
        return float(np.exp(-(occurring * np.log(occurring)).sum()))


def code_usage(counts: NDArray[np.int64], categories: int) -> CodeUsage:
    """Counts of the entries 0..n-1, n <= K, as sorted shares of all K."""
    padded = np.zeros(max(categories, len(counts)))
    padded[: len(counts)] = counts
    return CodeUsage(np.sort(padded)[::-1] / max(padded.sum(), 1.0))


def free_shares(queries: Queries, cells: int) -> Vector:
    """(cells,) share of the queries in which the search could change each cell."""
    chosen = [cells_of for cells_of in queries.free_cells if cells_of]
    flat = [cell for cells_of in chosen for cell in cells_of]
    return np.bincount(np.array(flat, dtype=np.int64), minlength=cells) / max(len(chosen), 1)


def stage_seconds(record: Record) -> dict[str, float]:
    """Seconds by stage, longest first: the summary's, else what has been written so far."""
    prepared = record.preparation.get("seconds", {})
    so_far = {f"prepare {stage}": seconds for stage, seconds in prepared.items()} | record.seconds
    stages = record.summary.get("seconds_by_stage") or so_far
    return dict(sorted(stages.items(), key=lambda stage: -stage[1]))
