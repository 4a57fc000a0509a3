"""Protocols between the parts of solvers. No implementation lives here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from vqlso.contracts import Surrogate

if TYPE_CHECKING:
    from pathlib import Path

    from solvers.trees import TreeEnsemble


@runtime_checkable
class TreeSurrogate(Surrogate, Protocol):
    """A surrogate whose prediction is a sum of trees over the cells of a code grid."""

    def ensemble(self) -> TreeEnsemble:
        """The fitted trees, over the flattened cells."""

    def importance(self, measure: str) -> NDArray[np.float64]:
        """(cells,) how much each flattened cell matters to the fit, by a named measure."""


@runtime_checkable
class SavedSurrogate(Protocol):
    """What a surrogate may offer beside `TreeSurrogate`: a file of its trees in every round."""

    def save(self, path: Path) -> None:
        """Write the fitted trees as text."""


@runtime_checkable
class ProbabilisticSurrogate(Surrogate, Protocol):
    """A surrogate of real vectors that also says how sure it is.

    Each class states whether its standard deviation includes the noise of the scores.
    """

    def posterior(self, z: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(n, d) latents -> (n,) means and (n,) standard deviations > 0, on the scores' scale."""

    def posterior_gradient(
        self, z: NDArray[Any]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """As `posterior`, and behind them the (n, d) gradients of each mean and deviation."""


@runtime_checkable
class DifferentiableAcquisition(Protocol):
    """What an acquisition optimizer maximises over real vectors."""

    def __call__(self, z: NDArray[np.float64]) -> NDArray[np.float64]:
        """(n, d) latents -> (n,) values."""

    def gradient(self, z: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(n, d) latents -> (n,) values and (n, d) gradients."""


@runtime_checkable
class LatentDensityLike(Protocol):
    """A density over real vectors, fitted to the latents of images."""

    def sample(self, n: int, rng: np.random.Generator) -> NDArray[np.float64]:
        """(n, d) draws."""

    def log_likelihood(self, z: NDArray[np.float64]) -> NDArray[np.float64]:
        """(n, d) latents -> (n,) log p(z), in nats."""

    def log_likelihood_gradient(self, z: NDArray[np.float64]) -> NDArray[np.float64]:
        """(n, d) latents -> (n, d) gradients of log p(z)."""

    def quantile(self, q: float) -> float:
        """The log p that a share q of the fitted latents lies below."""
