"""A small tanh network trained by Adam, in NumPy.

With ten samples a step the arithmetic is nothing and the calls are everything: a step of torch's
autograd and fused Adam on these sizes takes six times as long as one here.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

# The defaults of Kingma and Ba 2015.
FIRST_DECAY, SECOND_DECAY, EPSILON = 0.9, 0.999, 1e-8

Array = NDArray[Any]  # float32 in training, float64 behind it


class TanhNetwork:
    """Hidden layers of tanh units and one linear output, on one flat vector of parameters.

    Args:
        sizes: units of the input, of each hidden layer and of the output, (d, ..., 1).
        parameters: (count,) floats, layer by layer the weights (in, out) and the biases (out,).
            Kept, not copied: changing it changes the network.

    Attributes:
        sizes, parameters: as given.
        weights, biases: views of the parameters, a layer each.
    """

    def __init__(self, sizes: tuple[int, ...], parameters: Array) -> None:
        self.sizes = sizes
        self.parameters = parameters
        self.weights: list[Array] = []
        self.biases: list[Array] = []
        start = 0
        for before, after in pairwise(sizes):
            middle, end = start + before * after, start + (before + 1) * after
            self.weights.append(parameters[start:middle].reshape(before, after))
            self.biases.append(parameters[middle:end])
            start = end

    @classmethod
    def drawn(cls, sizes: tuple[int, ...], rng: np.random.Generator) -> TanhNetwork:
        """A float32 network to train: uniform weights (Glorot and Bengio 2010, eq. 16), no bias."""
        count = sum((before + 1) * after for before, after in pairwise(sizes))
        network = cls(sizes, np.zeros(count, dtype=np.float32))
        for weights in network.weights:
            weights[:] = rng.uniform(-1, 1, weights.shape) * np.sqrt(6 / sum(weights.shape))
        return network

    def double(self) -> TanhNetwork:
        """A float64 copy."""
        return TanhNetwork(self.sizes, self.parameters.astype(np.float64))

    def hidden(self, x: Array) -> list[Array]:
        """(n, d) -> the input and behind it each hidden layer's (n, units) activations."""
        layers = [x]
        for weights, biases in zip(self.weights[:-1], self.biases[:-1], strict=True):
            layer = layers[-1] @ weights
            layer += biases
            layers.append(np.tanh(layer, out=layer))
        return layers

    def input_gradient(self, hidden: list[Array], gradient: Array) -> Array:
        """(n, d) gradients by the input, from (n, units) gradients by the last hidden layer."""
        for weights, layer in zip(self.weights[-2::-1], hidden[:0:-1], strict=True):
            gradient = (gradient * (1 - layer * layer)) @ weights.T
        return gradient

    def train(
        self,
        x: Array,
        y: Array,
        weight: Array,
        *,
        epochs: int,
        batch_size: int,
        learning_rate: float,
        rng: np.random.Generator,
    ) -> None:
        """Minimise the weighted mean squared error by Adam, at a constant step size.

        Args:
            x: (n, d) inputs; like y and weight of the parameters' dtype.
            y: (n,) targets.
            weight: (n,) with mean 1.
            epochs: passes over the samples, each in an order of its own.
            batch_size: samples a step; the last of an epoch may have fewer.
            learning_rate: Adam's.
            rng: of the orders.
        """
        slope = TanhNetwork(self.sizes, np.empty_like(self.parameters))
        adam = _Adam(self.parameters, learning_rate)
        for _ in range(epochs):
            order = rng.permutation(len(x))
            shuffled = x[order], y[order], weight[order]
            for start in range(0, len(x), batch_size):
                rows = slice(start, start + batch_size)
                self._error_gradient(*(part[rows] for part in shuffled), slope=slope)
                adam.step(slope.parameters)

    def _error_gradient(self, x: Array, y: Array, weight: Array, *, slope: TanhNetwork) -> None:
        """Write the gradient of mean(weight * (output - y)^2) into `slope`."""
        hidden = self.hidden(x)
        output = hidden[-1] @ self.weights[-1]
        output += self.biases[-1]
        error = output
        error -= y[:, None]
        error *= 2 / len(x) * weight[:, None]
        for layer in range(len(self.weights) - 1, -1, -1):
            np.matmul(hidden[layer].T, error, out=slope.weights[layer])
            np.add.reduce(error, axis=0, out=slope.biases[layer])
            if layer:
                error = error @ self.weights[layer].T
                saturation = hidden[layer] * hidden[layer]
                error *= np.subtract(1, saturation, out=saturation)


class _Adam:
    """Kingma and Ba 2015, algorithm 1, with both corrections of bias in the step size."""

    def __init__(self, parameters: Array, learning_rate: float) -> None:
        self._parameters = parameters
        self._learning_rate = learning_rate
        self._first, self._second, self._scratch = (np.zeros_like(parameters) for _ in range(3))
        self._steps = 0

    def step(self, gradient: Array) -> None:
        """Move the parameters in place."""
        self._steps += 1
        correction = (1 - SECOND_DECAY**self._steps) ** 0.5
        first, second, scratch = self._first, self._second, self._scratch
        first *= FIRST_DECAY
        first += np.multiply(gradient, 1 - FIRST_DECAY, out=scratch)
        second *= SECOND_DECAY
        np.multiply(gradient, gradient, out=scratch)
        scratch *= 1 - SECOND_DECAY
        second += scratch
        np.sqrt(second, out=scratch)
        scratch += EPSILON * correction
        np.divide(first, scratch, out=scratch)
        scratch *= self._learning_rate * correction / (1 - FIRST_DECAY**self._steps)
        self._parameters -= scratch
