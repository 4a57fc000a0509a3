"""Which optimiser finds a latent best? Paper 001's table III for the packaged generator.

    make bench-inversion
    make bench-inversion ARGS='--minutes 35 --targets 20 --evaluations 1000'

Each cell is one optimiser on one kind of targets, all targets side by side, with the solvers of
`vqlso run invert`. Finished cells are kept in benchmarks/results/inversion.json and not measured
again; latents go to runs/bench-inversion, for pictures. `python -m benchmarks.inversion_tables`
prints the tables of docs/inversion.md.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np
import torch
from rich.console import Console

from benchmarks.inversion_cases import problem_of
from benchmarks.inversion_courses import Course, search
from benchmarks.recording import RESULTS, machine, write_result
from pipeline.commands.console import ConsoleProgress
from pipeline.parts.generators import PACKAGED_GAN
from vqlso.generators import load_discriminator
from vqlso.hardware import limit_threads
from vqlso.images import to_bytes
from vqlso.problems.target_image import TargetImage

NAME = "inversion"
DISCRIMINATOR = PACKAGED_GAN.with_name("stylegan2-faces-discriminator.safetensors")
METHODS = {
    "RS": ("solver=random_latents",),
    "LBFGS": ("solver=lbfgs",),
    "DOPO": ("solver=nevergrad", "solver.optimizer=DOPO"),
    "Adam": ("solver=adam",),
    "2PDE": ("solver=nevergrad", "solver.optimizer=2PDE"),
    "CMA-ES": ("solver=cma_es",),
    "sphere": ("solver=sphere",),
    "DDE": ("solver=nevergrad", "solver.optimizer=DDE"),
    "Nesterov": ("solver=nesterov",),
}
CASES = ("reconstruction", "semi-specified", "misspecified")
# Paper 001 chooses steps by grid search; here on other faces than those of the table.
STEPS = {"Adam": (0.01, 0.03, 0.1, 0.3), "Nesterov": (0.0003, 0.001, 0.003, 0.01)}
PILOT_TARGETS, PILOT_EVALUATIONS = 4, 216
# Of a course as it is kept, so far apart on a logarithmic axis that a line looks smooth.
POINTS = 40


def main() -> None:
    """Measure what is not measured yet, until the time is over."""
    options = _options()
    limit_threads(1)
    record = _known(options.results)
    settings = {"targets": options.targets, "evaluations": options.evaluations}
    record |= {"command": f"make bench-{NAME}", "machine": machine(("torch", "nevergrad", "cma"))}
    record.setdefault("settings", settings)
    if record["settings"] != settings:
        raise SystemExit(f"{NAME}.json was measured with {record['settings']}: delete it first.")
    progress = ConsoleProgress(Console(stderr=True))
    steps = record.setdefault("steps", {})
    for method, chosen in METHODS.items():
        for case in CASES:
            cell = f"{case}: {method}"
            if cell in record["cells"] or process_time() > 60 * options.minutes:
                continue
            if method in STEPS and method not in steps:
                steps[method] = _best_step(method)
            more = (f"solver.steps=[{steps[method]['best']}]",) if method in steps else ()
            problem = problem_of(case, options.targets)
            course = search(problem, (*chosen, *more), options.evaluations, progress=progress)
            record["cells"][cell] = _facts(problem, course)
            _keep_latents(cell, course)
            write_result(NAME, record, options.results)
            print(f"{cell}: {course.curve[-1].mean():.5f} in {course.seconds:.0f} s", flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--targets", type=int, default=20, help="of each kind")
    parser.add_argument("--evaluations", type=int, default=1000, help="for each target")
    parser.add_argument(
        "--minutes", type=float, default=35, help="of the processor; no cell begins later"
    )
    parser.add_argument("--results", type=Path, default=RESULTS, metavar="DIR")
    return parser.parse_args()


def _known(folder: Path) -> dict[str, Any]:
    path = folder / f"{NAME}.json"
    known: dict[str, Any] = json.loads(path.read_text()) if path.is_file() else {"cells": {}}
    return known


def _best_step(method: str) -> dict[str, Any]:
    """The step of lowest mean criterion on a few faces, and all that were tried."""
    tried = {}
    for step in STEPS[method]:
        problem = problem_of("pilot", PILOT_TARGETS)
        settings = (*METHODS[method], f"solver.steps=[{step}]")
        tried[step] = float(search(problem, settings, PILOT_EVALUATIONS).curve[-1].mean())
    return {"best": min(tried, key=lambda step: tried[step]), "tried": tried}


def _facts(problem: TargetImage, course: Course) -> dict[str, Any]:
    """The criterion of each target, seconds, and how real the results look."""
    images = problem.generator.decode(course.z, problem.space.name)
    wanted = problem.wanted.float()
    pixels = np.square(to_bytes(images) / 255.0 - to_bytes(wanted) / 255.0).mean((1, 2, 3))
    with torch.inference_mode():
        realism = load_discriminator(DISCRIMINATOR)(2 * images - 1).numpy()
    last = len(course.curve) - 1
    places = np.unique(np.geomspace(1, last, POINTS).round().astype(int))
    return {
        "criterion": course.curve[-1].tolist(),
        "course": {
            "seconds": course.clock[places].round(3).tolist(),
            "criterion": course.curve[places].mean(axis=1).tolist(),
        },
        "seconds": course.seconds,
        "evaluations": last,
        "pixels": pixels.tolist(),
        "discriminator": realism.tolist(),
    }


def _keep_latents(cell: str, course: Course) -> None:
    folder = Path("runs") / f"bench-{NAME}"
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(folder / f"{cell.replace(': ', '-').replace(' ', '-')}.npz", z=course.z)


if __name__ == "__main__":
    main()
