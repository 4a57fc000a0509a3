"""From a configuration to a finished run folder."""

from __future__ import annotations

import shlex
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

from pipeline.checks import check
from pipeline.configuration.composition import as_yaml, run_name, saved
from pipeline.configuration.settings import ExperimentConfig
from pipeline.origin import FILE
from pipeline.preparation.sources import anchored
from pipeline.provenance import compare, environment
from pipeline.report.page import write_report
from pipeline.runs.folder import RunFolder
from pipeline.tasks.registry import TASKS
from pipeline.threads import threads_of
from pipeline.tracking.mirror import mirrored
from vqlso.errors import RunFolderError
from vqlso.hardware import limit_threads
from vqlso.progress import SILENT, Progress

Tell = Callable[[str], None]


def start(
    config: ExperimentConfig,
    command: Sequence[str],
    progress: Progress = SILENT,
    tell: Tell = warnings.warn,
) -> RunFolder:
    """Run an experiment in a new folder, or continue the very same one.

    Without `out`, the folder's name holds a hash of the configuration: a run that is already
    there is this one, and is continued, or only reported again where it is finished.

    Args:
        config: composed and complete.
        command: what a person would type to get the same run.
        progress: shows every long step.
        tell: says what is different from when a continued run was started.

    Raises:
        ConfigError: a value that cannot be used, before anything is made.
        RunFolderError: the folder already holds a run.
        KeyboardInterrupt: with a message that says how to continue.
    """
    check(config)
    folder = RunFolder(_folder_of(config))
    if folder.config.is_file() and folder.begun:
        if config.out is None:
            return resume(folder.named, progress, tell=tell)
        raise RunFolderError(
            f"{folder.path} already holds a run. Continue it with `vqlso resume {folder.path}`, "
            "choose another out=DIR, or delete it."
        )
    with folder.locked():
        folder.write_json(FILE, environment(config, command))
        # Last: a folder without its configuration is not yet a run.
        folder.write("config.yaml", as_yaml(config).encode())
    carry_on(config, folder, progress, tell)
    return folder


def resume(
    path: Path,
    progress: Progress = SILENT,
    *,
    force: bool = False,
    tell: Tell = warnings.warn,
) -> RunFolder:
    """Continue an interrupted run to its end; a finished one is only reported again.

    Args:
        path: its folder.
        progress: shows every long step.
        force: continue although the configuration or the objective has changed.
        tell: says what is different from when the run was started.

    Raises:
        ConfigError: the configuration in the folder cannot be used here.
        RunFolderError: there is no run in the folder, its files are damaged, or configuration,
            objective or generator are not those that it was started with.
        KeyboardInterrupt: with a message that says how to continue.
    """
    folder = RunFolder.existing(path)
    config = saved(folder.config)
    check(config)
    with folder.locked():
        difference = compare(folder, config, force)
    if difference:
        tell(difference)
    if folder.journal.events("end") and folder.summary.is_file():
        return report(path)
    carry_on(config, folder, progress, tell)
    return folder


def report(path: Path) -> RunFolder:
    """Write the report of a run anew, from its folder alone.

    Raises:
        RunFolderError: there is no run in the folder, or it has nothing to show yet.
    """
    folder = RunFolder.existing(path)
    write_report(folder)
    return folder


def carry_on(
    config: ExperimentConfig, folder: RunFolder, progress: Progress, tell: Tell = warnings.warn
) -> None:
    """Prepare, loop, evaluate and report; every step continues from what the folder holds."""
    try:
        with folder.locked():
            _carry_on(config, folder, progress, tell)
    except KeyboardInterrupt as interrupt:
        raise KeyboardInterrupt(
            "Interrupted. Everything finished so far is kept: "
            f"`vqlso resume {shlex.quote(str(folder.path))}` continues the run."
        ) from interrupt


def _carry_on(config: ExperimentConfig, folder: RunFolder, progress: Progress, tell: Tell) -> None:
    limit_threads(threads_of(config))
    with mirrored(folder, config.tracker, tell) as mirror:
        summary = TASKS[config.task].run(anchored(config), folder, progress)
        folder.write_json(folder.summary.name, {**summary, "smoke_test": config.smoke_test})
        if mirror:
            mirror.conclude(summary)
    write_report(folder)


def _folder_of(config: ExperimentConfig) -> Path:
    if config.out:
        return Path(config.out).expanduser()
    return Path("runs") / run_name(config)
