"""From a configuration to a finished run folder."""

from __future__ import annotations

import platform
import shlex
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from time import perf_counter
from typing import Any

from pipeline.checks import check
from pipeline.configuration import ExperimentConfig, as_yaml, config_hash, saved
from pipeline.evaluation import evaluate
from pipeline.journal import Event
from pipeline.loop import Budget, Loop
from pipeline.parts import build_retrainer, build_solver
from pipeline.preparation import Preparation, prepare
from pipeline.report.page import write_report
from pipeline.run_folder import RunFolder
from pipeline.shift import Settled, ShiftMonitor
from vqlso.errors import RunFolderError
from vqlso.hardware import available_cores, limit_threads
from vqlso.problems import ImageScore
from vqlso.progress import SILENT, Progress

PACKAGES = ("vqlso", "torch", "lightgbm", "highspy", "pyomo", "numpy")
MOST_THREADS = 4


def start(
    config: ExperimentConfig, command: Sequence[str], progress: Progress = SILENT
) -> RunFolder:
    """Run an experiment in a new folder, or continue the very same one.

    Without `out`, the folder's name holds a hash of the configuration: a run that is already
    there is this one, and is continued, or only reported again where it is finished.

    Args:
        config: composed and complete.
        command: what a person would type to get the same run.
        progress: shows every long step.

    Raises:
        ConfigError: a value that cannot be used, before anything is made.
        RunFolderError: the folder already holds a run.
        KeyboardInterrupt: with a message that says how to continue.
    """
    check(config)
    folder = RunFolder(_folder_of(config))
    if folder.config.is_file() and folder.begun:
        if config.out is None:
            return resume(folder.path, progress)
        raise RunFolderError(
            f"{folder.path} already holds a run. Continue it with `vqlso resume {folder.path}`, "
            "choose another out=DIR, or delete it."
        )
    with folder.locked():
        folder.write_json("environment.json", _environment(config, command))
        # Last: a folder without its configuration is not yet a run.
        folder.write("config.yaml", as_yaml(config).encode())
    carry_on(config, folder, progress)
    return folder


def resume(path: Path, progress: Progress = SILENT) -> RunFolder:
    """Continue an interrupted run to its end; a finished one is only reported again.

    Raises:
        ConfigError: the configuration in the folder cannot be used here.
        RunFolderError: there is no run in the folder, or its generator is not the one here.
        KeyboardInterrupt: with a message that says how to continue.
    """
    folder = RunFolder.existing(path)
    if folder.journal.events("end") and folder.summary.is_file():
        return report(path)
    config = saved(folder.config)
    check(config)
    carry_on(config, folder, progress)
    return folder


def report(path: Path) -> RunFolder:
    """Write the report of a run anew, from its folder alone.

    Raises:
        RunFolderError: there is no run in the folder, or it has nothing to show yet.
    """
    folder = RunFolder.existing(path)
    write_report(folder)
    return folder


def carry_on(config: ExperimentConfig, folder: RunFolder, progress: Progress) -> None:
    """Prepare, loop, evaluate and report; every step continues from what the folder holds."""
    try:
        with folder.locked():
            _carry_on(config, folder, progress)
    except KeyboardInterrupt as interrupt:
        raise KeyboardInterrupt(
            "Interrupted. Everything finished so far is kept: "
            f"`vqlso resume {shlex.quote(str(folder.path))}` continues the run."
        ) from interrupt


def _carry_on(config: ExperimentConfig, folder: RunFolder, progress: Progress) -> None:
    threads = threads_of(config)
    limit_threads(threads)
    start_ = prepare(config, folder, progress)
    _write_preparation(folder, start_.facts)
    loop = build_loop(config, start_, folder, threads, progress)
    loop.run()
    started = perf_counter()
    summary = evaluate(folder, start_, loop.archive, config.seed, config.metrics)
    stages = seconds_by_stage(folder, perf_counter() - started)
    total = round(sum(stages.values()), 3)
    folder.write_json(
        folder.summary.name, {**summary, "seconds": total, "seconds_by_stage": stages}
    )
    write_report(folder)


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


def threads_of(config: ExperimentConfig) -> int:
    """How many threads every library may use."""
    return config.threads or min(available_cores(), MOST_THREADS)


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


def _folder_of(config: ExperimentConfig) -> Path:
    if config.out:
        return Path(config.out).expanduser()
    return Path("runs") / f"{config.name}-{config_hash(config)}-s{config.seed}"


def _environment(config: ExperimentConfig, command: Sequence[str]) -> dict[str, Any]:
    return {
        "command": shlex.join(command),
        "python": sys.version.split()[0],
        "platform": platform.platform(),
        "processor": platform.processor() or platform.machine(),
        "cores": available_cores(),
        "threads": threads_of(config),
        "packages": {name: version(name) for name in PACKAGES},
    }
