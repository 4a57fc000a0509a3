"""A sparse Gaussian process on part of the samples, as in Tripp et al. 2020, by GPyTorch."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from solvers.extras import extra_package
from solvers.surrogates.vectors import Scale, Vectors, checked_vectors, real_vectors
from vqlso.errors import SolverError
from vqlso.randomness import stream, torch_seed
from vqlso.records import FitReport

if TYPE_CHECKING:
    from solvers.surrogates.variational_gp import VariationalGP

CHUNK = 4096  # latents at once


class SparseGP:
    """Squared exponential kernel with a length for each dimension, and inducing points.

    Tripp et al. 2020 (weighted retraining, images and molecules) fit 500 inducing points to the
    2,000 best and 8,000 random samples in each round. The variational bound is that of Hensman et
    al. 2013, whose samples come in batches and may have weights. The standard deviation is that of
    the process, without the noise of the scores: these are the black box's own.

    Args:
        inducing: most inducing points; there are never more than samples.
        rows: how many samples a fit takes, (best, random); of fewer all.
        epochs: passes over them.
        batch_size: samples a step.
        learning_rate: of Adam, for kernel, noise and inducing points.
        seed: of the random samples, the first inducing points and the batches.

    Raises:
        SolverError: settings that are not positive.
        MissingExtraError: GPyTorch is not installed.
    """

    def __init__(
        self,
        *,
        inducing: int = 500,
        rows: tuple[int, int] = (2000, 8000),
        epochs: int = 5,
        batch_size: int = 1000,
        learning_rate: float = 0.1,
        seed: int = 0,
    ) -> None:
        if min(inducing, epochs, batch_size, sum(rows)) < 1 or min(rows) < 0:
            raise SolverError(
                "A sparse GP needs inducing points, epochs, samples and a batch size of at least "
                f"1; got {inducing}, {epochs}, {rows} and {batch_size}."
            )
        if not learning_rate > 0:
            raise SolverError(f"The learning rate must be positive; got {learning_rate}.")
        self.inducing = inducing
        self.rows = rows
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.seed = seed
        self._make = extra_package("solvers.surrogates.variational_gp", "bayes").VariationalGP
        self._model: VariationalGP | None = None
        self._inputs = self._outputs = Scale(np.zeros(()), np.ones(()))

    def fit(
        self,
        z: NDArray[np.float64],
        y: NDArray[np.float64],
        weight: NDArray[np.float64] | None = None,
    ) -> FitReport:
        """Fit from scratch.

        Args:
            z: (n, d) latents.
            y: (n,) finite scores.
            weight: (n,) sample weights >= 0; all equal by default.

        Returns:
            `rows` counts the samples taken; the measure `r2` is their (weighted) in-sample R^2.

        Raises:
            SolverError: shapes that do not match, numbers that are not finite, or weights that
                are negative or all 0.
        """
        began = perf_counter()
        samples = self._chosen(checked_vectors(z, y, weight))
        self._inputs = Scale.of(samples.z, samples.weight)
        self._outputs = Scale.of(samples.y, samples.weight)
        x = self._inputs.standardised(samples.z)
        rng = stream(self.seed, "inducing points")
        first = rng.choice(len(x), size=min(self.inducing, len(x)), replace=False)
        with torch.random.fork_rng():
            torch.manual_seed(torch_seed(self.seed, "sparse gp"))
            self._model = self._make(torch.from_numpy(x[first]), len(x))
            self._model.train_on(
                torch.from_numpy(x),
                torch.from_numpy(self._outputs.standardised(samples.y)),
                torch.from_numpy(samples.weight),
                epochs=self.epochs,
                batch_size=self.batch_size,
                learning_rate=self.learning_rate,
            )
        r2 = samples.r2(self.predict(samples.z))
        return FitReport(perf_counter() - began, len(x), {"r2": r2})

    def predict(self, z: NDArray[np.float64]) -> NDArray[np.float64]:
        """(n, d) latents -> (n,) float64 posterior means.

        Raises:
            SolverError: before a fit, or latents of another shape.
        """
        return self.posterior(z)[0]

    def posterior(self, z: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(n, d) latents -> (n,) means and standard deviations of the process.

        Raises:
            SolverError: as `predict`.
        """
        x = self._standardised(z)
        mean, deviation = np.empty(len(x)), np.empty(len(x))
        with torch.no_grad():
            for start in range(0, len(x), CHUNK):
                rows = slice(start, start + CHUNK)
                mean[rows], deviation[rows] = map(_numpy, self._fitted().moments(x[rows]))
        return self._outputs.offset + self._outputs.unit * mean, self._outputs.unit * deviation

    def posterior_gradient(
        self, z: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """As `posterior`, and behind them the (n, d) gradients of each mean and deviation.

        Raises:
            SolverError: as `predict`.
        """
        x = self._standardised(z).requires_grad_()
        mean, deviation = self._fitted().moments(x)
        (by_mean,) = torch.autograd.grad(mean.sum(), x, retain_graph=True)
        (by_deviation,) = torch.autograd.grad(deviation.sum(), x)
        unit, inner = self._outputs.unit, self._inputs.unit
        return (
            self._outputs.offset + unit * _numpy(mean),
            unit * _numpy(deviation),
            unit * _numpy(by_mean) / inner,
            unit * _numpy(by_deviation) / inner,
        )

    def _chosen(self, samples: Vectors) -> Vectors:
        """The best samples and random ones of the others."""
        best, others = self.rows
        order = np.argsort(-samples.y, kind="stable")
        rest = order[best:]
        rng = stream(self.seed, "gp samples")
        drawn = rng.choice(rest, size=min(others, len(rest)), replace=False)
        rows = np.sort(np.concatenate([order[:best], drawn]))
        return checked_vectors(samples.z[rows], samples.y[rows], samples.weight[rows])

    def _standardised(self, z: NDArray[np.float64]) -> Tensor:
        dimensions = self._fitted().dimensions
        return torch.from_numpy(self._inputs.standardised(real_vectors(z, dimensions)))

    def _fitted(self) -> VariationalGP:
        if self._model is None:
            raise SolverError("The surrogate has not been fitted: call fit(z, y) first.")
        return self._model


def _numpy(tensor: Tensor) -> NDArray[Any]:
    return tensor.detach().numpy()
