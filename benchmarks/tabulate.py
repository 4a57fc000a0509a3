"""Mean and 95 % interval over seeds of finished runs, as a Markdown table (docs/results.md).

    python -m benchmarks.tabulate weighted=runs/w-s0,runs/w-s1,runs/w-s2 none=runs/n-s0,...

One column per arm; each arm names the run folders of its seeds.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.run_folder import RunFolder
from vqlso.metrics.intervals import mean_interval

Summary = Mapping[str, Any]
Figure = Callable[[Summary], float]


def _judge(key: str) -> Figure:
    return lambda summary: summary["judge"][key]


ROWS: dict[str, Figure] = {
    "queries' mean": lambda s: s["query_mean"],
    "references' mean": lambda s: s["reference_mean"],
    "random codes' mean": lambda s: s["random_codes_mean"],
    "queries - references": lambda s: s["query_mean"] - s["reference_mean"],
    "queries - random codes": lambda s: s["query_mean"] - s["random_codes_mean"],
    "best": lambda s: s["best"],
    "Top-10": lambda s: s["top10"],
    "Top-50": lambda s: s["top50"],
    "best training image, by label": lambda s: s["train_best"],
    "best training image, reconstructed": lambda s: s["train_best_reconstructed"],
    "judge: queries' mean": _judge("query_mean"),
    "judge: references' mean": _judge("reference_mean"),
    "judge: queries - references": lambda s: (
        s["judge"]["query_mean"] - s["judge"]["reference_mean"]
    ),
    "judge: best": _judge("best"),
    "judge: Top-10": _judge("top10"),
    "judge: Top-50": _judge("top50"),
    "judge: best training image, reconstructed": _judge("train_best_reconstructed"),
    "Frechet distance, queries to target": lambda s: s["frechet"],
    "Frechet distance, references to target": lambda s: s["frechet_references"],
    "proven optimal, share": lambda s: s["proven_optimal"],
    "seconds": lambda s: s["seconds"],
}


def last_shift(folder: RunFolder) -> tuple[float, float, float, float]:
    """Mean degree of the generator's samples in the first and last round, by both scorers."""
    rounds = [event["shift"] for event in folder.journal.events("round")]
    first, last = rounds[0], rounds[-1]
    return first["mean"], last["mean"], first["judge_mean"], last["judge_mean"]


def table(arms: Mapping[str, Sequence[Path]]) -> str:
    """The Markdown table of all arms."""
    summaries = {
        arm: [RunFolder.existing(path).read_json("summary.json") for path in paths]
        for arm, paths in arms.items()
    }
    lines = ["| | " + " | ".join(arms) + " |", "|---|" + "---|" * len(arms)]
    for label, figure in ROWS.items():
        cells = [_cell([figure(summary) for summary in each]) for each in summaries.values()]
        lines.append(f"| {label} | " + " | ".join(cells) + " |")
    shifts = {
        arm: np.array([last_shift(RunFolder.existing(path)) for path in paths])
        for arm, paths in arms.items()
    }
    labels = ("first round", "last round", "first round, judge", "last round, judge")
    for column, label in enumerate(labels):
        cells = [_cell(list(each[:, column])) for each in shifts.values()]
        lines.append(f"| generator's samples, {label} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cell(values: list[float | None]) -> str:
    if any(value is None for value in values):
        return "not reached"
    mean, half = mean_interval(np.array(values, dtype=np.float64))
    return f"{mean:.2f} ± {half:.2f}"


def main(arguments: Sequence[str]) -> None:
    """Print the table of the arms given as name=folder,folder,..."""
    arms = {}
    for argument in arguments:
        arm, _, paths = argument.partition("=")
        arms[arm] = [Path(path) for path in paths.split(",")]
    print(table(arms))


if __name__ == "__main__":
    main(sys.argv[1:])
