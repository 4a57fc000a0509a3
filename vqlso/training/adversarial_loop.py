"""The steps of an adversarial training: saved, watched, and taken back where they diverge."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter
from typing import Generic

import torch

from vqlso.errors import TrainingError
from vqlso.files import write_whole
from vqlso.progress import Progress
from vqlso.records import FitReport
from vqlso.training.adversarial_state import AdversarialState
from vqlso.training.alternating import DivergedError
from vqlso.training.fitting import MOST_HALVINGS, Checkpointing
from vqlso.training.watching import Made, Observer, Snapshot


@dataclass(frozen=True)
class AdversarialLoop(Generic[Made]):
    """Steps of two networks to their end, from wherever an interrupted training stopped.

    Where a loss or a weight leaves the finite numbers, the training goes back to the last state
    that was saved or looked at, or to its beginning, and on with half the step sizes; it warns,
    and tells so in its measures. It gives up after `MOST_HALVINGS`.

    Attributes:
        state: is moved on.
        whose: the generator's kind, for labels and messages.
        steps: of the whole training.
        batch: real images a step.
        identity: tells this training from another.
        remedy: what to do where it diverges, for the error message.
        snapshot: the state as an observer sees it.
        checkpointing: where to save and to continue from, if at all.
        observer: watches, if anybody does.
        progress: shows steps with an ETA.
    """

    state: AdversarialState
    whose: str
    steps: int
    batch: int
    identity: str
    remedy: str
    snapshot: Callable[[], Snapshot[Made]]
    checkpointing: Checkpointing | None
    observer: Observer[Made] | None
    progress: Progress

    def run(self, step: Callable[[int], None]) -> FitReport:
        """Train to the end.

        Args:
            step: moves the state on by the step of this number, counted from 0. All its random
                numbers follow from the number: no stream is saved or left undisturbed.

        Returns:
            The report; its measures are means over the last steps, and "halvings" of the step
            sizes if there were any.

        Raises:
            CheckpointError: the saved state is damaged or belongs to another training.
            TrainingError: a loss or a weight became infinite or NaN again and again.
        """
        started, state = perf_counter(), self.state
        if self.checkpointing:
            state.restore(self.checkpointing.path, self.identity)
        first, good = state.done, state.packed(self.identity)
        title = f"training the {self.whose}"
        with torch.random.fork_rng(), self.progress.task(title, self.steps) as advance:
            advance(first)
            while state.done < self.steps:
                before = state.done
                try:
                    step(before)
                    good = self._kept(before) or good
                except DivergedError as fault:
                    self._go_back(good, before, fault)
                advance(state.done - before)
        rows = (state.done - first) * self.batch
        return FitReport(perf_counter() - started, rows, state.means())

    def _kept(self, before: int) -> bytes | None:
        """Save and show the state where that is due after this step; what it was, to go back to.

        Raises:
            DivergedError: it is no state to keep.
        """
        state = self.state
        saved = self.checkpointing if self._is_saved else None
        watched = self.observer and self.observer.is_due(before * self.batch, self.batch)
        if not (saved or watched or state.done == self.steps):
            return None
        if not state.finite:
            raise DivergedError("a weight was no number")
        # A resumed training passes the same places, so that it goes back to the same ones.
        packed = state.packed(self.identity)
        if saved:
            write_whole(saved.path, packed)
        if self.observer and watched:
            self.observer.look(self.snapshot())
        return packed

    @property
    def _is_saved(self) -> bool:
        return bool(self.checkpointing and self.state.done % self.checkpointing.every == 0)

    def _go_back(self, good: bytes, step: int, fault: DivergedError) -> None:
        """Take over the last good state, with half the step sizes.

        Raises:
            TrainingError: that was done too often already.
        """
        where = f"diverged: {fault} at step {step + 1} of {self.steps}"
        if self.state.halvings == MOST_HALVINGS:
            raise TrainingError(
                f"Training the {self.whose} {where}, though its step sizes were halved "
                f"{MOST_HALVINGS} times. {self.remedy}"
            ) from fault
        self.state.go_back_to(good)
        warnings.warn(
            f"Training the {self.whose} {where}. It goes on from step {self.state.done} with half "
            "the step sizes.",
            stacklevel=4,
        )
