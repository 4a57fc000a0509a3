"""Trust nothing that a backend claims: its value and its bound are checked after every solve.

Branch-and-cut codes are wrong now and then (HiGHS issue 2382 reports a bound below the optimum),
and peers that rounded thresholds returned points that the model scores lower than they claimed.
"""

from __future__ import annotations

import tempfile
from math import isfinite
from pathlib import Path

from solvers.trees.backends.contract import BackendResult
from solvers.trees.instance import Instance
from vqlso.errors import VerificationError
from vqlso.records import SolveStatus

# Relative to what the predictions of the instance can differ by at all: above the solvers'
# tolerances, below any difference of interest, whatever the scale of the scores.
TOLERANCE = 1e-6
# Relative to the values themselves: what their float64 sums may be off by.
ROUNDING = 1e-12


def tolerance(value: float, spread: float) -> float:
    """How far two computations of `value` may lie apart on an instance of this spread."""
    return max(TOLERANCE * min(spread, max(1.0, abs(value))), ROUNDING * abs(value))


def agree(first: float, second: float, spread: float) -> bool:
    """Whether two values of the same thing differ by rounding only; never with NaN or inf."""
    return isfinite(first) and abs(first - second) <= tolerance(first, spread)


def reaches(bound: float, value: float, spread: float) -> bool:
    """Whether `bound` is not below `value` by more than rounding; never with NaN."""
    return bound >= value - tolerance(value, spread)


def verify(
    instance: Instance,
    result: BackendResult,
    *,
    predicted: float,
    reference_value: float,
    spread: float,
    backend: str,
    failures: Path | None,
) -> None:
    """Check a claim against the ensemble's own predictions.

    Args:
        instance: what was solved.
        result: the claim.
        predicted: the ensemble at the claimed point; -inf if none was found.
        reference_value: the ensemble at the reference, which is a feasible point too.
        spread: no two predictions of the instance differ by more.
        backend: whose claim it is.
        failures: folder that the instance of a false claim is saved in; by default a new
            temporary one. `replay` solves it again.

    Raises:
        VerificationError: the claim is false.
    """
    fault = _fault(result, predicted, reference_value, spread)
    if fault is None:
        return
    folder = Path(tempfile.mkdtemp(prefix="vqlso-")) if failures is None else failures
    raise VerificationError(
        f"Backend '{backend}' {fault} on instance {instance.name}. It is saved as "
        f"{instance.save(folder)}: solve it again with solvers.trees.replay and another backend."
    )


def _fault(
    result: BackendResult, predicted: float, reference_value: float, spread: float
) -> str | None:
    if result.labels is not None and not agree(predicted, result.value, spread):
        return f"claims {result.value!r} at a point where the ensemble predicts {predicted!r}"
    highest = max(predicted, reference_value)
    if not reaches(result.bound, highest, spread):
        return f"claims that nothing exceeds {result.bound!r}, yet the ensemble reaches {highest!r}"
    if result.status is SolveStatus.OPTIMAL and not agree(predicted, result.bound, spread):
        return f"calls {predicted!r} optimal under a bound of {result.bound!r}"
    return None
