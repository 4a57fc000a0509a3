"""Fitting a network to batches of an image set, with Lightning Fabric."""

from __future__ import annotations

import logging
import math
import os
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any, Literal

import numpy as np
import torch
from lightning_fabric import Fabric
from numpy.typing import NDArray
from torch import Tensor, nn

from vqlso.errors import CheckpointError
from vqlso.hardware import fabric_precision
from vqlso.progress import SILENT, Progress
from vqlso.records import FitReport
from vqlso.training.weighting import Batches

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
    """

    learning_rate: float = 1e-3
    decay: Literal["none", "cosine"] = "none"
    weight_decay: float = 0.0


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
        done = _restore(network, optimiser, checkpointing)
        network.train()
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        module, wrapped = fabric.setup(network, optimiser)
        recent: dict[str, list[float]] = defaultdict(list)
        with progress.task(description, len(batches)) as advance:
            advance(done)
            for step in range(done, len(batches)):
                _set_step_size(optimiser, optimisation, step / len(batches))
                pixels = _pixels(fetch(batches[step]), fabric.device)
                value, measures = loss(module, pixels, batches[step])
                wrapped.zero_grad(set_to_none=True)
                fabric.backward(value)
                wrapped.step()
                if len(batches) - step <= STEPS_REPORTED:
                    for name, measure in measures.items():
                        recent[name].append(float(measure))
                if checkpointing and (step + 1) % checkpointing.every == 0:
                    _save(network, optimiser, checkpointing.path, step + 1)
                advance(1)
    network.eval()
    return FitReport(
        seconds=perf_counter() - started,
        rows=sum(map(len, batches)),
        measures={name: float(np.mean(values)) for name, values in recent.items()},
    )


def _fabric() -> Fabric:
    # Fabric announces its precision at every start, which a loop of retrainings would repeat.
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    return Fabric(accelerator="auto", devices=1, precision=fabric_precision())  # type: ignore[arg-type]


def _pixels(images: NDArray[np.uint8], device: torch.device) -> Tensor:
    tensor = torch.from_numpy(np.ascontiguousarray(images)).to(device)
    return tensor.float().div_(127.5).sub_(1).contiguous(memory_format=torch.channels_last)


def _set_step_size(optimiser: torch.optim.Optimizer, how: Optimisation, done: float) -> None:
    factor = (1 + math.cos(math.pi * done)) / 2 if how.decay == "cosine" else 1.0
    for group in optimiser.param_groups:
        group["lr"] = how.learning_rate * factor


def _save(network: nn.Module, optimiser: torch.optim.Optimizer, path: Path, step: int) -> None:
    state = {
        "network": network.state_dict(),
        "optimiser": optimiser.state_dict(),
        "random": torch.get_rng_state(),
        "step": step,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".part")
    torch.save(state, temporary)
    os.replace(temporary, path)


def _restore(
    network: nn.Module, optimiser: torch.optim.Optimizer, checkpointing: Checkpointing | None
) -> int:
    if checkpointing is None or not checkpointing.path.is_file():
        return 0
    try:
        state: dict[str, Any] = torch.load(checkpointing.path, weights_only=True)
        network.load_state_dict(state["network"])
        optimiser.load_state_dict(state["optimiser"])
        torch.set_rng_state(state["random"])
    except (RuntimeError, ValueError, KeyError, EOFError) as error:
        raise CheckpointError(
            f"The interrupted training at {checkpointing.path} cannot be continued ({error}). "
            "Delete the file to train from the beginning."
        ) from error
    return int(state["step"])
