"""What surrogates share about their samples: checks, and the scale that scores are learnt on."""

from __future__ import annotations

from math import log2, prod
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vqlso.errors import SolverError

MEASURES = ("gain", "split")
# In deviations: float32 still tells scores apart that differ by a 100,000th of a deviation.
OFFSET_STEP = 128.0
# Squares of deviations, over which scores are scaled, must still be float64.
LARGEST_SCORE = 1e150


class Samples(NamedTuple):
    """What a surrogate is fitted to, checked.

    Attributes:
        codes: (n, cells) integers in 0..categories - 1.
        scores: (n,) float64, finite.
        weight: (n,) float64 >= 0, not all 0; None if all are equal.
        categories: K.
        offset, scale: what to subtract from scores, and then to divide them by.
    """

    codes: NDArray[np.int64]
    scores: NDArray[np.float64]
    weight: NDArray[np.float64] | None
    categories: int
    offset: float
    scale: float

    @property
    def moved(self) -> NDArray[np.float64]:
        """(n,) scores near 0 with a deviation near 1."""
        return (self.scores - self.offset) / self.scale

    def r2(self, residual: NDArray[np.float64]) -> float:
        """The (weighted) share of the scores' variance that residuals leave explained."""
        mean = np.average(self.scores, weights=self.weight)
        variance = np.average((self.scores - mean) ** 2, weights=self.weight)
        left = np.average(residual**2, weights=self.weight)
        return float(1 - left / variance) if variance > 0 else 0.0


def checked_samples(
    z: NDArray[Any],
    y: NDArray[np.float64],
    weight: NDArray[np.float64] | None,
    categories: int | None,
) -> Samples:
    """Latents, scores and weights as a fit takes them; K is the largest code plus one if None.

    Raises:
        SolverError: shapes that do not match, codes outside 0..K-1, scores that are not finite or
            beyond 1e150, or weights that are negative, not finite or all 0.
    """
    codes = checked_codes(z, categories)
    y = checked_scores(y, len(codes))
    if weight is not None:
        if np.shape(weight) != y.shape:
            raise SolverError(f"{len(y)} samples need as many weights; got {np.shape(weight)}.")
        weight = np.asarray(weight, dtype=np.float64)
        # float32 is what LightGBM makes of them.
        with np.errstate(over="ignore"):
            single = weight.astype(np.float32)
        if not (np.isfinite(single).all() and single.min() >= 0 and single.max() > 0):
            raise SolverError("Weights must be finite, at least 0, and not all 0.")
    known = int(codes.max()) + 1 if categories is None else categories
    return Samples(codes, y, weight, known, *_offset_and_scale(y, weight))


def checked_scores(y: NDArray[Any], n: int) -> NDArray[np.float64]:
    """Scores of n > 0 latents as (n,) float64.

    Raises:
        SolverError: not n of them, not finite, or beyond 1e150.
    """
    y = np.asarray(y, dtype=np.float64)
    if y.shape != (n,) or not n:
        raise SolverError(f"{n} latents need as many scores; got shape {y.shape}.")
    if not np.isfinite(y).all():
        raise SolverError("Scores must be finite: leave failed evaluations out of the fit.")
    if np.abs(y).max() > LARGEST_SCORE:
        raise SolverError(
            f"Scores must lie within +-{LARGEST_SCORE:g}: divide them all by a number."
        )
    return y


def checked_codes(z: NDArray[Any], categories: int | None) -> NDArray[np.int64]:
    """(n, h, w) or (n, cells) codes as (n, cells).

    Raises:
        SolverError: no integers, another number of dimensions, or codes outside 0..K-1.
    """
    z = np.asarray(z)
    if z.ndim not in (2, 3) or 0 in z.shape[1:] or not np.issubdtype(z.dtype, np.integer):
        raise SolverError(
            "Latents are integer codes of shape (n, h, w) or (n, cells); got "
            f"{z.dtype} of shape {z.shape}."
        )
    if z.size and categories is None and z.min() < 0:
        raise SolverError(f"Codes are whole numbers from 0; got {z.min()}.")
    if z.size and categories is not None and (z.min() < 0 or z.max() >= categories):
        raise SolverError(f"Codes lie in 0..{categories - 1}; got {z.min()}..{z.max()}.")
    return z.reshape(len(z), prod(z.shape[1:]))


def check_cells(codes: NDArray[np.int64], fitted: int) -> None:
    """Refuse grids of another size than those of the fit.

    Raises:
        SolverError: naming both.
    """
    if codes.shape[1] != fitted:
        raise SolverError(f"Fitted to {fitted} cells; got latents of {codes.shape[1]}.")


def check_counts(**counts: int | None) -> None:
    """Refuse settings that are no whole number from 1; None stands for a default.

    Raises:
        SolverError: naming the setting.
    """
    for name, value in counts.items():
        if value is not None and not (isinstance(value, int | np.integer) and value >= 1):
            raise SolverError(f"{name} must be at least 1 and whole, got {value}.")


def check_measure(measure: str) -> None:
    """Refuse a measure of importance that is not known.

    Raises:
        SolverError: naming those that are.
    """
    if measure not in MEASURES:
        raise SolverError(f"Importance is measured by {' or '.join(MEASURES)}, not '{measure}'.")


def _offset_and_scale(
    y: NDArray[np.float64], weight: NDArray[np.float64] | None
) -> tuple[float, float]:
    """Both round nothing, and leave ordinary scores where they are.

    The scale is the power of two next to the deviation; the offset is a multiple of OFFSET_STEP
    scales, so it is 0 unless the mean is many deviations away from 0.
    """
    mean = float(np.average(y, weights=weight))
    deviation = float(np.sqrt(np.average((y - mean) ** 2, weights=weight)))
    rounding = 4 * np.finfo(np.float64).eps * np.abs(y).max()
    scale = 2.0 ** round(log2(deviation)) if deviation > rounding else 1.0
    return OFFSET_STEP * scale * round(mean / (OFFSET_STEP * scale)), scale
