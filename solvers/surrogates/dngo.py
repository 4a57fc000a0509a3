"""DNGO: a network's last hidden layer as the basis of a Bayesian regression (Snoek et al. 2015)."""

from __future__ import annotations

from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from solvers.surrogates.bayesian_linear import BayesianLinear
from solvers.surrogates.tanh_network import TanhNetwork
from solvers.surrogates.vectors import Scale, checked_vectors, real_vectors
from vqlso.errors import SolverError
from vqlso.randomness import stream
from vqlso.records import FitReport

CHUNK = 8192  # latents at once


class DNGO:
    """A tanh network trained on squared error, then Bayesian linear regression on its features.

    Inputs and scores are standardised. Snoek et al. 2015 (section 3) integrate the precisions of
    prior and noise out by slice sampling; here they maximise the marginal likelihood, which with
    thousands of scores is narrow. Their quadratic prior mean is left out: a bias column takes its
    place. The standard deviation includes the noise, as in their eq. 5.

    Args:
        hidden: tanh units of each layer; the defaults are those of the paper's VAE baseline.
        epochs: passes over the samples.
        batch_size: samples a step of Adam.
        learning_rate: of Adam, constant.
        seed: of the first weights and of the order of samples.

    Raises:
        SolverError: no layer, or settings that are not positive.
    """

    def __init__(
        self,
        *,
        hidden: tuple[int, ...] = (50, 50, 50),
        epochs: int = 50,
        batch_size: int = 10,
        learning_rate: float = 0.01,
        seed: int = 0,
    ) -> None:
        if not hidden or min(*hidden, epochs, batch_size) < 1 or not learning_rate > 0:
            raise SolverError(
                "DNGO needs at least one hidden layer, unit, epoch and sample a batch, and a "
                f"positive learning rate; got hidden={hidden}, epochs={epochs}, "
                f"batch_size={batch_size}, learning_rate={learning_rate}."
            )
        self.hidden = tuple(hidden)
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.seed = seed
        self._fit: _Fit | None = None

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
            With the measure `r2`, the (weighted) in-sample R^2.

        Raises:
            SolverError: shapes that do not match, numbers that are not finite, or weights that
                are negative or all 0.
        """
        began = perf_counter()
        samples = checked_vectors(z, y, weight)
        inputs = Scale.of(samples.z, samples.weight)
        outputs = Scale.of(samples.y, samples.weight)
        x, targets = inputs.standardised(samples.z), outputs.standardised(samples.y)
        network = TanhNetwork.drawn(
            (x.shape[1], *self.hidden, 1), stream(self.seed, "network weights")
        )
        network.train(
            x.astype(np.float32),
            targets.astype(np.float32),
            samples.weight.astype(np.float32),
            epochs=self.epochs,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            rng=stream(self.seed, "network batches"),
        )
        network = network.double()
        regression = BayesianLinear.fit(_with_bias(network.hidden(x)[-1]), targets, samples.weight)
        self._fit = _Fit(inputs, outputs, network, regression)
        r2 = samples.r2(self.predict(samples.z))
        return FitReport(perf_counter() - began, len(samples.y), {"r2": r2})

    def predict(self, z: NDArray[np.float64]) -> NDArray[np.float64]:
        """(n, d) latents -> (n,) float64 posterior means.

        Raises:
            SolverError: before a fit, or latents of another shape.
        """
        return self.posterior(z)[0]

    def posterior(self, z: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(n, d) latents -> (n,) means and standard deviations of scores, noise included.

        Raises:
            SolverError: as `predict`.
        """
        fitted = self._fitted()
        z = real_vectors(z, fitted.network.sizes[0])
        mean, deviation = np.empty(len(z)), np.empty(len(z))
        for start in range(0, len(z), CHUNK):
            rows = slice(start, start + CHUNK)
            mean[rows], deviation[rows] = fitted.posterior(z[rows])
        return mean, deviation

    def posterior_gradient(
        self, z: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """As `posterior`, and behind them the (n, d) gradients of each mean and deviation.

        Raises:
            SolverError: as `predict`.
        """
        fitted = self._fitted()
        return fitted.posterior_gradient(real_vectors(z, fitted.network.sizes[0]))

    def _fitted(self) -> _Fit:
        if self._fit is None:
            raise SolverError("The surrogate has not been fitted: call fit(z, y) first.")
        return self._fit


class _Fit:
    """What one fit left behind, between the scales of latents and scores."""

    def __init__(
        self, inputs: Scale, outputs: Scale, network: TanhNetwork, regression: BayesianLinear
    ) -> None:
        self.inputs = inputs
        self.outputs = outputs
        self.network = network
        self.regression = regression

    def posterior(self, z: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        features = _with_bias(self.network.hidden(self.inputs.standardised(z))[-1])
        mean, deviation = self.regression.posterior(features)
        return self.outputs.offset + self.outputs.unit * mean, self.outputs.unit * deviation

    def posterior_gradient(
        self, z: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        hidden = self.network.hidden(self.inputs.standardised(z))
        features = _with_bias(hidden[-1])
        mean, deviation = self.regression.posterior(features)
        by_mean = np.broadcast_to(self.regression.mean, features.shape)
        by_deviation = self.regression.deviation_gradient(features, deviation)
        unit = self.outputs.unit
        slopes = [
            unit * self.network.input_gradient(hidden, by[:, :-1]) / self.inputs.unit
            for by in (by_mean, by_deviation)
        ]
        return self.outputs.offset + unit * mean, unit * deviation, slopes[0], slopes[1]


def _with_bias(features: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.column_stack([features, np.ones(len(features))])
