"""The task `evolve`: a person's session, which only a page can run."""

from __future__ import annotations

from typing import Any, NoReturn

from pipeline.configuration.settings import ExperimentConfig
from pipeline.runs.folder import RunFolder
from vqlso.errors import ConfigError
from vqlso.progress import Progress


def check_evolution(config: ExperimentConfig) -> NoReturn:  # noqa: ARG001
    """Say where the person is waited for.

    Raises:
        ConfigError: always.
    """
    raise ConfigError(
        "A session of task=evolve waits for a person's picks: begin one, or open one again, in the "
        "browser with `vqlso evolve`. `vqlso report` writes the page of a session at any time."
    )


def evolve(config: ExperimentConfig, folder: RunFolder, progress: Progress) -> dict[str, Any]:  # noqa: ARG001
    """As `check_evolution`."""
    check_evolution(config)
