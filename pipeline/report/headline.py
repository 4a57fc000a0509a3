"""The run's figures in plain words, and what the judge's figures mean beside the scorer's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal

from pipeline.report.digits import DEGREES, Digits, alone

Kind = Literal["score", "label", "count", "share", "distance", "seconds"]


@dataclass(frozen=True)
class Row:
    """One figure.

    Attributes:
        key: its name in `summary.json`.
        label: a few words.
        sentence: what it means, for somebody new.
        kind: how it is written.
        value: by the queried scorer, or of the run; None where there is none.
        judge: by the judge; None where there is none.
        digits: how the run's scores are written.
    """

    key: str
    label: str
    sentence: str
    kind: Kind
    value: float | None
    judge: float | None = None
    digits: Digits = DEGREES

    @property
    def text(self) -> str:
        """The value as it is shown."""
        if self.value is None:
            return "not reached" if self.key.startswith("top") else "–"
        return written(self.value, self.kind, self.digits)

    @property
    def judge_text(self) -> str:
        """The judge's value as it is shown; empty where the judge has none."""
        return "" if self.judge is None else written(self.judge, self.kind, self.digits)


_ROWS: tuple[tuple[str, str, Kind, str], ...] = (
    (
        "best",
        "Best new image",
        "score",
        "The highest score of any new image that the search found; the judge's column has the one "
        "that the judge likes best.",
    ),
    (
        "top10",
        "10th best",
        "score",
        "Ten new images score at least this much, so it is less a matter of luck than the best.",
    ),
    (
        "top50",
        "50th best",
        "score",
        "Fifty new images score at least this much: what the search finds again and again.",
    ),
    (
        "query_mean",
        "Mean of all queries",
        "score",
        "The average score of everything that was tried, good or bad.",
    ),
    (
        "reference_mean",
        "Mean of their references",
        "score",
        "The average score of the training images that the queries derive from, "
        "drawn by the same generator: where the search started.",
    ),
    (
        "random_codes_mean",
        "Mean with random codes",
        "score",
        "The same references, the same cells changed, but with the codes of another training "
        "image: what chance would do.",
    ),
    (
        "train_best",
        "Best training label",
        "label",
        "The highest label in the training set, which was cut off on purpose: "
        "the search is to go beyond it.",
    ),
    (
        "train_best_reconstructed",
        "Best training image",
        "score",
        "The highest score among the training images after a pass through the generator. "
        "Queries pass through it too, so this is the fair mark to beat.",
    ),
    (
        "proven_optimal",
        "Proven optimal",
        "share",
        "The share of inner searches that ended with a proof: no other choice of the free "
        "cells promises more under the surrogate.",
    ),
    (
        "frechet",
        "Fréchet distance of queries",
        "distance",
        "How far the queries, as a crowd, are from real images above the cut-off; "
        "smaller is closer.",
    ),
    (
        "frechet_references",
        "Fréchet distance of references",
        "distance",
        "The same distance for equally many unchanged references; if the queries' is smaller, "
        "the crowd has moved the right way.",
    ),
    (
        "effect",
        "Change by the direction",
        "score",
        "How much the attribute changes on average by the vector, up or down, on fixed faces.",
    ),
    ("raised", "Raised by", "score", "The mean change where the vector is added."),
    ("lowered", "Lowered by", "score", "The mean change where it is subtracted."),
    ("length", "Length", "distance", "Of the vector: a longer one changes more of everything."),
    (
        "others",
        "Change of other attributes",
        "distance",
        "The mean absolute change of everything that is read and was not asked for; smaller is "
        "better.",
    ),
    (
        "identity",
        "Same person",
        "distance",
        "The mean cosine of face embeddings before and after; 1 is the very same face.",
    ),
    (
        "queries",
        "Queries",
        "count",
        "Images that the scorer was asked about: the budget that was spent.",
    ),
    (
        "novel",
        "New among them",
        "count",
        "Queries that were neither in the training set nor asked before; "
        "only these count for the best.",
    ),
    (
        "failures",
        "Failed queries",
        "count",
        "Images that the scorer gave no answer for; they cost budget, unless "
        "objective.failures_count=false.",
    ),
    (
        "kimg",
        "Thousands of images shown",
        "count",
        "How long the generator was trained; images were shown again and again.",
    ),
    ("parameters", "Parameters", "count", "Weights of the generator."),
    (
        "frechet_samples",
        "Fréchet distance of samples",
        "distance",
        "How far the generator's samples, as a crowd, are from as many real images.",
    ),
    (
        "frechet_real",
        "The same of real images",
        "distance",
        "Of as many other real images: what samples would have that are as good as these.",
    ),
    (
        "class_accuracy",
        "Right class, samples",
        "share",
        "The share of samples that a small network, trained on real images, takes for the class "
        "that was asked for.",
    ),
    (
        "class_accuracy_real",
        "Right class, real images",
        "share",
        "The same network's share of real images that it was not trained on.",
    ),
    ("targets", "Targets", "count", "Pictures that were searched for."),
    (
        "reached",
        "Reached",
        "count",
        "Targets whose criterion is within the tolerance; of the others the best so far is shown.",
    ),
    (
        "criterion_mean",
        "Criterion of the results",
        "distance",
        "How far the results are from their targets, on average; smaller is nearer.",
    ),
    (
        "criterion_starts",
        "Criterion of the best starts",
        "distance",
        "The same of the best of the latents that the search began from.",
    ),
    (
        "gradients",
        "Gradients",
        "count",
        "How often an image was differentiated, which costs about twice what making it does.",
    ),
    (
        "seconds",
        "Time",
        "seconds",
        "All stages, from the preparation to these figures; the start of the program and this page "
        "are left out.",
    ),
)


def rows(summary: Mapping[str, Any]) -> list[Row]:
    """All figures of a summary in the order of their weight."""
    judge = summary.get("judge") or {}
    digits = score_digits(summary)
    return [
        Row(key, label, sentence, kind, summary.get(key), judge.get(key), digits)
        for key, label, kind, sentence in _ROWS
        if key in summary and (summary[key] is not None or key.startswith("top"))
    ]


def score_digits(summary: Mapping[str, Any]) -> Digits:
    """How a run's scores are written; from the figures themselves where no spread was kept."""
    if summary.get("spread") is not None:
        return Digits(summary["spread"])
    return Digits.of(summary.get(key) for key, _, kind, _ in _ROWS if kind == "score")


def written(value: float, kind: Kind, digits: Digits = DEGREES) -> str:
    """A figure with as many digits as mean something; `digits` are those of scores."""
    if kind == "count":
        return f"{value:,.0f}".replace(",", "\u202f")
    if kind == "share":
        return f"{100 * value:.{0 if value in (0, 1) else 1}f}\u202f%"
    if kind == "seconds":
        return duration(value)
    return digits(value) if kind == "score" else alone(value)


def counted(number: int, one: str, many: str = "") -> str:
    """'1 query' or '3 queries'; `many` is `one` with an s if it is not given."""
    return f"{number} {one if number == 1 else many or one + 's'}"


def duration(seconds: float) -> str:
    """'0.4 s', '12 s', '3 min 20 s' or '2 h 05 min'."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60:02d} min"


class Verdict(StrEnum):
    """What the judge makes of the queried scorer's gain."""

    CONFIRMED = "confirmed"
    PARTLY = "partly"
    EXPLOITATION = "exploitation"
    NO_GAIN = "no gain"


@dataclass(frozen=True)
class Agreement:
    """Gain of the queries over their references, by both scorers.

    Attributes:
        queried: the mean query's score minus the mean reference's.
        judge: the same by the judge, which the search never asked.
        nothing: gains below this are none.
    """

    queried: float
    judge: float
    nothing: float = 0.01

    # Conventions of this page, not statistics: a gain that the judge sees less than half of is
    # mostly not there; below half a hundredth of the scores' range there is nothing to share.
    MOSTLY = 0.75
    HALF = 0.5
    NOTHING = 0.005

    @property
    def share(self) -> float:
        """The part of the gain that the judge sees."""
        return self.judge / self.queried

    @property
    def verdict(self) -> Verdict:
        """In one word."""
        if self.queried < self.nothing:
            return Verdict.NO_GAIN
        if self.share >= self.MOSTLY:
            return Verdict.CONFIRMED
        return Verdict.PARTLY if self.share >= self.HALF else Verdict.EXPLOITATION


def agreement(summary: Mapping[str, Any]) -> Agreement | None:
    """Both scorers' gains; None without a judge or without references."""
    gains = []
    for figures in (summary, summary.get("judge") or {}):
        query, reference = figures.get("query_mean"), figures.get("reference_mean")
        if query is None or reference is None:
            return None
        gains.append(query - reference)
    queried, judge = gains
    if summary.get("spread"):
        return Agreement(queried, judge, Agreement.NOTHING * summary["spread"])
    return Agreement(queried, judge)
