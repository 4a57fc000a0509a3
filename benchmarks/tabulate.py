"""Mean and 95 % interval over seeds of finished runs, as a Markdown table (docs/results.md).

    python -m benchmarks.tabulate weighted=runs/w-s0,runs/w-s1,runs/w-s2 none=runs/n-s0,...

One column per arm; each arm names the run folders of its seeds. Of two arms the last column is the
mean difference, paired by the order of the folders.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
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


def journalled(folder: RunFolder) -> dict[str, float]:
    """What the summary leaves to the journal."""
    rounds = [event["shift"] for event in folder.journal.events("round")]
    queries = folder.journal.events("query")
    return {
        "generator's samples, first round": rounds[0]["mean"],
        "generator's samples, last round": rounds[-1]["mean"],
        "generator's samples, first round, judge": rounds[0]["judge_mean"],
        "generator's samples, last round, judge": rounds[-1]["judge_mean"],
        "surrogate's prediction - score": _mean(q["predicted"] - q["score"] for q in queries),
        "largest claim - prediction": max(abs(q["acquisition"] - q["predicted"]) for q in queries),
        "cells that encode(decode(z)) changes": _mean(q["reencoded_cells"] for q in queries),
    }


def figures(folder: RunFolder) -> dict[str, float | None]:
    """All rows of one run."""
    summary = folder.read_json("summary.json")
    return {**{label: figure(summary) for label, figure in ROWS.items()}, **journalled(folder)}


def table(arms: Mapping[str, Sequence[Path]]) -> str:
    """The Markdown table of all arms."""
    runs = [[figures(RunFolder.existing(path)) for path in paths] for paths in arms.values()]
    paired = len(runs) == 2 and len(runs[0]) == len(runs[1])
    heads = [*arms, "difference"] if paired else list(arms)
    lines = ["| | " + " | ".join(heads) + " |", "|---|" + "---|" * len(heads)]
    for label in runs[0][0]:
        columns = [[run[label] for run in arm] for arm in runs]
        if paired:
            columns.append([_minus(*pair) for pair in zip(*columns, strict=True)])
        lines.append(f"| {label} | " + " | ".join(map(_cell, columns)) + " |")
    return "\n".join(lines)


def _minus(a: float | None, b: float | None) -> float | None:
    return None if a is None or b is None else a - b


def _mean(values: Iterable[float]) -> float:
    return float(np.mean(list(values)))


def _cell(values: Sequence[float | None]) -> str:
    if any(value is None for value in values):
        return "not reached"
    mean, half = mean_interval(np.array(values, dtype=np.float64))
    return f"{mean:.2f}" if np.isnan(half) else f"{mean:.2f} ± {half:.2f}"


def main(arguments: Sequence[str]) -> None:
    """Print the table of the arms given as name=folder,folder,..."""
    arms = {}
    for argument in arguments:
        arm, _, paths = argument.partition("=")
        arms[arm] = [Path(path) for path in paths.split(",")]
    print(table(arms))


if __name__ == "__main__":
    main(sys.argv[1:])
