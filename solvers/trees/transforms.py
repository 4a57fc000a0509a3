"""From the sum of the leaves to the prediction that a library reports."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vqlso.errors import SolverError

Precision = Literal["float64", "float32"]
TransformPrecision = Literal["float64", "float32", "rounded"]
Shape = Literal["identity", "sigmoid", "exponential", "signed_square", "softplus"]

# XGBoost's sigmoid (src/common/math.h) caps the exponent below float32's overflow.
_LARGEST_EXPONENT = float(np.float32(88.7))


@dataclass(frozen=True)
class OutputTransform:
    """An increasing function, so that whatever maximises the sum maximises the prediction.

    Attributes:
        shape: of a sum x, with s the scale,
            identity: x;
            sigmoid: 1 / (1 + exp(-s x));
            exponential: exp(x);
            signed_square: sign(x) x^2;
            softplus: log(1 + exp(x)).
        scale: s > 0.
        precision: the arithmetic of the library: float64, float32, or float64 whose result is
            "rounded" to float32. The latter two make the function non-decreasing only.
    """

    shape: Shape = "identity"
    scale: float = 1.0
    precision: TransformPrecision = "float64"

    def __post_init__(self) -> None:
        if not (np.isfinite(self.scale) and self.scale > 0):
            raise SolverError(f"The scale of a sigmoid is positive; got {self.scale}.")

    @property
    def is_identity(self) -> bool:
        """Whether predictions are the sums themselves, to the last bit."""
        return self == IDENTITY

    def __call__(self, sums: ArrayLike) -> NDArray[np.float64]:
        """Sums of any shape -> predictions of the same shape, float64."""
        x = np.asarray(sums, dtype=np.float64)
        with np.errstate(over="ignore"):
            out = self._single(x) if self.precision == "float32" else self._double(x)
        if self.precision == "rounded":
            out = out.astype(np.float32)
        return np.asarray(out, dtype=np.float64)

    def _double(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        match self.shape:
            case "identity":
                return x
            case "sigmoid":
                return 1.0 / (1.0 + np.exp(-self.scale * x))
            case "exponential":
                return np.exp(x)
            case "signed_square":
                return np.sign(x) * x * x
            case "softplus":
                return np.log1p(np.exp(x))

    def _single(self, x: NDArray[np.float64]) -> NDArray[np.floating]:
        one = np.float32(1.0)
        match self.shape:
            case "sigmoid":
                return one / (_exp(np.minimum(-self.scale * x, _LARGEST_EXPONENT)) + one)
            case "exponential":
                return _exp(x)
            case _:
                return self._double(x).astype(np.float32)


def _exp(x: NDArray[np.float64]) -> NDArray[np.float32]:
    from solvers.trees.libm import exponentials

    single = np.ascontiguousarray(x, dtype=np.float32)
    return np.asarray(exponentials(single.ravel())).reshape(x.shape)


IDENTITY = OutputTransform()
