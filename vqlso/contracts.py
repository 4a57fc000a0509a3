"""The Protocols that parts are swapped behind. No implementation lives here.

Shapes: n latents or images, C = 3 colour channels, H x W pixels. Images are float tensors in
[0, 1] where networks see them and uint8 arrays where they are stored.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from vqlso.records import Context, FitReport, Proposal, Scores

if TYPE_CHECKING:
    from torch import Tensor

    from vqlso.archive import Archive


@runtime_checkable
class LatentSpace(Protocol):
    """The set that latents live in."""

    @property
    def name(self) -> str:
        """The space's name, so that a z is never taken for a w."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one latent."""

    def sample(self, n: int, rng: np.random.Generator) -> NDArray[Any]:
        """(n, *shape) latents."""

    def validate(self, z: NDArray[Any]) -> NDArray[Any]:
        """The latents in the space's own dtype; raises LatentSpaceError."""


@runtime_checkable
class Generator(Protocol):
    """Latents -> images. Immutable: retraining makes a new one."""

    @property
    def spaces(self) -> Mapping[str, LatentSpace]:
        """The latent spaces it decodes from, by name."""

    @property
    def space(self) -> LatentSpace:
        """The one that is searched unless another is named, and that images are encoded into."""

    @property
    def version(self) -> str:
        """Changes whenever the weights change."""

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(3, H, W)."""

    def decode(self, z: NDArray[Any], space: str) -> Tensor:
        """(n, *shape) latents -> (n, 3, H, W) float32 in [0, 1]."""


@runtime_checkable
class EncodingGenerator(Generator, Protocol):
    """A generator that also maps images to latents (VQ-VAE, VAE; not a GAN)."""

    def encode(self, images: Tensor) -> NDArray[Any]:
        """(n, 3, H, W) float in [0, 1] -> (n, *space.shape) latents."""


@runtime_checkable
class DifferentiableGenerator(Generator, Protocol):
    """A generator that gradients flow through (VAE, StyleGAN; not a VQ-VAE)."""

    def decode_tensor(self, z: Tensor, space: str) -> Tensor:
        """(n, *shape) latents -> (n, 3, H, W) float in [0, 1], differentiable in `z`."""


@runtime_checkable
class RetrainableGenerator(EncodingGenerator, Protocol):
    """A generator whose retrained versions are kept in files."""

    def save(self, path: Path) -> None:
        """Write everything that `load` needs."""

    @classmethod
    def load(cls, path: Path) -> Self:
        """The generator that was saved, with the same version."""


@runtime_checkable
class Objective(Protocol):
    """Images -> scores: the costly black box."""

    @property
    def name(self) -> str:
        """A name for tables and plots."""

    def __call__(self, images: Tensor) -> NDArray[np.float64]:
        """(n, 3, H, W) float32 in [0, 1] -> (n,) float64."""


@runtime_checkable
class DifferentiableObjective(Protocol):
    """An objective that gradients flow through."""

    def value(self, images: Tensor) -> Tensor:
        """(n, 3, H, W) float in [0, 1] -> (n,), as a call of the objective."""


@runtime_checkable
class Problem(Protocol):
    """What is maximised: a latent space and the black box behind it."""

    @property
    def space(self) -> LatentSpace:
        """Where proposals live."""

    def evaluate(self, proposal: Proposal, context: Context) -> Scores:
        """One answer per proposed id. A failure of the black box is a FAIL, never an exception."""

    def moved_to(self, generator: Generator) -> Problem:
        """The same problem under a retrained generator."""


@runtime_checkable
class CountsImages(Protocol):
    """What a problem offers whose score takes several images, and a solver that scores by itself.

    The budget of a run counts these images.
    """

    def images_of(self, n: int) -> int:
        """Images that are scored for the next proposal of n latents."""


@runtime_checkable
class CountsFailures(Protocol):
    """What a problem, or its objective, offers whose failures may cost nothing."""

    @property
    def failures_count(self) -> bool:
        """Whether an image that could not be scored counts against the budget."""


@runtime_checkable
class DifferentiableProblem(Problem, Protocol):
    """A problem whose score can be differentiated, for solvers that look inside it."""

    @property
    def version(self) -> str:
        """Of the generator that latents are decoded by."""

    @property
    def targets(self) -> int:
        """How many targets are searched for at once: id i is scored by target i % targets."""

    def value(self, z: Tensor) -> Tensor:
        """(n, *space.shape) -> (n,) scores as in `evaluate`; gradients flow to `z`.

        Row i is scored by target i % targets. No row's score depends on another row.
        """


@runtime_checkable
class KeepsGradients(Protocol):
    """What a differentiable problem offers that has gradients left of what it scored."""

    def value_and_gradient(
        self, z: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(n, *space.shape) -> (n,) scores and their gradients, to the bit as when not kept."""


@runtime_checkable
class Solver(Protocol):
    """The outer search.

    `ask` may depend only on the archive last given to `rebase`, on what was told since, and on
    (seed, id): then a killed run is restored by `rebase` and `tell` alone.
    """

    def ask(self, n: int) -> Proposal:
        """n latents to score next, with ids that continue from the highest id known.

        The evaluation compares queries with a control named "reference": what each latent was
        derived from.
        """

    def tell(self, proposal: Proposal, scores: Scores) -> None:
        """Scores by id, in any order; also of points that this solver never proposed."""

    def rebase(self, archive: Archive) -> None:
        """The generator changed and the archive was re-encoded: adapt or start afresh."""


@runtime_checkable
class FollowsProblem(Protocol):
    """What a solver that looks inside its problem offers beside `Solver`."""

    def follow(self, problem: DifferentiableProblem) -> None:
        """The problem under the retrained generator; given before `rebase`."""


@runtime_checkable
class KeepsSurrogate(Protocol):
    """What a solver may offer beside `Solver`, so that a run can keep what it was guided by."""

    def save_surrogate(self, path: Path) -> None:
        """Write the surrogate behind the last proposal, if it can be written."""


@runtime_checkable
class Surrogate(Protocol):
    """A cheap model of the score over latents."""

    def fit(
        self, z: NDArray[Any], y: NDArray[np.float64], weight: NDArray[np.float64] | None = None
    ) -> FitReport:
        """Fit from scratch to (n, *shape) latents and (n,) scores."""

    def predict(self, z: NDArray[Any]) -> NDArray[np.float64]:
        """(n, *shape) latents -> (n,) predicted scores."""


@runtime_checkable
class Retrainer(Protocol):
    """Changes the generator between rounds."""

    def due(self, queries: int) -> bool:
        """Whether a retraining follows after this many queries (0: before the first)."""

    def retrain(
        self, generator: RetrainableGenerator, archive: Archive, *, seed: int, round_: int
    ) -> tuple[RetrainableGenerator, FitReport]:
        """A new generator; the old one stays whole."""

    def weights(self, archive: Archive) -> NDArray[np.float64]:
        """(len(archive),) sampling weights that sum to 1."""
