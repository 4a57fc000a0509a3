"""The tasks that a configuration can name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pipeline.run_folder import RunFolder
from pipeline.settings import ExperimentConfig
from pipeline.tasks.gan_training import train_gan
from pipeline.tasks.inversion import check_inversion, invert
from pipeline.tasks.search import check_search, search
from vqlso.progress import Progress


def _nothing(config: ExperimentConfig) -> None:
    """What every configuration is checked for is enough."""


@dataclass(frozen=True)
class Task:
    """What a run does between its configuration and its report.

    Attributes:
        run: does it, or continues it from what the folder holds; returns the summary.
        check: finds what would stop it later, before anything is made.
    """

    run: Callable[[ExperimentConfig, RunFolder, Progress], dict[str, Any]]
    check: Callable[[ExperimentConfig], None] = _nothing


TASKS: dict[str, Task] = {
    "search": Task(search, check_search),
    "invert": Task(invert, check_inversion),
    "train_gan": Task(train_gan),
}
