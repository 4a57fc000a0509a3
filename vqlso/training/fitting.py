"""Fitting a network to batches of an image set, with Lightning Fabric."""

from __future__ import annotations

import io
import logging
import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any, Literal, get_args

import numpy as np
import torch
from lightning_fabric import Fabric
from numpy.typing import NDArray
from torch import Tensor, nn

from vqlso.errors import CheckpointError, ConfigError, TrainingError
from vqlso.hardware import fabric_precision
from vqlso.progress import SILENT, Progress
from vqlso.records import FitReport
from vqlso.training.weighting import Batches

Decay = Literal["none", "cosine"]
Loss = Callable[[nn.Module, Tensor, NDArray[np.int64]], tuple[Tensor, Mapping[str, Tensor]]]
Fetch = Callable[[NDArray[np.int64]], NDArray[np.uint8]]

# The report averages over the last steps: one batch's loss says little.
STEPS_REPORTED = 50


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
    loss: Loss,
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

    Args:
        network: put into training mode, left in evaluation mode.
        loss: (network, pixels (n, 3, H, W) in [-1, 1], rows) -> loss and measures.
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
        TrainingError: the loss became infinite or NaN.
    """
    started = perf_counter()
    fabric = _fabric()
    optimiser = torch.optim.AdamW(
        network.parameters(),
        lr=optimisation.learning_rate,
        weight_decay=optimisation.weight_decay,
        fused=True,
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network.train()
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        module, wrapped = fabric.setup(network, optimiser)
        state = _State(network, optimiser, seed, len(batches))
        done = state.restore(checkpointing.path) if checkpointing else 0
        with progress.task(description, len(batches)) as advance:
            advance(done)
            for step in range(done, len(batches)):
                for group in optimiser.param_groups:
                    group["lr"] = optimisation.step_size(step / len(batches))
                pixels = _pixels(fetch(batches[step]), fabric.device)
                value, measures = loss(module, pixels, batches[step])
                if not torch.isfinite(value):
                    raise TrainingError(
                        f"{description.capitalize()} diverged: its loss was {value.item()} at step "
                        f"{step + 1} of {len(batches)}. Lower the learning rate."
                    )
                wrapped.zero_grad(set_to_none=True)
                fabric.backward(value)
                wrapped.step()
                if len(batches) - step <= STEPS_REPORTED:
                    for name, measure in measures.items():
                        state.recent.setdefault(name, []).append(float(measure))
                if checkpointing and (step + 1) % checkpointing.every == 0:
                    state.save(checkpointing.path, step + 1)
                advance(1)
    network.eval()
    return FitReport(
        seconds=perf_counter() - started,
        rows=sum(map(len, batches)),
        measures={name: float(np.mean(values)) for name, values in state.recent.items()},
    )


def _fabric() -> Fabric:
    # Fabric announces its precision at every start, which a loop of retrainings would repeat.
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    return Fabric(accelerator="auto", devices=1, precision=fabric_precision())  # type: ignore[arg-type]


def _pixels(images: NDArray[np.uint8], device: torch.device) -> Tensor:
    tensor = torch.from_numpy(np.ascontiguousarray(images)).to(device)
    return tensor.float().div_(127.5).sub_(1).contiguous(memory_format=torch.channels_last)


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
            "random on GPUs": torch.cuda.get_rng_state_all(),
            "recent": self.recent,
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        # By way of memory, because torch reports a full disk as an error of its own kind.
        buffer = io.BytesIO()
        torch.save(state, buffer)
        temporary = path.with_name(path.name + ".part")
        temporary.write_bytes(buffer.getvalue())
        os.replace(temporary, path)

    def restore(self, path: Path) -> int:
        """Take over a saved state, if there is one, and tell how many steps it had done."""
        if not path.is_file():
            return 0
        try:
            state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
            if state["fit"] != (self.seed, self.steps):
                raise ValueError("it was saved with another seed or number of steps")
            self.network.load_state_dict(state["network"])
            self.optimiser.load_state_dict(state["optimiser"])
            torch.set_rng_state(state["random"])
            torch.cuda.set_rng_state_all(state["random on GPUs"])
            self.recent = state["recent"]
            return int(state["done"])
        except Exception as error:  # a damaged pickle can raise nearly anything
            reason = (str(error).splitlines() or [""])[0]
            raise CheckpointError(
                f"The interrupted training at {path} cannot be continued "
                f"({type(error).__name__}: {reason}). Delete the file to train from the beginning."
            ) from error
