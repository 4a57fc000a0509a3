"""Fitting a network to batches of an image set, with Lightning Fabric."""

from __future__ import annotations

import copy
import io
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import perf_counter
from typing import Any, Literal, Protocol, get_args, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from vqlso.errors import CheckpointError, ConfigError, TrainingError
from vqlso.files import write_whole
from vqlso.hardware import fabric_precision
from vqlso.portions import dividing
from vqlso.progress import SILENT, Advance, Progress
from vqlso.records import FitReport
from vqlso.training.distributed import Team, current_team
from vqlso.training.weighting import Batches

Decay = Literal["none", "cosine"]
Loss = Callable[[nn.Module, Tensor, NDArray[np.int64]], tuple[Tensor, Mapping[str, Tensor]]]
Fetch = Callable[[NDArray[np.int64]], NDArray[np.uint8]]

# The report averages over the last steps: one batch's loss says little.
STEPS_REPORTED = 50


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
        The report; its measures are means over the last steps.

    Raises:
        CheckpointError: the saved state is damaged or belongs to another fit.
        TrainingError: the loss became infinite or NaN, or another process failed.
    """
    started = perf_counter()
    saved = _saved(checkpointing.path) if checkpointing else None
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
        measures={name: float(np.mean(values)) for name, values in state.recent.items()},
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

    def run(self, team: Team, fetch: Fetch | None, advance: Advance) -> _State:
        """Train the network.

        Args:
            team: the processes that do it.
            fetch: None in a process that is sent its images.
            advance: told the steps done.
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
            state = _State(network, optimiser, self.seed, steps)
            done = self._restored(state)
            advance(done)
            for step in range(done, steps):
                for group in optimiser.param_groups:
                    group["lr"] = self.optimisation.step_size(step / steps)
                rows = self.batches[step]
                portion = team.portion(len(rows))
                images = fetch(rows) if fetch else None
                own = team.divided(images, (len(rows), *self.image_shape), fabric.device)
                with dividing(portion):
                    value, measures = self._loss(step)(module, _pixels(own), rows[portion.own])
                self._require_finite(portion.mean(value.detach()), step)
                wrapped.zero_grad(set_to_none=True)
                fabric.backward(value * portion.weight)
                wrapped.step()
                if steps - step <= STEPS_REPORTED:
                    for name, measure in measures.items():
                        state.recent.setdefault(name, []).append(float(portion.mean(measure)))
                self._save(state, step + 1, team)
                advance(1)
            team.require_agreement(network)
        network.eval()
        return state

    def _loss(self, step: int) -> Loss:
        return self.loss.at(step) if isinstance(self.loss, ScheduledLoss) else self.loss

    def _restored(self, state: _State) -> int:
        if self.checkpointing is None or self.saved is None:
            return 0
        return state.restore(self.saved, self.checkpointing.path)

    def _require_finite(self, value: Tensor, step: int) -> None:
        if not torch.isfinite(value):
            raise TrainingError(
                f"{self.description.capitalize()} diverged: its loss was {value.item()} at step "
                f"{step + 1} of {len(self.batches)}. Lower the learning rate."
            )

    def _save(self, state: _State, done: int, team: Team) -> None:
        if self.checkpointing and team.leads and done % self.checkpointing.every == 0:
            state.save(self.checkpointing.path, done)


def _pixels(images: Tensor) -> Tensor:
    return images.float().div_(127.5).sub_(1).contiguous(memory_format=torch.channels_last)


@dataclass
class _State:
    """Everything that decides how a fit goes on.

    Attributes:
        network: being fitted, already on its device.
        optimiser: of its parameters.
        seed: of the fit.
        steps: of the whole fit; with the seed it tells one fit from another.
        recent: the measures of the last steps, by name.
    """

    network: nn.Module
    optimiser: torch.optim.Optimizer
    seed: int
    steps: int
    recent: dict[str, list[float]] = field(default_factory=dict)

    def save(self, path: Path, done: int) -> None:
        """Write the state after `done` steps; it replaces the older one as a whole."""
        state = {
            "fit": (self.seed, self.steps),
            "done": done,
            "network": self.network.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "random": torch.get_rng_state(),
            "random on its GPU": torch.cuda.get_rng_state(self._device) if self._on_gpu else None,
            "recent": self.recent,
        }
        # By way of memory, because torch reports a full disk as an error of its own kind.
        buffer = io.BytesIO()
        torch.save(state, buffer)
        write_whole(path, buffer.getvalue())

    def restore(self, state: Any, path: Path) -> int:
        """Take over what `save` wrote to the path, and tell how many steps it had done."""
        with _continuing(path):
            if state["fit"] != (self.seed, self.steps):
                raise ValueError("it was saved with another seed or number of steps")
            self.network.load_state_dict(state["network"])
            self.optimiser.load_state_dict(state["optimiser"])
            torch.set_rng_state(state["random"])
            if self._on_gpu and state["random on its GPU"] is not None:
                torch.cuda.set_rng_state(state["random on its GPU"], self._device)
            self.recent = state["recent"]
            return int(state["done"])

    @property
    def _device(self) -> torch.device:
        return next(self.network.parameters()).device

    @property
    def _on_gpu(self) -> bool:
        return self._device.type == "cuda"


def _saved(path: Path) -> Any:
    """What `_State.save` wrote; None if nothing was."""
    with _continuing(path):
        return torch.load(path, map_location="cpu", weights_only=True) if path.is_file() else None


@contextmanager
def _continuing(path: Path) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # a damaged pickle can raise nearly anything
        reason = (str(error).splitlines() or [""])[0]
        raise CheckpointError(
            f"The interrupted training at {path} cannot be continued "
            f"({type(error).__name__}: {reason}). Delete the file to train from the beginning."
        ) from error
