"""The task `search`: images that a black box scores higher than any that were there before."""

from __future__ import annotations

from time import perf_counter
from typing import Any

from pipeline.configuration.settings import ExperimentConfig
from pipeline.evaluation import evaluate
from pipeline.loop import Budget, Loop
from pipeline.parts import GENERATORS, RETRAINERS, build_retrainer, build_solver
from pipeline.parts.direction_solvers import require_no_direction_solver
from pipeline.parts.target_solvers import require_no_target_solver
from pipeline.preparation.preparing import Preparation, prepare
from pipeline.runs.folder import RunFolder
from pipeline.runs.journal import Event
from pipeline.shift import Settled, ShiftMonitor
from pipeline.threads import threads_of
from vqlso.errors import ConfigError, LatentSpaceError, SolverError
from vqlso.hardware import keep_few_kernels
from vqlso.problems.image_score import ImageScore
from vqlso.progress import SILENT, Progress


def check_search(config: ExperimentConfig) -> None:
    """Let the parts themselves say whether they can be built for such a latent space.

    Raises:
        ConfigError: parts that do not go together, with the reason.
        MissingExtraError: a chosen part needs a package that is not installed.
    """
    generator = GENERATORS[config.generator.kind]
    require_no_target_solver(config.solver.kind)
    require_no_direction_solver(config.solver.kind)
    try:
        build_solver(config, generator.space(config), threads=1)
    except (SolverError, LatentSpaceError) as error:
        raise ConfigError(str(error)) from error
    build_retrainer(config)
    if RETRAINERS[config.retrainer.kind].retrains and not generator.encodes:
        raise ConfigError(
            f"retrainer={config.retrainer.kind} needs a generator that encodes images, which "
            f"generator={config.generator.kind} does not: add retrainer=none."
        )


def search(config: ExperimentConfig, folder: RunFolder, progress: Progress) -> dict[str, Any]:
    """Prepare, loop and evaluate; every step continues from what the folder holds.

    Returns:
        The summary.

    Raises:
        VqlsoError: whatever preparation, loop and evaluation raise.
    """
    threads = threads_of(config)
    if RETRAINERS[config.retrainer.kind].retrains:
        keep_few_kernels()
    start_ = prepare(config, folder, progress)
    _write_preparation(folder, start_.facts)
    loop = build_loop(config, start_, folder, threads, progress)
    loop.run()
    started = perf_counter()
    summary = evaluate(folder, start_, loop.archive, config.seed, config.metrics)
    stages = seconds_by_stage(folder, perf_counter() - started)
    return {**summary, "seconds": round(sum(stages.values()), 3), "seconds_by_stage": stages}


def build_loop(
    config: ExperimentConfig,
    start_: Preparation,
    folder: RunFolder,
    threads: int,
    progress: Progress = SILENT,
) -> Loop:
    """The loop of an experiment around what was prepared."""
    shift = config.shift
    monitor = ShiftMonitor(
        start_.objective, start_.judge, shift.samples, shift.components, config.seed
    )
    return Loop(
        problem=ImageScore(start_.generator, start_.objective),
        generator=start_.generator,
        archive=start_.archive,
        solver=build_solver(config, start_.generator.space, threads),
        retrainer=build_retrainer(config, progress),
        folder=folder,
        budget=Budget(
            config.queries, config.batch, settled=Settled(shift.patience, shift.tolerance)
        ),
        monitor=monitor if shift.samples else None,
        seed=config.seed,
        progress=progress,
    )


def seconds_by_stage(folder: RunFolder, evaluation: float) -> dict[str, float]:
    """Where a run's time went, from its preparation and its journal."""
    stages: dict[str, float] = {}
    prepared: dict[str, float] = folder.read_json("preparation.json")["seconds"]
    for stage, seconds in prepared.items():
        stages[f"prepare {stage}"] = seconds
    for event in folder.journal.events():
        for stage, seconds in _times(event).items():
            stages[stage] = stages.get(stage, 0.0) + seconds
    stages["evaluate"] = evaluation
    return {stage: round(seconds, 3) for stage, seconds in stages.items()}


def _times(event: Event) -> dict[str, float]:
    seconds: dict[str, float] = event["time"]["seconds"]
    return seconds


def _write_preparation(folder: RunFolder, facts: dict[str, Any]) -> None:
    """The first preparation's times stand: a resumed run loads what the first one made."""
    if (folder.path / "preparation.json").is_file():
        facts["seconds"] = folder.read_json("preparation.json")["seconds"]
        facts["generator"]["origin"] = folder.read_json("preparation.json")["generator"]["origin"]
    folder.write_json("preparation.json", facts)
