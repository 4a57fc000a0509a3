"""What a run is doing at a moment, seen from outside by the process that will kill it.

The functions that a stage consists of are wrapped where they are looked up. On entering one, the
run writes the stage's number into memory that it shares with its parent, and so it stands there
when the run is killed.
"""

from __future__ import annotations

import functools
import importlib
import mmap
from collections.abc import Callable
from time import perf_counter
from typing import Any

WHOLE = "anything"  # the run from its first to its last instruction
STAGES: dict[str, tuple[str, ...]] = {
    WHOLE: (),
    "data": ("pipeline.preparation.preparing:load_data",),
    "training": (
        "pipeline.runs.shelf:Shelf.find_or_train",
        "vqlso.training.gan_steps:AdversarialSteps.step",
    ),
    "starting set": (
        "pipeline.preparation.preparing:encoded_start",
        "pipeline.tasks.inversion:scored_starts",
    ),
    "fitting": ("solvers.surrogates.lightgbm:LightGBM.fit",),
    "solving": ("solvers.surrogate_based:maximize", "pipeline.loop:Loop.propose"),
    "scoring": (
        "vqlso.problems.image_score:ImageScore.evaluate",
        "vqlso.problems.target_image:TargetImage.evaluate",
    ),
    "retraining": ("pipeline.retraining.weighted:WeightedRetraining.retrain",),
    "measuring": ("pipeline.shift:ShiftMonitor.observe",),
    "writing": (
        "pipeline.runs.folder:RunFolder.write",
        "pipeline.runs.folder:RunFolder.keep_generator",
        "pipeline.runs.folder:RunFolder.keep_surrogate",
        "pipeline.runs.journal:Journal.append_all",
        "vqlso.training.fit_state:FitState.save",
    ),
    "evaluating": ("pipeline.tasks.search:evaluate",),
    "reporting": ("pipeline.experiment:write_report", "pipeline.comparison.parquet:write_tables"),
}
NAMES = tuple(STAGES)

Entered = Callable[[str, int], None]


class Watched:
    """The stage of one forked run.

    Args:
        entered: told within the run of each stage that begins, and how often it has.

    Attributes:
        seconds: of each stage's calls, within the run.
    """

    def __init__(self, entered: Entered = lambda _stage, _number: None) -> None:
        self.seconds: dict[str, list[float]] = {name: [] for name in NAMES}
        self._entered = entered
        self._shared = mmap.mmap(-1, 1)
        self._begun = dict.fromkeys(NAMES, 0)

    @property
    def stage(self) -> str:
        """What the run is doing, or was when it ended."""
        return NAMES[self._shared[0]]

    def install(self) -> None:
        """Wrap the stages' functions in this process."""
        for name, targets in STAGES.items():
            for target in targets:
                module, _, path = target.partition(":")
                *owners, last = path.split(".")
                owner = functools.reduce(getattr, owners, importlib.import_module(module))
                setattr(owner, last, self.during(name, getattr(owner, last)))

    def during(self, stage: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, as a part of a stage; another stage within it stands for itself."""

        @functools.wraps(function)
        def watched(*args: Any, **kwargs: Any) -> Any:
            outer, began = self._shared[0], perf_counter()
            self._shared[0] = NAMES.index(stage)
            self._begun[stage] += 1
            self._entered(stage, self._begun[stage])
            try:
                return function(*args, **kwargs)
            finally:
                self.seconds[stage].append(perf_counter() - began)
                self._shared[0] = outer

        return watched
