"""How many threads a run may use."""

from __future__ import annotations

import os

from pipeline.configuration.settings import ExperimentConfig
from vqlso.hardware import available_cores

MOST_THREADS = 4
# The pools that libraries open when they are loaded; each reads its own variable.
POOLS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")


def threads_of(config: ExperimentConfig) -> int:
    """How many threads every library may use."""
    return config.threads or min(available_cores(), allowed_threads(), MOST_THREADS)


def allowed_threads() -> int:
    """What OMP_NUM_THREADS leaves to this process, as a worker of a sweep finds it set."""
    first = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0]  # the rest: nested regions
    return int(first) if first.isdecimal() and int(first) else MOST_THREADS


def pools_of(threads: int) -> dict[str, str]:
    """The environment of a process whose libraries may use so many threads."""
    return dict.fromkeys(POOLS, str(threads))
