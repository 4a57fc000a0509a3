"""What `benchmarks.whole` measured, as cases, tables and scores."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.extra_tables import titled
from benchmarks.paired import Case
from benchmarks.tables import figure
from benchmarks.whole_stages import (
    QUERY_STAGES,
    RETRAINING_STAGES,
    STAGES,
    Ledger,
    Queried,
)
from vqlso.images import to_unit
from vqlso.metrics.paired import paired_difference
from vqlso.metrics.top_k import top_k_curve

LAST = 50
TOP = (10, 50)

Judge = Callable[[Tensor], NDArray[np.float64]]


def cases(ours: Ledger, peer: Ledger) -> list[Case]:
    """Seconds of a query, of retrainings and of all, period by period."""
    both = (ours, peer)
    first = {each.name: [_retraining(each, 0)] for each in both}
    found = [
        Case("a query", {each.name: [p.a_query() for p in each.periods] for each in both}),
        Case("first retraining and re-encoding", first),
    ]
    later = range(1, len(ours.periods))
    if later:
        seconds = {each.name: [_retraining(each, number) for number in later] for each in both}
        found.append(Case("a later retraining and re-encoding", seconds))
    whole = {each.name: [each.in_all(*STAGES)] for each in both}
    return [*found, Case("the whole", whole)]


def described(ours: Ledger, peer: Ledger, judge: Judge | None) -> dict[str, Any]:
    """Stages, ratios of the sums, and scores, as JSON; `tables` holds what a page shows."""
    return {
        "extrapolated": peer.extrapolated,
        "ratios": ratios(ours, peer),
        "stages": {each.name: stages(each) for each in (ours, peer)},
        "scores": scores(ours, peer, judge),
        "tables": [
            stage_table(ours, peer),
            ratio_table(ours, peer),
            score_table(ours, peer, judge),
        ],
    }


def stages(ledger: Ledger) -> dict[str, dict[str, float]]:
    """By stage: seconds in all, those a query or a retraining, and the share of the whole."""
    whole = ledger.in_all(*STAGES)
    queries = sum(period.due for period in ledger.periods)
    return {
        stage: {
            "seconds": (seconds := ledger.in_all(stage)),
            "each": seconds / (len(ledger.periods) if stage in RETRAINING_STAGES else queries),
            "share": seconds / whole,
        }
        for stage in STAGES
    }


def ratios(ours: Ledger, peer: Ledger) -> dict[str, float]:
    """How many times as long the peer takes, by sums over all periods."""
    parts = {
        "query part": QUERY_STAGES,
        "retraining and re-encoding": RETRAINING_STAGES,
        "retraining": ("retrain",),
        "re-encoding": ("re-encode",),
        "the whole": STAGES,
    }
    return {name: peer.in_all(*part) / ours.in_all(*part) for name, part in parts.items()}


def scores(ours: Ledger, peer: Ledger, judge: Judge | None) -> dict[str, Any]:
    """What both reached on the queries that both ran, by the scorer and by the judge.

    `difference` is ours - the peer's over these queries, with its 95 % interval: queries of one
    number share their reference if the archives do.
    """
    common = {q.number for q in ours.queried} & {q.number for q in peer.queried}
    shared = {
        each.name: [queried for queried in each.queried if queried.number in common]
        for each in (ours, peer)
    }
    told: dict[str, Any] = {"queries": len(common)}
    for by in ("scorer", "judge") if judge else ("scorer",):
        values = {name: _values(group, judge, by) for name, group in shared.items()}
        difference = paired_difference(values[ours.name], values[peer.name])
        told[by] = {name: reached(each) for name, each in values.items()}
        told[by]["difference"] = {"mean": difference.mean, "half width": difference.half_width}
    return told


def reached(values: NDArray[np.float64]) -> dict[str, float]:
    """Best, mean of the last queries, and Top-k where there are as many."""
    top = {f"Top-{k}": float(top_k_curve(values, k)[-1]) for k in TOP if len(values) >= k}
    last = values[-LAST:]
    return {
        "best": float(values.max()),
        f"mean of the last {len(last)}": float(last.mean()),
        **top,
    }


def stage_table(ours: Ledger, peer: Ledger) -> dict[str, Any]:
    """Seconds of every stage."""
    told = {each.name: stages(each) for each in (ours, peer)}
    marks = {each.name: ", extrapolated" if each.extrapolated else "" for each in (ours, peer)}
    heads = ["stage"]
    for name in told:
        heads += [f"{name}, s in all{marks[name]}", "s each", "share"]
    rows = []
    for stage in STAGES:
        cells = [
            text
            for name in told
            for text in (
                figure(told[name][stage]["seconds"]),
                figure(told[name][stage]["each"]),
                f"{told[name][stage]['share']:.1%}",
            )
        ]
        rows.append([stage, *cells])
    wholes = [[figure(each.in_all(*STAGES)), "", "100.0%"] for each in (ours, peer)]
    rows.append(["all", *wholes[0], *wholes[1]])
    return titled("Stages", heads, rows)


def ratio_table(ours: Ledger, peer: Ledger) -> dict[str, Any]:
    """How many times faster ours is, part by part."""
    mark = " (extrapolated)" if peer.extrapolated else ""
    rows = [[name, figure(ratio)] for name, ratio in ratios(ours, peer).items()]
    return titled("Ratios of the sums", ["part", f"{peer.name} / {ours.name}{mark}"], rows)


def score_table(ours: Ledger, peer: Ledger, judge: Judge | None) -> dict[str, Any]:
    """What both reached, and how far their queries are apart."""
    told = scores(ours, peer, judge)
    rows = []
    for by in ("scorer", "judge"):
        if by in told:
            for measure in told[by][ours.name]:
                cells = [f"{told[by][each.name][measure]:.2f}" for each in (ours, peer)]
                rows.append([f"{by}: {measure}", *cells])
            difference = told[by]["difference"]
            text = f"{difference['mean']:.3f} ± {difference['half width']:.3f}"
            rows.append([f"{by}: mean difference of queries", text, ""])
    return titled("Scores", [f"{told['queries']} queries of both", ours.name, peer.name], rows)


def progress(ours: Ledger, peer: Ledger) -> str:
    """One line."""
    seconds = ", ".join(
        f"{each.name} {each.periods[-1].a_query():.2f} s a query and "
        f"{_retraining(each, -1):.1f} s to retrain"
        for each in (ours, peer)
    )
    return f"period {len(ours.periods)}: {seconds}"


def _retraining(ledger: Ledger, number: int) -> float:
    stages_ = ledger.periods[number].retraining
    return sum(stages_[stage] for stage in RETRAINING_STAGES)


def _values(group: Sequence[Queried], judge: Judge | None, by: str) -> NDArray[np.float64]:
    if by == "scorer" or judge is None:
        return np.array([queried.score for queried in group])
    return np.asarray(judge(to_unit(np.stack([queried.image for queried in group]))))
