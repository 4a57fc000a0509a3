"""Two networks that learn in turns, each while the other rests."""

from __future__ import annotations

import math

from lightning_fabric import Fabric
from lightning_fabric.wrappers import _FabricOptimizer
from torch import Tensor, nn

from vqlso.errors import TrainingError
from vqlso.training.adversarial_state import AdversarialState


class AlternatingSteps:
    """What the steps of every adversarial training have in common.

    Args:
        state: is moved on.
        fabric: of the device.
        whose: the generator's kind, for the error message.
        steps: of the whole training, for the error message.
        remedy: what to do where a loss left the finite numbers, for the error message.
    """

    def __init__(
        self, state: AdversarialState, fabric: Fabric, *, whose: str, steps: int, remedy: str
    ) -> None:
        self._progress, self._fabric = state, fabric
        self._whose, self._steps, self._remedy = whose, steps, remedy
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
            raise TrainingError(
                f"Training the {self._whose} diverged: a loss was {number} at step "
                f"{self._progress.done + 1} of {self._steps}. {self._remedy}"
            )
        return number


def _let_learn(learning: nn.Module, resting: nn.Module) -> None:
    """Have gradients computed for the one network's weights only."""
    learning.requires_grad_(True)
    resting.requires_grad_(False)
