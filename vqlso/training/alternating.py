"""Two networks that learn in turns, each while the other rests."""

from __future__ import annotations

import math

from lightning_fabric import Fabric
from lightning_fabric.wrappers import _FabricOptimizer
from torch import Tensor, nn

from vqlso.errors import TrainingError
from vqlso.training.adversarial_state import AdversarialState


class DivergedError(TrainingError):
    """A loss or a weight that is no number; the message says which, the loop what to do."""


class AlternatingSteps:
    """What the steps of every adversarial training have in common.

    Args:
        state: is moved on.
        fabric: of the device.
    """

    def __init__(self, state: AdversarialState, fabric: Fabric) -> None:
        self._fabric = fabric
        self._generator, self._generator_optimiser = fabric.setup(
            state.generator.train(), state.optimisers[0]
        )
        self._discriminator, self._discriminator_optimiser = fabric.setup(
            state.discriminator.train(), state.optimisers[1]
        )

    def _let_generator_learn(self) -> None:
        _let_learn(self._generator, self._discriminator)

    def _let_discriminator_learn(self) -> None:
        _let_learn(self._discriminator, self._generator)

    def _descend(self, loss: Tensor, optimiser: _FabricOptimizer) -> None:
        optimiser.zero_grad(set_to_none=True)
        self._fabric.backward(loss)
        optimiser.step()

    def _finite(self, value: Tensor) -> float:
        number = float(value.detach())
        if not math.isfinite(number):
            raise DivergedError(f"a loss was {number}")
        return number


def _let_learn(learning: nn.Module, resting: nn.Module) -> None:
    """Have gradients computed for the one network's weights only."""
    learning.requires_grad_(True)
    resting.requires_grad_(False)
