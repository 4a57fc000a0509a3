"""Fitting a network to batches of an image set, with Lightning Fabric."""

from __future__ import annotations

import copy
import math
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import Any, Literal, Protocol, get_args, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from vqlso.errors import ConfigError, TrainingError
from vqlso.hardware import fabric_precision
from vqlso.portions import Portion, dividing
from vqlso.progress import SILENT, Advance, Progress
from vqlso.records import FitReport
from vqlso.training.distributed import Team, current_team
from vqlso.training.fit_state import FitState, Kept, saved_state
from vqlso.training.weighting import Batches

Decay = Literal["none", "cosine"]
Loss = Callable[[nn.Module, Tensor, NDArray[np.int64]], tuple[Tensor, Mapping[str, Tensor]]]
Fetch = Callable[[NDArray[np.int64]], NDArray[np.uint8]]

# The report averages over the last steps: one batch's loss says little.
STEPS_REPORTED = 50
# Where a fit without a file goes back to when its loss is no number: at most so many steps.
STEPS_KEPT = 50
# A loss that is no number at an eighth of the step size is no matter of the step size.
MOST_HALVINGS = 3


@runtime_checkable
class ScheduledLoss(Protocol):
    """A loss that changes as a fit goes on."""

    def at(self, step: int) -> Loss:
        """The loss of one step, counted from 0."""


@dataclass(frozen=True)
class Optimisation:
    """How a network is optimised.

    Attributes:
        learning_rate: Adam's step size; 1e-3 in paper 003, table 4.
        decay: "none", or "cosine" to let the step size fall to zero over the fit.
        weight_decay: decoupled (AdamW); 0 is plain Adam.

    Raises:
        ConfigError: an unknown decay.
    """

    learning_rate: float = 1e-3
    decay: Decay = "none"
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        if self.decay not in get_args(Decay):
            raise ConfigError(
                f"The step size decays by one of {', '.join(get_args(Decay))}; got '{self.decay}'."
            )

    def step_size(self, done: float) -> float:
        """The step size when this share of the fit, in [0, 1], is done."""
        if self.decay == "cosine":
            return self.learning_rate * (1 + math.cos(math.pi * done)) / 2
        return self.learning_rate


@dataclass(frozen=True)
class Checkpointing:
    """Where an interrupted fit continues from.

    Attributes:
        path: the state's file; removed by whoever saves the finished network.
        every: steps between two saves.
    """

    path: Path
    every: int = 200


def fit(
    network: nn.Module,
    loss: Loss | ScheduledLoss,
    fetch: Fetch,
    batches: Batches,
    *,
    seed: int,
    optimisation: Optimisation = Optimisation(),
    checkpointing: Checkpointing | None = None,
    progress: Progress = SILENT,
    description: str = "fitting",
) -> FitReport:
    """Train `network` in place, one Adam step a batch, from a fresh optimiser.

    Where torchrun started several processes (vqlso/training/distributed.py), each takes a portion
    of every batch, and the steps are those of one process but for rounding.

    Where the loss or a weight leaves the finite numbers, the fit goes back to the last state from
    which a finite loss was computed, and on with half the step size; it warns, and tells so in
    its report. It gives up after `MOST_HALVINGS`.

    Args:
        network: put into training mode, left in evaluation mode.
        loss: (network, pixels (n, 3, H, W) in [-1, 1], rows) -> loss and measures, which are
            means over the images; or what tells the loss of each step. For several processes it
            must be picklable.
        fetch: rows -> (n, 3, H, W) uint8 images.
        batches: rows of every step, in order; fixes the whole fit together with `seed`.
        seed: of the random numbers that the network draws.
        optimisation: step size and its decay.
        checkpointing: where to save and to continue from, if at all.
        progress: shows steps with an ETA.
        description: the progress bar's label.

    Returns:
        The report; its measures are means over the last steps, and "halvings" of the step size
        if there were any.

    Raises:
        CheckpointError: the saved state belongs to another fit.
        TrainingError: the loss became infinite or NaN again and again, or another process failed.
    """
    started = perf_counter()
    saved = saved_state(checkpointing.path) if checkpointing else None
    steps = _Steps(
        network,
        loss,
        batches,
        seed,
        optimisation,
        checkpointing,
        saved,
        description,
        fabric_precision(),
    )
    team = current_team() if batches else Team()
    with (
        team.helping(lambda: steps.announced(fetch)),
        progress.task(description, len(batches)) as advance,
    ):
        state = steps.run(team, fetch, advance)
    return FitReport(
        seconds=perf_counter() - started,
        rows=sum(map(len, batches)),
        measures={name: float(np.mean(values)) for name, values in state.recent.items()}
        | ({"halvings": float(state.halvings)} if state.halvings else {}),
    )


@dataclass(frozen=True)
class _Steps:
    """The steps of a fit, as every process that takes part in it must know them.

    Attributes:
        saved: what an interrupted fit left; None to begin.
        precision: as Fabric calls it, the same for all processes.
        image_shape: (3, H, W), for processes that have no images.
        others: as in `fit`.
    """

    network: nn.Module
    loss: Loss | ScheduledLoss
    batches: Batches
    seed: int
    optimisation: Optimisation
    checkpointing: Checkpointing | None
    saved: Any
    description: str
    precision: str
    image_shape: tuple[int, ...] = ()

    def announced(self, fetch: Fetch) -> _Steps:
        """As other processes are told; the network off the GPU, which is this process's own."""
        shape = fetch(self.batches[0][:1]).shape[1:]
        return replace(self, network=copy.deepcopy(self.network).cpu(), image_shape=shape)

    def take_part(self, team: Team) -> None:
        """Run them without images and without anyone who watches."""
        self.run(team, None, lambda _steps: None)

    def run(self, team: Team, fetch: Fetch | None, advance: Advance) -> FitState:
        """Train the network.

        Args:
            team: the processes that do it.
            fetch: None in a process that is sent its images.
            advance: told the steps done; fewer than none where the fit goes back.
        """
        network, steps = self.network, len(self.batches)
        fabric = team.fabric(self.precision)
        optimiser = torch.optim.AdamW(
            network.parameters(),
            lr=self.optimisation.learning_rate,
            weight_decay=self.optimisation.weight_decay,
            fused=True,
        )
        with torch.random.fork_rng():
            torch.manual_seed(self.seed)
            network.train()
            network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
            module, wrapped = fabric.setup(network, optimiser)
            state = FitState(network, optimiser, self.seed, steps)
            step = self._restored(state)
            good = state.kept(step)
            advance(step)
            while step < steps or not state.finite:
                kept = state.kept(step) if step % self._period == 0 else None
                batch = self._batch(step, module, team, fetch, fabric.device)
                if batch is None or not torch.isfinite(batch.loss):
                    before, step = step, self._gone_back(state, good, step, batch)
                    advance(step - before)
                    continue
                if kept:
                    good = kept
                    self._save(state, good, team)
                for group in optimiser.param_groups:
                    group["lr"] = self._step_size(state, step)
                wrapped.zero_grad(set_to_none=True)
                fabric.backward(batch.own)
                wrapped.step()
                if steps - step <= STEPS_REPORTED:
                    for name, measure in batch.measures.items():
                        mean = float(batch.portion.mean(measure))
                        state.recent.setdefault(name, []).append(mean)
                step += 1
                advance(1)
            if steps % self._period == 0:
                self._save(state, state.kept(steps), team)
            team.require_agreement(network)
        network.eval()
        return state

    def _batch(
        self,
        step: int,
        module: nn.Module,
        team: Team,
        fetch: Fetch | None,
        device: torch.device,
    ) -> _Batch | None:
        """A step's loss; None behind the last step."""
        if step == len(self.batches):
            return None
        rows = self.batches[step]
        portion = team.portion(len(rows))
        images = fetch(rows) if fetch else None
        own = team.divided(images, (len(rows), *self.image_shape), device)
        with dividing(portion):
            value, measures = self._loss(step)(module, _pixels(own), rows[portion.own])
        return _Batch(portion, portion.mean(value.detach()), value * portion.weight, measures)

    def _gone_back(self, state: FitState, good: Kept, step: int, batch: _Batch | None) -> int:
        """Take over the last good state with half the step size; returns its step.

        Raises:
            TrainingError: that was done too often already.
        """
        halvings = state.halvings + 1
        was = f"its loss was {batch.loss.item()}" if batch else "its weights were no numbers"
        where = f"{was} at step {min(step + 1, len(self.batches))} of {len(self.batches)}"
        if halvings > MOST_HALVINGS:
            raise TrainingError(
                f"{self.description.capitalize()} diverged: {where}, though its step size was "
                f"halved {MOST_HALVINGS} times. Lower the learning rate."
            )
        back = state.go_back_to(good)
        state.halvings = halvings
        warnings.warn(
            f"{self.description.capitalize()} diverged: {where}. It goes on from step {back} with "
            "half the step size.",
            stacklevel=4,
        )
        return back

    def _step_size(self, state: FitState, step: int) -> float:
        return float(self.optimisation.step_size(step / len(self.batches)) / 2**state.halvings)

    def _loss(self, step: int) -> Loss:
        return self.loss.at(step) if isinstance(self.loss, ScheduledLoss) else self.loss

    def _restored(self, state: FitState) -> int:
        if self.checkpointing is None or self.saved is None:
            return 0
        return state.go_on_from(self.saved, self.checkpointing.path)

    @property
    def _period(self) -> int:
        """Steps between two states to go back to.

        Where states are saved it is these, so that an interrupted fit goes back to the same ones.
        """
        return self.checkpointing.every if self.checkpointing else STEPS_KEPT

    def _save(self, state: FitState, kept: Kept, team: Team) -> None:
        if self.checkpointing and team.leads and kept["done"]:
            state.save(self.checkpointing.path, kept)


@dataclass(frozen=True)
class _Batch:
    """What came out of one step's forward pass.

    Attributes:
        portion: of this process.
        loss: of the whole batch.
        own: this process's share of it, that gradients flow from.
        measures: over this process's rows.
    """

    portion: Portion
    loss: Tensor
    own: Tensor
    measures: Mapping[str, Tensor]


def _pixels(images: Tensor) -> Tensor:
    return images.float().div_(127.5).sub_(1).contiguous(memory_format=torch.channels_last)
