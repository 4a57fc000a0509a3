"""How many threads a run may use."""

from __future__ import annotations

from pipeline.configuration import ExperimentConfig
from vqlso.hardware import available_cores

MOST_THREADS = 4


def threads_of(config: ExperimentConfig) -> int:
    """How many threads every library may use."""
    return config.threads or min(available_cores(), MOST_THREADS)
