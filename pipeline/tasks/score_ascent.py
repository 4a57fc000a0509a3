"""The task `score_ascent`: images that a score likes best, eight ways, with one budget."""

from __future__ import annotations

from math import prod
from typing import Any

from pipeline.ascent.loop import AscentLoop
from pipeline.ascent.measures import measured
from pipeline.ascent.methods import build_climb, evaluations
from pipeline.ascent.problem import ascended, planned_problem
from pipeline.ascent.record import scored_start
from pipeline.ascent.sources import sources_of
from pipeline.ascent.super_resolution import check_super_resolution, super_resolve
from pipeline.configuration.settings import ExperimentConfig
from pipeline.loop import Budget
from pipeline.runs.folder import RunFolder
from vqlso.contracts import LatentSpace
from vqlso.errors import ConfigError, LatentSpaceError, SolverError
from vqlso.generators.conditional_latents import FEWEST_PAIRS
from vqlso.progress import Progress
from vqlso.spaces import CodeGrid

SUPER_RESOLUTION = "super_resolution"
CONDITIONAL = "conditional"


def check_score_ascent(config: ExperimentConfig) -> None:
    """Build what the task will build, so that a mistake shows before anything is made.

    Raises:
        ConfigError, DataError, CheckpointError: naming what is wrong and the remedy.
        MissingExtraError: a solver's package is not installed.
    """
    if config.ascent.starts >= config.queries:
        raise ConfigError(
            f"ascent.starts={config.ascent.starts} leaves nothing of queries={config.queries} to "
            "the search: give fewer starts or more queries."
        )
    if config.ascent.method == CONDITIONAL and config.ascent.starts < FEWEST_PAIRS:
        raise ConfigError(
            f"ascent.starts={config.ascent.starts} are too few for method=conditional, which "
            f"learns from them: give at least ascent.starts={FEWEST_PAIRS} and more queries than "
            "that."
        )
    try:
        if config.ascent.method == SUPER_RESOLUTION:
            check_super_resolution(config)
            return
        problem = planned_problem(config)
        if isinstance(problem.space, CodeGrid):
            raise ConfigError(
                "A score ascent climbs real latents: use generator=stylegan2 or vae. Codes are "
                "searched by `vqlso run smile_shift`."
            )
        _require_a_density(config, problem.space)
        build_climb(config, problem)
    except (SolverError, LatentSpaceError) as error:
        raise ConfigError(str(error)) from error


def _require_a_density(config: ExperimentConfig, space: LatentSpace) -> None:
    """Of fewer starts than dimensions a normal distribution is flat: no sample is as likely."""
    dimensions = prod(space.shape)
    fits_one = config.ascent.method == "search" and config.solver.kind == "slsqp"
    if fits_one and config.ascent.starts <= dimensions:
        raise ConfigError(
            f"ascent.starts={config.ascent.starts} are too few for solver=slsqp, which fits a "
            f"density to the starts, in {dimensions} dimensions: give at least "
            f"ascent.starts={dimensions + 1} and more queries than that, or another solver."
        )


def score_ascent(config: ExperimentConfig, folder: RunFolder, progress: Progress) -> dict[str, Any]:
    """Climb, or continue to climb, and measure what was found.

    Writes `pictures/` and, of a method that changes the generator, this one; of a super-resolution
    `result.png`, `strip.png` and `latent.safetensors`.

    Returns:
        The summary.

    Raises:
        VqlsoError: whatever generator, score and search raise.
    """
    if config.ascent.method == SUPER_RESOLUTION:
        return super_resolve(config, folder, progress)
    known = ascended(config, folder, progress)
    climb = build_climb(config, known.problem)
    archive, seconds = scored_start(
        folder, climb.problem, sources_of(config), count=config.ascent.starts, seed=config.seed
    )
    AscentLoop(
        problem=climb.problem,
        generator=climb.problem.generator,
        archive=archive,
        solver=climb.solver,
        folder=folder,
        budget=Budget(evaluations(config), config.batch),
        seed=config.seed,
        progress=progress,
    ).run()
    spent = sum(sum(event["time"]["seconds"].values()) for event in folder.journal.events("query"))
    return {
        **measured(config, folder, known, climb),
        "seconds": round(seconds + spent, 3),
        "method": config.ascent.method,
        "score": known.objective.name,
        "space": climb.problem.space.name,
        "generator": {"version": known.problem.version, "origin": known.origin},
        "seed": config.seed,
    }
