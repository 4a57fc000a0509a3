"""Eight ways to climb one score, with equal evaluations: the tables of docs/score-ascent.md.

    python -m benchmarks.score_ascent --seeds 0 1 2

Every cell is a run of `vqlso run score_ascent`, kept under runs/bench-score-ascent and not made
again; the best images of each go to docs/pictures. Seconds are processor time of the runs that are
made here, which a busy machine lengthens little.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from functools import reduce
from operator import getitem
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from pipeline import pictures
from pipeline.ascent.groups import AFTER, BEFORE, BEST, REAL
from pipeline.ascent.record import asked_in
from pipeline.commands.console import ConsoleProgress
from pipeline.configuration.composition import composed
from pipeline.experiment import resume, start
from pipeline.runs.folder import RunFolder
from vqlso.files import write_whole

WAYS: Mapping[str, tuple[str, ...]] = {
    "random": ("method=random",),
    "finetune": ("method=finetune",),
    "finetune, no anchor": ("method=finetune", "ascent.anchor=0"),
    "reinforce": ("method=reinforce",),
    "gradient": ("method=gradient",),
    "sphere": ("method=sphere",),
    "conditional": ("method=conditional",),
    "surrogate": ("method=surrogate",),
}
SECONDS = "processor_seconds.json"
SHOWN = 10
COLUMNS = ("score", "judge", "pixel_distance", "feature_distance", "frechet")
PICTURE = Path("docs/pictures/score-ascent.png")


def main() -> None:
    """Make what is missing, print the tables, write the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--runs", type=Path, default=Path("runs/bench-score-ascent"))
    parser.add_argument("--picture", type=Path, default=PICTURE)
    given = parser.parse_args()
    cells = {way: [_run(way, seed, given.runs) for seed in given.seeds] for way in WAYS}
    print(_queries_table(cells))
    print(_groups_table(cells))
    _draw(cells, given.picture)


def _run(way: str, seed: int, runs: Path) -> RunFolder:
    path = runs / f"{way.replace(', ', '-').replace(' ', '-')}-s{seed}"
    if (path / "summary.json").is_file():
        return RunFolder.existing(path)
    overrides = [*WAYS[way], f"seed={seed}", "threads=1"]
    progress = ConsoleProgress(Console(stderr=True))
    if (path / "config.yaml").is_file():
        return resume(path, progress)
    config = composed("score_ascent", [*overrides, f"out={path}"])
    began = process_time()
    folder = start(config, ["vqlso", "run", "score_ascent", *overrides], progress)
    folder.write_json(SECONDS, {"seconds": process_time() - began})
    return folder


def _queries_table(cells: Mapping[str, Sequence[RunFolder]]) -> str:
    """Of all scored images, by scorer and by judge."""
    lines = [
        "| method | best | 10th best | 50th best | mean of queries | seconds |",
        "|---|---|---|---|---|---|",
    ]
    for way, folders in cells.items():
        summaries = [folder.read_json(folder.summary.name) for folder in folders]
        figures = [
            f"{_over_seeds(summaries, key)} / {_over_seeds(summaries, 'judge', key)}"
            for key in ("best", "top10", "top50", "query_mean")
        ]
        lines.append(f"| {way} | {' | '.join(figures)} | {_seconds(folders)} |")
    return "\n".join(lines) + "\n"


def _groups_table(cells: Mapping[str, Sequence[RunFolder]]) -> str:
    """Groups of 50 images: the best of each way, and what generators make of fresh latents."""
    lines = [
        "| images | score | judge | difference in pixels | in features | Fréchet distance |",
        "|---|---|---|---|---|---|",
    ]
    wanted = [(way, BEST, f"best by {way}") for way in WAYS]
    wanted += [(way, AFTER, f"samples after {way}") for way in WAYS]
    wanted += [
        ("random", BEFORE, "samples before"),
        ("random", REAL, "real, of the highest labels"),
    ]
    for way, group, name in wanted:
        summaries = [folder.read_json(folder.summary.name) for folder in cells[way]]
        if all(group in summary["groups"] for summary in summaries):
            figures = [_over_seeds(summaries, "groups", group, key) for key in COLUMNS]
            lines.append(f"| {name} | {' | '.join(figures)} |")
    return "\n".join(lines) + "\n"


def _over_seeds(summaries: Sequence[Mapping[str, Any]], *keys: str) -> str:
    """The mean, with the standard deviation where there are several seeds."""
    values = [reduce(getitem, keys, summary) for summary in summaries]
    if any(value is None for value in values):
        return "–"
    digits = 3 if max(values) < 1 else 2
    mean = f"{np.mean(values):.{digits}f}"
    return mean if len(values) < 2 else f"{mean} ± {np.std(values, ddof=1):.{digits}f}"


def _seconds(folders: Sequence[RunFolder]) -> str:
    known = [
        folder.read_json(SECONDS)["seconds"]
        for folder in folders
        if (folder.path / SECONDS).is_file()
    ]
    return f"{np.mean(known):.0f}" if known else "–"


def _draw(cells: Mapping[str, Sequence[RunFolder]], path: Path) -> None:
    """A row for each way: the best images of the first seed, from the best on."""
    rows = [_best(folders[0]) for folders in cells.values()]
    sheet = pictures.grid(np.concatenate(rows), SHOWN)
    path.parent.mkdir(parents=True, exist_ok=True)
    half = sheet.resize((sheet.width // 2, sheet.height // 2))
    write_whole(path, pictures.png(half))


def _best(folder: RunFolder) -> NDArray[np.uint8]:
    """Spread over the fifty best, so that a row shows how different these are."""
    asked = asked_in(folder)
    order = np.argsort(-np.nan_to_num(asked.scores, nan=-np.inf), kind="stable")[:50]
    return np.asarray(asked.images[order[:: max(1, len(order) // SHOWN)][:SHOWN]])


if __name__ == "__main__":
    main()
