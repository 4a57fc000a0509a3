"""Mean and 95 % interval over seeds of finished runs, as a Markdown table (docs/results.md).

    python -m benchmarks.tabulate weighted=runs/w-s0,runs/w-s1,runs/w-s2 none=runs/n-s0,...

    python -m benchmarks.tabulate studies/figure3_faces
    python -m benchmarks.tabulate studies/baselines --figure Top-50 --figure "judge: Top-50"

An arm names the run folders of its seeds, or is a method of the study whose folder is given, with
what the study's grid sets. One column per arm, and of two arms a last one for the mean difference,
paired by the folders' order; or with --figure one row per arm and a column per figure.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pyarrow import parquet

from pipeline.comparison.parquet import RUNS_TABLE
from pipeline.runs.folder import RunFolder
from pipeline.studies.study import arm_label
from vqlso.metrics.intervals import mean_interval

SETTING = "setting."

Summary = Mapping[str, Any]
Figure = Callable[[Summary], float | None]


def _judge(key: str) -> Figure:
    return lambda summary: summary["judge"][key]


def _minus(a: float | None, b: float | None) -> float | None:
    return None if a is None or b is None else a - b


ROWS: dict[str, Figure] = {
    "queries' mean": lambda s: s["query_mean"],
    "references' mean": lambda s: s["reference_mean"],
    "random codes' mean": lambda s: s["random_codes_mean"],
    "queries - references": lambda s: _minus(s["query_mean"], s["reference_mean"]),
    "queries - random codes": lambda s: _minus(s["query_mean"], s["random_codes_mean"]),
    "best": lambda s: s["best"],
    "Top-10": lambda s: s["top10"],
    "Top-50": lambda s: s["top50"],
    "best training image, by label": lambda s: s["train_best"],
    "best training image, reconstructed": lambda s: s["train_best_reconstructed"],
    "judge: queries' mean": _judge("query_mean"),
    "judge: references' mean": _judge("reference_mean"),
    "judge: queries - references": lambda s: _minus(
        s["judge"]["query_mean"], s["judge"]["reference_mean"]
    ),
    "judge: best": _judge("best"),
    "judge: Top-10": _judge("top10"),
    "judge: Top-50": _judge("top50"),
    "judge: best training image, reconstructed": _judge("train_best_reconstructed"),
    "Frechet distance, queries to target": lambda s: s["frechet"],
    "Frechet distance, references to target": lambda s: s["frechet_references"],
    "proven optimal, share": lambda s: s["proven_optimal"],
}


def journalled(folder: RunFolder) -> dict[str, float | None]:
    """What the summary leaves to the journal; of a method without a surrogate nothing of that."""
    rounds = [event["shift"] for event in folder.journal.events("round")]
    queries = list(folder.journal.events("query"))
    fifth = len(queries) // 5
    return {
        "queries' mean, first fifth": _mean(q["score"] for q in queries[:fifth]),
        "queries' mean, last fifth": _mean(q["score"] for q in queries[-fifth:]),
        "generator's samples, first round": rounds[0]["mean"],
        "generator's samples, last round": rounds[-1]["mean"],
        "generator's samples, first round, judge": rounds[0]["judge_mean"],
        "generator's samples, last round, judge": rounds[-1]["judge_mean"],
        "surrogate's prediction - score": _mean(
            _minus(q["predicted"], q["score"]) for q in queries
        ),
        "largest claim - prediction": max(
            (abs(q["acquisition"] - q["predicted"]) for q in queries if q["bound"] is not None),
            default=None,
        ),
        "cells that encode(decode(z)) changes": _mean(q.get("reencoded_cells") for q in queries),
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


def table_of(arms: Mapping[str, Sequence[Path]], chosen: Sequence[str]) -> str:
    """The Markdown table of some figures, a row an arm."""
    lines = ["| | " + " | ".join(chosen) + " |", "|---|" + "---|" * len(chosen)]
    for arm, paths in arms.items():
        runs = [figures(RunFolder.existing(path)) for path in paths]
        if unknown := set(chosen) - set(runs[0]):
            raise SystemExit(f"No figures {sorted(unknown)}; there are: {', '.join(runs[0])}")
        cells = [_cell([run[label] for run in runs]) for label in chosen]
        lines.append(f"| {arm} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def _cell(values: Sequence[float | None]) -> str:
    if any(value is None for value in values):
        return "none"
    mean, half = mean_interval(np.array(values, dtype=np.float64))
    return f"{mean:.2f}" if np.isnan(half) else f"{mean:.2f} ± {half:.2f}"


def arms_of(study: Path) -> dict[str, list[Path]]:
    """The run folders of each method of a study with each of its settings, by seed."""
    arms: dict[str, list[Path]] = {}
    runs = parquet.read_table(study / RUNS_TABLE).to_pylist()
    for run in sorted(runs, key=lambda run: int(run["seed"])):
        settings = {
            key.removeprefix(SETTING): value
            for key, value in run.items()
            if key.startswith(SETTING)
        }
        arms.setdefault(arm_label(run["method"], settings), []).append(study / run["run"])
    return arms


def main(arguments: Sequence[str]) -> None:
    """Print the table of the arms given as name=folder,folder,... or by the folder of a study."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tabulate", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("arms", nargs="+", metavar="NAME=RUN,RUN | STUDY")
    parser.add_argument("--figure", action="append", metavar="NAME", help="a row an arm instead")
    given = parser.parse_args(arguments)
    arms: dict[str, list[Path]] = {}
    for argument in given.arms:
        arm, equals, paths = argument.partition("=")
        arms |= {arm: [Path(path) for path in paths.split(",")]} if equals else arms_of(Path(arm))
    print(table(arms) if given.figure is None else table_of(arms, given.figure))


if __name__ == "__main__":
    main(sys.argv[1:])
