"""Super-resolution as a score ascent: a sharp image that shrinks to a small picture (PULSE)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor
from torch.nn import functional as F

from pipeline import pictures
from pipeline.ascent.loop import AscentLoop
from pipeline.ascent.record import asked_in, best_latent, scored_start
from pipeline.ascent.sources import sources_of
from pipeline.configuration.settings import ExperimentConfig
from pipeline.loop import Budget
from pipeline.parts.generators import stored_generator
from pipeline.parts.target_solvers import build_target_solver
from pipeline.runs.folder import RunFolder
from vqlso.contracts import Solver
from vqlso.errors import ConfigError
from vqlso.images import to_bytes
from vqlso.objectives.criteria import Criterion
from vqlso.objectives.downscaling import DownscaledDistance, downscaled
from vqlso.problems.target_image import TargetImage
from vqlso.problems.target_pictures import drawn_targets, read_target
from vqlso.progress import Progress
from vqlso.spaces import CodeGrid

RESULT, STRIP, LATENT = "result.png", "strip.png", "latent.safetensors"


@dataclass(frozen=True)
class Small:
    """A picture that is to become sharp.

    Attributes:
        picture: (1, 3, h, w) in [0, 1].
        truth: (1, 3, H, W), what it was before it was made small; None where nobody knows.
    """

    picture: Tensor
    truth: Tensor | None


def check_super_resolution(config: ExperimentConfig) -> None:
    """Build what the run will build.

    Raises:
        ConfigError, DataError, CheckpointError, SolverError: what is wrong, and the remedy.
    """
    problem, _, _ = _problem(config)
    _solver(config, problem)


def super_resolve(
    config: ExperimentConfig, folder: RunFolder, progress: Progress
) -> dict[str, Any]:
    """Search, or continue to search, and write the result beside the picture.

    Returns:
        The summary.

    Raises:
        VqlsoError: whatever generator, picture and search raise.
    """
    problem, small, origin = _problem(config)
    archive, seconds = scored_start(
        folder, problem, sources_of(config), count=config.ascent.starts, seed=config.seed
    )
    AscentLoop(
        problem=problem,
        generator=problem.generator,
        archive=archive,
        solver=_solver(config, problem),
        folder=folder,
        budget=Budget(config.queries - config.ascent.starts, config.batch),
        seed=config.seed,
        progress=progress,
    ).run()
    asked = asked_in(folder, images=False)
    found = problem.generator.decode(best_latent(folder)[None], problem.space.name)
    _write(folder, problem, small, found)
    events = folder.journal.events("query")
    spent = sum(sum(event["time"]["seconds"].values()) for event in events)
    return {
        "queries": len(asked.scores),
        "starts": asked.starts,
        "criterion_mean": -float(asked.course[-1]),
        "criterion_starts": -float(asked.course[asked.starts - 1]),
        "picture_edge": small.picture.shape[-1],
        "to_truth": _distance(found, small.truth),
        "picture_enlarged_to_truth": _distance(_enlarged(small, found), small.truth),
        "gradients": events[-1].get("gradients", 0) if events else 0,
        "seconds": round(seconds + spent, 3),
        "method": config.ascent.method,
        "score": f"minus {problem.criterion.name}",
        "space": problem.space.name,
        "generator": {"version": problem.version, "origin": origin},
        "seed": config.seed,
    }


def _problem(config: ExperimentConfig) -> tuple[TargetImage, Small, str]:
    generator, origin = stored_generator(config)
    if isinstance(generator.space, CodeGrid):
        raise ConfigError("method=super_resolution searches real latents: use generator=stylegan2.")
    edge = generator.image_shape[-1] // config.ascent.factor
    if edge < 1:
        raise ConfigError(
            f"ascent.factor={config.ascent.factor} leaves no pixel of the generator's "
            f"{generator.image_shape[-1]}: give a smaller one."
        )
    if config.ascent.picture is None:
        truth, _ = drawn_targets(generator, 1, seed=config.seed)
        small = Small(downscaled(truth, (edge, edge)), truth)
    else:
        path = Path(config.ascent.picture).expanduser()
        small = Small(read_target(path, size=edge)[None], None)
    return TargetImage(generator, Criterion([DownscaledDistance()]), small.picture), small, origin


def _solver(config: ExperimentConfig, problem: TargetImage) -> Solver:
    # An inversion's solvers count its own starts.
    counted = replace(config, invert=replace(config.invert, starts=config.ascent.starts))
    return build_target_solver(counted, problem)


def _write(folder: RunFolder, problem: TargetImage, small: Small, found: Tensor) -> None:
    """The result; the strip of picture, result, the result made small, and the truth if known."""
    shrunk = _enlarged(replace(small, picture=downscaled(found, small.picture.shape[2:])), found)
    shown = [_enlarged(small, found), found, shrunk]
    shown += [] if small.truth is None else [small.truth]
    strip = pictures.grid(to_bytes(torch.cat(shown)), columns=len(shown))
    folder.write(STRIP, pictures.png(strip))
    folder.write(RESULT, pictures.png(pictures.enlarged(to_bytes(found)[0], 1)))
    header = {"space": problem.space.name, "generator": problem.version}
    folder.write(LATENT, save({"z": torch.from_numpy(best_latent(folder)[None])}, header))


def _enlarged(small: Small, like: Tensor) -> Tensor:
    """The picture's pixels as blocks, at the images' size."""
    return F.interpolate(small.picture, size=tuple(like.shape[2:]), mode="nearest")


def _distance(images: Tensor, truth: Tensor | None) -> float | None:
    """Root mean square difference of pixels in [0, 1]."""
    return None if truth is None else float((images - truth).square().mean().sqrt())
