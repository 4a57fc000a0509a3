"""What any adversarial training consists of between two steps, and how it is kept in a file."""

from __future__ import annotations

import copy
import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
from torch import nn

from vqlso.errors import CheckpointError

# The report averages over the last steps: one batch's loss says little.
STEPS_REPORTED = 50


@dataclass
class AdversarialState:
    """Everything that decides how the training goes on.

    Random numbers are derived from the seed and the step, so that no stream has to be kept.

    Attributes:
        generator: being trained.
        discriminator: being trained.
        average: running mean of the generator's weights: what the training results in.
        optimisers: of the generator and of the discriminator.
        done: steps.
        halvings: how often the step sizes were halved, since the training diverged.
        recent: the measures of the last steps, by name.
    """

    generator: nn.Module
    discriminator: nn.Module
    average: nn.Module
    optimisers: tuple[torch.optim.Optimizer, torch.optim.Optimizer]
    done: int = 0
    halvings: int = 0
    recent: dict[str, list[float]] = field(default_factory=dict)

    # What is kept as it is; networks and optimisers are kept as their own states.
    VALUES: ClassVar[tuple[str, ...]] = ("done", "halvings", "recent")

    @classmethod
    def of(
        cls,
        generator: nn.Module,
        discriminator: nn.Module,
        adam: tuple[dict[str, Any], dict[str, Any]],
        device: torch.device,
    ) -> Self:
        """New networks, moved to a device, with fresh optimisers.

        Args:
            generator: with its first weights.
            discriminator: with its first weights.
            adam: arguments of the generator's optimiser and of the discriminator's.
            device: to train on.
        """
        for network in (generator, discriminator):
            network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        average = copy.deepcopy(generator).eval().requires_grad_(False)
        optimisers = (
            torch.optim.Adam(generator.parameters(), fused=True, **adam[0]),
            torch.optim.Adam(discriminator.parameters(), fused=True, **adam[1]),
        )
        return cls(generator, discriminator, average, optimisers)

    @torch.no_grad()
    def follow(self, decay: float) -> None:
        """Move the running mean towards the generator: decay * mean + (1 - decay) * generator."""
        weights = zip(self.average.parameters(), self.generator.parameters(), strict=True)
        for mean, weight in weights:
            mean.lerp_(weight, 1 - decay)
        buffers = zip(self.average.buffers(), self.generator.buffers(), strict=True)
        for own, other in buffers:
            own.copy_(other)

    def note(self, measures: dict[str, float]) -> None:
        """Keep this step's measures, and forget those of long ago."""
        for name, value in measures.items():
            values = self.recent.setdefault(name, [])
            values.append(value)
            del values[:-STEPS_REPORTED]

    def means(self) -> dict[str, float]:
        """Each measure's mean over the last steps, and "halvings" if there were any."""
        means = {name: sum(values) / len(values) for name, values in self.recent.items()}
        return means | ({"halvings": float(self.halvings)} if self.halvings else {})

    @property
    def finite(self) -> bool:
        """Whether all weights, running means and moments are numbers."""
        networks = (self.generator, self.discriminator, self.average)
        kept = [value for network in networks for value in network.state_dict().values()]
        for optimiser in self.optimisers:
            kept += [value for moments in optimiser.state.values() for value in moments.values()]
        return all(bool(torch.isfinite(value).all()) for value in kept)

    def packed(self, identity: str) -> bytes:
        """Everything, as a file keeps it.

        Args:
            identity: tells this training from another; restoring asks for it again.
        """
        content = {
            "identity": identity,
            **{name: part.state_dict() for name, part in self._parts().items()},
            **{name: getattr(self, name) for name in self.VALUES},
        }
        # By way of memory, because torch reports a full disk as an error of its own kind.
        buffer = io.BytesIO()
        torch.save(content, buffer)
        return buffer.getvalue()

    def go_back_to(self, packed: bytes) -> None:
        """Take over a packed state, with half the step sizes of now."""
        halvings = self.halvings + 1
        self._take_over(torch.load(io.BytesIO(packed), map_location="cpu", weights_only=True))
        for optimiser in self.optimisers:
            for group in optimiser.param_groups:
                group["lr"] /= 2 ** (halvings - self.halvings)
        self.halvings = halvings

    def restore(self, path: Path, identity: str) -> None:
        """Continue from a file of a packed state; nothing happens where there is none.

        Raises:
            CheckpointError: the file is damaged or belongs to another training.
        """
        if not path.is_file():
            return
        try:
            content = torch.load(path, map_location="cpu", weights_only=True)
            if content["identity"] != identity:
                raise ValueError("it was saved with another seed, network, training or data")
            self._take_over({"halvings": 0} | content)  # earlier versions did not count them
        except Exception as error:  # a damaged pickle can raise nearly anything
            reason = (str(error).splitlines() or [""])[0]
            raise CheckpointError(
                f"The interrupted training at {path} cannot be continued "
                f"({type(error).__name__}: {reason}). Delete the file to train from the beginning."
            ) from error

    def _take_over(self, content: Mapping[str, Any]) -> None:
        for name, part in self._parts().items():
            part.load_state_dict(content[name])
        for name in self.VALUES:
            setattr(self, name, content[name])

    def _parts(self) -> dict[str, Any]:
        return {
            "generator": self.generator,
            "discriminator": self.discriminator,
            "average": self.average,
            "generator's optimiser": self.optimisers[0],
            "discriminator's optimiser": self.optimisers[1],
        }
