"""Enjoy Your Editing: an edit direction by gradients (Zhuang et al. 2021)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from solvers.directions.edit_history import EditHistory
from vqlso.archive import Archive
from vqlso.contracts import DifferentiableGenerator, DifferentiableObjective
from vqlso.errors import SolverError, TrainingError
from vqlso.objectives.feature_networks import FeatureNetwork
from vqlso.problems.direction import Direction
from vqlso.randomness import stream
from vqlso.records import Proposal, Scores

RegressorLoss = Literal["cross_entropy", "clamped_cross_entropy", "squared_error"]
EditingStart = Literal["null", "normal"]

# Of a level from its ends: bounds the cross-entropy's gradient by 1000.
CLAMP = 1e-3
START_DEVIATION = 0.02


@dataclass(frozen=True)
class EditingLoss:
    """The three terms of the loss, with the paper's weights.

    Attributes:
        regressor: how a level is compared with its target. "cross_entropy" is the paper's, which
            is infinite at levels of 0 and 1 and not a number beyond: there Meißner et al. 2022,
            section 4.1, saw up to 10 runs of 10 fail. The others are finite for every level.
        regressor_weight: lambda 1.
        content: features of which edited images are to keep those of their originals, such as the
            first layers of VGG; None leaves the term out.
        content_weight: lambda 2.
        realism: (n, 3, H, W) in [-1, 1] -> (n,) or (n, 1) logits of a trained discriminator; None
            leaves the term out.
        realism_weight: lambda 3.

    Raises:
        SolverError: an unknown loss.
    """

    regressor: RegressorLoss = "clamped_cross_entropy"
    regressor_weight: float = 10.0
    content: FeatureNetwork | None = None
    content_weight: float = 0.05
    realism: Callable[[Tensor], Tensor] | None = None
    realism_weight: float = 0.05

    def __post_init__(self) -> None:
        if self.regressor not in get_args(RegressorLoss):
            raise SolverError(
                f"Levels are compared by one of {', '.join(get_args(RegressorLoss))}; got "
                f"'{self.regressor}'."
            )

    def __call__(self, originals: Tensor, edited: Tensor, levels: Tensor, wanted: Tensor) -> Tensor:
        """The loss as a scalar; gradients flow to edited images (n, 3, H, W) and (n,) levels."""
        total = self.regressor_weight * self._compared(levels, wanted).mean()
        if self.content is not None:
            pairs = zip(self.content(edited), self.content(originals), strict=True)
            distance = sum((F.mse_loss(a, b) for a, b in pairs), start=levels.new_zeros(()))
            total = total + self.content_weight * distance
        if self.realism is not None:
            # The generator's own loss in a GAN of logits (Goodfellow et al. 2014).
            total = total + self.realism_weight * F.softplus(-self.realism(2 * edited - 1)).mean()
        return total

    def _compared(self, levels: Tensor, wanted: Tensor) -> Tensor:
        if self.regressor == "squared_error":
            return (levels - wanted).square()
        if self.regressor == "clamped_cross_entropy":
            levels = levels.clamp(CLAMP, 1 - CLAMP)
        return -(wanted * levels.log() + (1 - wanted) * (1 - levels).log())


class EnjoyEditing:
    """Adam on a vector that is to bring levels to random targets.

    In each step some anchors w with levels a get one target t, uniform in [0, 1]; the edited
    latents are w + (t - a) d. Each id stands for as many steps as `steps` says, and the vector
    after them is proposed, shortened to L; the steps themselves know no L. Values that are told
    back teach it nothing: the path follows from the seed, and a killed run computes it again.

    A loss that is no finite number ends the search. Its gradient may well be finite, as that of
    the plain cross-entropy is at levels outside [0, 1], and would lead Adam away from the target
    unseen. `direction` then remains the vector before that step.

    Args:
        problem: with a generator and an objective that can be differentiated.
        loss: its terms.
        learning_rate: Adam's.
        batch: anchors a step.
        betas: Adam's; the authors' are (0.5, 0.99).
        steps: between two proposals.
        start: "null" as in Meißner et al., or "normal" with deviation 0.02, as by the authors.
        seed: of anchors, targets and start.

    Raises:
        SolverError: the generator or the objective cannot be differentiated, or an unknown start.
    """

    def __init__(
        self,
        problem: Direction,
        *,
        loss: EditingLoss = EditingLoss(),
        learning_rate: float = 1e-4,
        batch: int = 4,
        betas: tuple[float, float] = (0.5, 0.99),
        steps: int = 50,
        start: EditingStart = "null",
        seed: int = 0,
    ) -> None:
        generator = problem.generator
        objective: object = problem.objective
        if not isinstance(generator, DifferentiableGenerator) or not isinstance(
            objective, DifferentiableObjective
        ):
            raise SolverError(
                f"Enjoy Your Editing needs gradients, which a {type(generator).__name__} scored "
                f"by a {type(objective).__name__} does not give. Use a local search, which takes "
                "any function."
            )
        if start not in get_args(EditingStart) or batch < 1 or steps < 1:
            raise SolverError(
                f"Enjoy Your Editing starts at one of {', '.join(get_args(EditingStart))}, with "
                f"at least one anchor and one step; got '{start}', {batch} and {steps}."
            )
        self.problem = problem
        self.space = problem.space
        self.loss = loss
        self.learning_rate = learning_rate
        self.batch = batch
        self.betas = betas
        self.steps = steps
        self.start = start
        self.seed = seed
        self._generator: DifferentiableGenerator = generator
        self._objective: DifferentiableObjective = objective
        self._history = EditHistory(self.space)
        self._next_id = 0
        self._restart()

    @property
    def direction(self) -> NDArray[np.float64]:
        """(*shape), of whatever length the steps have led to."""
        return self._d.detach().numpy().copy()

    def images_of(self, n: int) -> int:
        """Images in the steps before the next n proposals: each anchor, and each edited."""
        return ((self._next_id + n) * self.steps - self._done) * 2 * self.batch

    def rebase(self, archive: Archive) -> None:
        """Go back to the start."""
        self._history.rebase(archive)
        self._restart()

    def ask(self, n: int) -> Proposal:
        """The vectors after the next steps, n times.

        Raises:
            SolverError: nothing is asked for, or before `rebase`.
            TrainingError: a loss or its gradient is not finite.
        """
        ids = self._history.new_ids(n)
        done = self._done
        d = np.stack([self._stepped(int(id_)) for id_ in ids])
        self._next_id = int(ids[-1]) + 1
        details = {"images": (self._done - done) * 2 * self.batch}
        return self._history.proposal(ids, self.space.within(d), details=details)

    def tell(self, proposal: Proposal, scores: Scores) -> None:
        """Take note of the ids.

        Raises:
            SolverError: as `History.tell`.
        """
        self._history.answers(proposal, scores)
        self._next_id = max(self._next_id, int(proposal.ids.max()) + 1)

    def _restart(self) -> None:
        entries = stream(self.seed, "editing start").standard_normal(self.space.shape)
        deviation = START_DEVIATION if self.start == "normal" else 0.0
        self._d = torch.tensor(deviation * entries, requires_grad=True)
        self._adam = torch.optim.Adam([self._d], lr=self.learning_rate, betas=self.betas)
        self._done = 0

    def _stepped(self, id_: int) -> NDArray[np.float64]:
        while self._done < (id_ + 1) * self.steps:
            self._step()
        return self.direction

    def _step(self) -> None:
        rng = stream(self.seed, "editing step", self._done)
        anchors = torch.from_numpy(self.problem.edited_space.sample(self.batch, rng))
        target = float(rng.random())
        with torch.no_grad():
            originals = self._images(anchors)
            levels = self._objective.value(originals)
        strengths = (target - levels).to(anchors).view(-1, *(1,) * (anchors.ndim - 1))
        edited = self._images(anchors + strengths * self._d)
        reached = self._objective.value(edited)
        value = self.loss(originals, edited, reached, torch.full_like(levels, target))
        self._require_finite("loss", value, reached)
        (slope,) = torch.autograd.grad(value, self._d)
        self._require_finite("gradient", slope, reached)
        self._d.grad = slope
        self._adam.step()
        self._done += 1

    def _require_finite(self, what: str, found: Tensor, levels: Tensor) -> None:
        if not torch.isfinite(found).all():
            raise TrainingError(
                f"The {what} is not finite after {self._done} steps of Enjoy Your Editing, where "
                f"the attribute's levels are {levels.min():.4g} to {levels.max():.4g}. Use the "
                "squared error or the clamped cross-entropy, which are finite for every level, or "
                "a lower learning rate; levels of nan are the attribute's own failure."
            )

    def _images(self, latents: Tensor) -> Tensor:
        return self._generator.decode_tensor(latents, self.problem.edited_space.name)
