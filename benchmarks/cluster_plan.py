"""How long a large study takes: the images of every stage over the images a second of a device.

    python -m benchmarks.cluster_plan
    torchrun --standalone --nproc-per-node 8 -m benchmarks.cluster_plan --devices 8

The rates are measured, on the device that Lightning Fabric finds; of training also by all processes
that torchrun started, together. On a CPU they count seconds of one thread's own time, so that
other programs do not matter. docs/clusters.md has the result.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter, process_time

import numpy as np
import torch

from benchmarks.recording import machine
from benchmarks.tables import figure, markdown
from vqlso.data.faces import procedural_faces
from vqlso.generators.vqvae import VQVAESettings
from vqlso.images import to_unit
from vqlso.training.distributed import lead_or_follow
from vqlso.training.scorer import ScorerTraining, train_scorer
from vqlso.training.vqvae import VQVAETraining, finetune_vqvae, train_vqvae
from vqlso.training.weighting import epochs

# Of CelebA's images with CelebA-Dialog's degrees, those of at most 2 (docs/results.md).
RESTRICTED = 16951 / 24000
SCORER_PEOPLE, SCORER_EPOCHS = (
    0.45,
    16,
)  # pipeline/preparation/scorers.py, pipeline/configuration/settings.py
EPOCHS, QUERIES, EVERY, FIRST, LATER = 70, 500, 5, 1.0, 0.1  # size=paper, retrainer=weighted
SHIFT_SAMPLES = 500  # a round
# GridBoosting with 800 trees on one core (docs/performance.md), continued as a straight line.
REFIT_ROWS, REFIT_SECONDS = (13_000, 100_000), (0.357, 1.11)


@dataclass(frozen=True)
class Stage:
    """One kind of work: `images` at `rate` a second, `times` over."""

    name: str
    formula: str
    images: float
    rate: str
    times: int = 1


def stages(images: int, runs: int) -> list[Stage]:
    """All stages that a device computes; every run retrains."""
    restricted = RESTRICTED * images
    rounds = QUERIES // EVERY
    retrained = (FIRST + (rounds - 1) * LATER) * restricted
    return [
        Stage(
            "both scorers", "2 x 16 x .45 N", 2 * SCORER_EPOCHS * SCORER_PEOPLE * images, "scorer"
        ),
        Stage("generator", "70 R", EPOCHS * restricted, "training"),
        Stage("training set scored", "R", restricted, "scoring"),
        Stage("retraining", "(1 + 99 x .1) R", retrained, "training", runs),
        Stage("re-encoding", "100 R", rounds * restricted, "encoding", runs),
        Stage("shift", "101 x 500", (rounds + 1) * SHIFT_SAMPLES, "scoring", runs),
    ]


def measured(width: int, images: int) -> dict[str, float]:
    """Images a second, by kind of work."""
    data = procedural_faces(images, seed=0)
    rows = np.arange(images)
    once = ScorerTraining(epochs=1)
    how = VQVAETraining(epochs=1)
    generator, _ = train_vqvae(data.images, VQVAESettings(width=width), how, seed=0)
    scorer = train_scorer(data, rows, rows, "residual", once, seed=0)
    unit, batches = to_unit(data.images), epochs(images, 1, 128, np.random.default_rng(0))

    def score() -> None:
        decoded = generator.decode(generator.encode(unit))
        for _ in ("scorer", "judge"):
            scorer(decoded)

    work: dict[str, Callable[[], object]] = {
        "training": lambda: finetune_vqvae(generator, lambda r: data.images[r], batches, seed=0),
        "scorer": lambda: train_scorer(data, rows, rows[:1], "residual", once, seed=0),
        "encoding": lambda: generator.encode(unit),
        "scoring": score,
    }
    return {name: images / _seconds(do) for name, do in work.items()}


def refit_seconds(rows: float) -> float:
    """Of one query, on one core."""
    slope = (REFIT_SECONDS[1] - REFIT_SECONDS[0]) / (REFIT_ROWS[1] - REFIT_ROWS[0])
    return REFIT_SECONDS[1] + slope * (rows - REFIT_ROWS[1])


def plan(images: int, runs: int, devices: int, rates: dict[str, float]) -> str:
    """The table and the total, as Markdown."""
    rows, once, each = [], 0.0, 0.0
    for stage in stages(images, runs):
        hours = stage.images / rates[stage.rate] / 3600
        once, each = (once + hours, each) if stage.times == 1 else (once, each + hours)
        rate = f"{stage.rate}: {figure(rates[stage.rate])}"
        rows.append(
            (
                stage.name,
                str(stage.times),
                f"{stage.formula} = {stage.images:,.0f}",
                rate,
                figure(hours),
                figure(hours * stage.times),
            )
        )
    refits = QUERIES * refit_seconds(RESTRICTED * images) / 3600
    seconds = f"1 / {figure(refit_seconds(RESTRICTED * images))} queries"
    rows.append(
        ("refits", str(runs), f"{QUERIES} queries", seconds, figure(refits), figure(refits * runs))
    )
    heads = ("stage", "times", "images", "a second", "hours each", "hours in all")
    waves = -(-runs // devices)
    return (
        f"N = {images:,}, R = {RESTRICTED:.3f} N = {RESTRICTED * images:,.0f}, {runs} runs\n\n"
        f"{markdown(heads, rows)}\n\n"
        f"On {devices} such devices: {figure(once)} h / {devices} before the runs, then {waves} x "
        f"{figure(each + refits)} h: {figure(once / devices + waves * (each + refits))} h."
    )


def _seconds(do: Callable[[], object]) -> float:
    """Of the faster of two rounds; of a GPU, or of several processes, by the clock."""
    alone_on_cpu = not torch.cuda.is_available() and "TORCHELASTIC_RUN_ID" not in os.environ
    clock = process_time if alone_on_cpu else perf_counter
    found = []
    for _ in range(2):
        began = clock()
        do()
        found.append(clock() - began)
    return min(found)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=200_000)
    parser.add_argument("--runs", type=int, default=80, help="seeds x methods")
    parser.add_argument("--devices", type=int, default=8)
    parser.add_argument("--width", type=int, default=64, help="of the VQ-VAE")
    parser.add_argument("--measure", type=int, default=512, help="images that are measured on")
    options = parser.parse_args()
    if not torch.cuda.is_available():
        torch.set_num_threads(1)
    rates = measured(options.width, options.measure)
    gpu = torch.cuda.is_available()
    print(torch.cuda.get_device_name() if gpu else f"one thread of {machine()['cpu']}")
    print(plan(options.images, options.runs, options.devices, rates))


if __name__ == "__main__":
    if "TORCHELASTIC_RUN_ID" in os.environ:
        lead_or_follow(main)
    else:
        main()
