"""The report: one page that a person opens, made from a run folder and nothing else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup
from omegaconf import OmegaConf

from pipeline import pictures
from pipeline.report import figures
from pipeline.report.ascent_page import render_ascent
from pipeline.report.digits import Digits
from pipeline.report.distance_table import distance_tables
from pipeline.report.editing_page import render_editing
from pipeline.report.evolution_page import render_evolution
from pipeline.report.gan_page import render_gan
from pipeline.report.headline import agreement, rows, score_digits
from pipeline.report.inversion_page import render_inversion
from pipeline.report.record import Facts, Record, Samples, read
from pipeline.report.series import (
    calibration,
    code_usage,
    compared_scores,
    free_shares,
    shift_band,
    stage_seconds,
    top_k_curves,
    two_scorers,
)
from pipeline.report.template import template
from pipeline.runs.folder import RunFolder
from vqlso.objectives.degree import LEVELS

# Of the tasks that have a page of their own.
PAGES = {
    "train_gan": render_gan,
    "train_pgan": render_gan,
    "invert": render_inversion,
    "edit": render_editing,
    "evolve": render_evolution,
    "score_ascent": render_ascent,
}

_LEVELS = range(LEVELS)
_PAIRS_AT_ONCE = 12  # more are folded away


@dataclass(frozen=True)
class Pair:
    """A result, beside the reference that it derives from where there is one.

    Attributes:
        picture: as a data URI, the reference on the left.
        query: the query's id.
        score: by the queried scorer.
        judged: by the judge; None without one.
    """

    picture: str
    query: int
    score: float
    judged: float | None


@dataclass(frozen=True)
class Sheet:
    """Sample pictures of one round.

    Attributes:
        picture: a data URI.
        round: number of retrainings before them.
        count: how many pictures.
    """

    picture: str
    round: int
    count: int


@dataclass(frozen=True)
class FreeCells:
    """The cells that the search could change.

    Attributes:
        picture: the training set's mean image with the cells marked, a data URI.
        shares: (row, column, share of queries), counted from 1, the most frequent first.
    """

    picture: str
    shares: tuple[tuple[int, int, float], ...]


@dataclass(frozen=True)
class ScorerQuality:
    """How well a scorer knows the labels of images it was not trained on.

    Attributes:
        role: what it does in this run.
        facts: name, origin and whatever was measured.
        recalls: by the page's levels, the share of a level's images that it places there; None
            where not measured.
    """

    role: str
    facts: Facts
    recalls: tuple[float | None, ...]


def write_report(folder: RunFolder) -> Path:
    """Write `report.html`: one file that needs no other and no network.

    The same folder always gives the same bytes. Unfinished runs leave out what is not there yet.

    Returns:
        The page's path.

    Raises:
        RunFolderError: the journal is damaged or the folder cannot be written.
    """
    own_page = PAGES.get(_task(folder))
    page = own_page(folder) if own_page else render(read(folder))
    folder.write(folder.report.name, page.encode())
    return folder.report


def render(record: Record) -> str:
    """The page's HTML."""
    digits = _digits(record)
    scorers = record.preparation.get("scorers") or {}
    levels = _levels(scorers)
    return template("page.html.j2", digits).render(
        record=record,
        environment=record.environment,
        data=record.preparation.get("data") or {},
        generator=record.preparation.get("generator") or {},
        scorers=_scorers(scorers, levels),
        levels=list(levels.values()),
        summary=record.summary,
        rows=rows(record.summary),
        agreement=agreement(record.summary),
        calibration=calibration(record.queries),
        charts=_charts(record, digits),
        repeats=int((~record.queries.novel).sum()),
        pairs=_pairs(record.evaluation),
        pairs_at_once=_PAIRS_AT_ONCE,
        distances=distance_tables(record.summary),
        paired=bool(len(record.evaluation.get("best_references", ()))),
        sheets=_sheets(record.samples),
        cells=_free_cells(record),
        usage=_usage(record),
        failures=Counter(record.queries.reasons).most_common(),
        diverged=[each["round"] for each in record.rounds if each.get("fit", {}).get("halvings")],
    )


def _task(folder: RunFolder) -> str:
    settings = OmegaConf.to_container(OmegaConf.create(folder.read_settings()))
    return str(settings.get("task", "search")) if isinstance(settings, dict) else "search"


def _digits(record: Record) -> Digits:
    """The run's own, or those of its queries and controls where it is not measured yet."""
    if record.summary:
        return score_digits(record.summary)
    columns = [record.queries.scores, *record.queries.controls.values()]
    return Digits.of(float(value) for column in columns for value in column)


def _charts(record: Record, digits: Digits) -> dict[str, Markup]:
    """The figures that this run has the data for, by name."""
    charts: dict[str, Markup] = {}
    queries = record.queries
    if len(queries):
        mark = record.summary.get("train_best_reconstructed")
        charts["top_k"] = figures.top_k(top_k_curves(queries), queries, mark, digits)
    if promises := calibration(queries):
        charts["predicted"] = figures.predicted_against_true(promises, digits)
    if len(scores := compared_scores(queries)) > 1:
        charts["controls"] = figures.controls(scores, digits)
    if band := shift_band(record.rounds):
        charts["shift"] = figures.shift(band, digits)
    if len(record.samples) == 2:
        charts["first_and_last"] = figures.first_and_last(*record.samples, digits)
    if both := two_scorers(record):
        charts["two_scorers"] = figures.scorer_against_judge(both, digits)
    if usage := _usage(record):
        charts["codebook"] = figures.codebook(usage["before"], usage["after"])
    if seconds := stage_seconds(record):
        charts["stages"] = figures.stages(seconds)
    return charts


def _usage(record: Record) -> dict[str, Any]:
    if "codes_before" not in record.evaluation:
        return {}
    counts = {when: record.evaluation[f"codes_{when}"] for when in ("before", "after")}
    known = (record.preparation.get("generator") or {}).get("categories", 0)
    categories = max(known, *(len(usage) for usage in counts.values()))
    return {when: code_usage(usage, categories) for when, usage in counts.items()}


def _pairs(evaluation: Mapping[str, Any]) -> list[Pair]:
    if "best_ids" not in evaluation:
        return []
    judged = evaluation["best_judged"]
    return [
        Pair(
            picture=pictures.data_uri(
                pictures.grid(
                    np.concatenate(
                        [
                            evaluation["best_references"][row : row + 1],
                            evaluation["best_images"][row : row + 1],
                        ]
                    ),
                    columns=2,
                )
            ),
            query=int(id_),
            score=float(evaluation["best_scores"][row]),
            judged=float(judged[row]) if len(judged) else None,
        )
        for row, id_ in enumerate(evaluation["best_ids"])
    ]


def _sheets(samples: Sequence[Samples]) -> list[Sheet]:
    return [
        Sheet(
            pictures.data_uri(pictures.grid(each.images, columns=4)), each.round, len(each.images)
        )
        for each in samples
        if len(each.images)
    ]


def _free_cells(record: Record) -> FreeCells | None:
    if "mean_face" not in record.evaluation or not any(record.queries.free_cells):
        return None
    height, width = (int(side) for side in record.evaluation["grid"])
    shares = free_shares(record.queries, height * width)
    face = pictures.free_cells(record.evaluation["mean_face"], (height, width), shares)
    order = np.argsort(-shares, kind="stable")[: int((shares > 0).sum())]
    return FreeCells(
        pictures.data_uri(face),
        tuple(
            (cell // width + 1, cell % width + 1, float(shares[cell])) for cell in order.tolist()
        ),
    )


def _levels(scorers: Facts) -> dict[int, str]:
    """The levels that some scorer was measured at, with the label that each stands for."""
    measured = {
        level: facts
        for facts in scorers.values()
        for level in _LEVELS
        if facts and f"recall_{level}" in facts
    }
    return {level: _label_of(level, measured[level]) for level in sorted(measured)}


def _label_of(level: int, facts: Facts) -> str:
    """Scorers have six levels on any scale: which label one stands for depends on the scale."""
    lowest, highest = facts.get("lowest", 0.0), facts.get("highest", float(LEVELS - 1))
    return f"{lowest + level / (LEVELS - 1) * (highest - lowest):.4g}"


def _scorers(facts: Facts, levels: Iterable[int]) -> list[ScorerQuality]:
    roles = {"queried": "queried: the search asked it", "judge": "judge: never asked"}
    return [
        ScorerQuality(
            role,
            facts[key],
            tuple(facts[key].get(f"recall_{level}") for level in levels),
        )
        for key, role in roles.items()
        if facts.get(key)
    ]
