"""The tasks that a configuration can name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pipeline.configuration.settings import ExperimentConfig
from pipeline.runs.folder import RunFolder
from pipeline.tasks.editing import check_edit, edit
from pipeline.tasks.evolution import check_evolution, evolve
from pipeline.tasks.gan_training import train_gan
from pipeline.tasks.inversion import check_inversion, invert
from pipeline.tasks.pgan_training import check_pgan_training, train_progressive
from pipeline.tasks.score_ascent import check_score_ascent, score_ascent
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
    "edit": Task(edit, check_edit),
    "train_gan": Task(train_gan),
    "train_pgan": Task(train_progressive, check_pgan_training),
    "score_ascent": Task(score_ascent, check_score_ascent),
    "evolve": Task(evolve, check_evolution),
}
