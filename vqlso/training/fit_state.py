"""Everything that decides how a fit goes on: kept in memory to go back to, and in a file."""

from __future__ import annotations

import copy
import io
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from vqlso.errors import CheckpointError
from vqlso.files import write_whole

Kept = Mapping[str, Any]


@dataclass
class FitState:
    """A fit between two of its steps.

    Attributes:
        network: being fitted, already on its device.
        optimiser: of its parameters.
        seed: of the fit.
        steps: of the whole fit; with the seed it tells one fit from another.
        halvings: how often the step size was halved, since the loss left the finite numbers.
        recent: the measures of the last steps, by name.
    """

    network: nn.Module
    optimiser: torch.optim.Optimizer
    seed: int
    steps: int
    halvings: int = 0
    recent: dict[str, list[float]] = field(default_factory=dict)

    def kept(self, done: int) -> Kept:
        """A copy of the state after `done` steps, which later steps leave alone."""
        return copy.deepcopy(
            {
                "fit": (self.seed, self.steps),
                "done": done,
                "network": self.network.state_dict(),
                "optimiser": self.optimiser.state_dict(),
                "random": torch.get_rng_state(),
                "random on its GPU": (
                    torch.cuda.get_rng_state(self._device) if self._on_gpu else None
                ),
                "halvings": self.halvings,
                "recent": self.recent,
            }
        )

    def save(self, path: Path, kept: Kept) -> None:
        """Write a kept state; it replaces the older one as a whole."""
        # By way of memory, because torch reports a full disk as an error of its own kind.
        buffer = io.BytesIO()
        torch.save(dict(kept), buffer)
        write_whole(path, buffer.getvalue())

    def go_on_from(self, saved: Any, path: Path) -> int:
        """Take over what `save` wrote to the path, and tell how many steps it had done.

        Raises:
            CheckpointError: it belongs to another fit, or is none.
        """
        with _continuing(path):
            if saved["fit"] != (self.seed, self.steps):
                raise ValueError("it was saved with another seed or number of steps")
            return self.go_back_to(saved)

    def go_back_to(self, kept: Kept) -> int:
        """Take over a kept state, and tell how many steps it had done."""
        self.network.load_state_dict(kept["network"])
        # A copy: the optimiser goes on in the very tensors that it is given.
        self.optimiser.load_state_dict(copy.deepcopy(kept["optimiser"]))
        torch.set_rng_state(kept["random"])
        if self._on_gpu and kept["random on its GPU"] is not None:
            torch.cuda.set_rng_state(kept["random on its GPU"], self._device)
        self.halvings = kept["halvings"]
        self.recent = copy.deepcopy(kept["recent"])
        return int(kept["done"])

    @property
    def finite(self) -> bool:
        """Whether all weights and running means are numbers."""
        return all(
            bool(torch.isfinite(value).all()) for value in self.network.state_dict().values()
        )

    @property
    def _device(self) -> torch.device:
        return next(self.network.parameters()).device

    @property
    def _on_gpu(self) -> bool:
        return self._device.type == "cuda"


def saved_state(path: Path) -> Any:
    """What `FitState.save` wrote; None if nothing was, or if half of it is gone.

    A state is written whole or not at all, but a disk may lose what was written. Nothing but time
    is lost with it: the training begins anew and comes to the same weights.
    """
    if not path.is_file():
        return None
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged pickle can raise nearly anything
        reason = (str(error).splitlines() or [""])[0]
        warnings.warn(
            f"The interrupted training at {path} cannot be read ({type(error).__name__}: "
            f"{reason}). It begins anew.",
            stacklevel=3,
        )
        return None


@contextmanager
def _continuing(path: Path) -> Iterator[None]:
    """Turn what a state of something else raises into a CheckpointError with the remedy."""
    try:
        yield
    except Exception as error:  # whatever another structure than the expected one raises
        reason = (str(error).splitlines() or [""])[0]
        raise CheckpointError(
            f"The interrupted training at {path} cannot be continued "
            f"({type(error).__name__}: {reason}). Delete the file to train from the beginning."
        ) from error
