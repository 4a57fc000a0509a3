"""Trust nothing that a backend claims: its values and its bound are checked after every solve.

Branch-and-cut codes are wrong now and then (HiGHS issue 2382 reports a bound below the optimum),
and peers that rounded thresholds returned points that the model scores lower than they claimed.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from math import isfinite
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from solvers.trees.backends.contract import BackendResult
from solvers.trees.instance import Instance
from solvers.trees.storage import save
from vqlso.errors import SolverError, VerificationError
from vqlso.records import SolveStatus

# Relative to what the objectives of the instance can differ by at all: above the solvers'
# tolerances, below any difference of interest, whatever the scale of the scores.
TOLERANCE = 1e-6
# Relative to what is summed up: what float64 sums may be off by.
ROUNDING = 1e-12
# By how much a solution may miss a constraint, relative to 1: solvers of linear programmes do.
MISS = 1e-6


@dataclass(frozen=True)
class Tolerance:
    """How far two computations of one objective may lie apart.

    Attributes:
        spread: no two points' objectives differ by more.
        magnitude: sum of the sizes of all parts of an objective, which may cancel out.
    """

    spread: float
    magnitude: float

    def at(self, value: float) -> float:
        """The tolerance for objectives of about `value`."""
        shift = TOLERANCE * min(self.spread, max(1.0, abs(value)))
        return max(shift, ROUNDING * max(self.magnitude, abs(value)))

    def agree(self, first: float, second: float) -> bool:
        """Whether two values of the same thing differ by rounding only; never with NaN or inf."""
        return isfinite(first) and abs(first - second) <= self.at(first)

    def reaches(self, bound: float, value: float) -> bool:
        """Whether `bound` is not below `value` by more than rounding; never with NaN."""
        return bound >= value - self.at(value)


@dataclass(frozen=True, eq=False)
class Truth:
    """What the ensemble, terms and constraints themselves say of a backend's points.

    Attributes:
        objectives: (m,) at the claimed points.
        violations: (m,) of the constraints there.
        known: the objective of the best feasible point that was known before; -inf if none.
        magnitude: sum of the sizes of all parts of an objective.
    """

    objectives: NDArray[np.float64]
    violations: NDArray[np.float64]
    known: float
    magnitude: float


def verify(
    instance: Instance,
    result: BackendResult,
    truth: Truth,
    *,
    backend: str,
    failures: Path | str | None,
) -> None:
    """Check a claim against the truth.

    Args:
        instance: what was solved.
        result: the claim.
        truth: about the same points.
        backend: whose claim it is.
        failures: folder that the instance of a false claim is saved in; by default a new
            temporary one. `replay` solves it again.

    Raises:
        VerificationError: the claim is false.
    """
    fault = _fault(result, truth)
    if fault is None:
        return
    raise false_claim(instance, fault, backend=backend, failures=failures)


def false_claim(
    instance: Instance, fault: str, *, backend: str, failures: Path | str | None
) -> VerificationError:
    """The error that names a backend's fault, after saving the instance as `verify` does."""
    folder = Path(tempfile.mkdtemp(prefix="vqlso-")) if failures is None else Path(failures)
    try:
        path = save(instance, folder)
    except (SolverError, OSError) as error:
        return VerificationError(f"Backend '{backend}' {fault}. The instance is not saved: {error}")
    return VerificationError(
        f"Backend '{backend}' {fault} on instance {path.stem}. It is saved as {path}: solve it "
        "again with solvers.trees.replay and another backend."
    )


def _fault(result: BackendResult, truth: Truth) -> str | None:
    tolerance = Tolerance(result.spread, truth.magnitude)
    claims = zip(
        *map(np.ndarray.tolist, (result.values, truth.objectives, truth.violations)), strict=True
    )
    for claimed, value, miss in claims:
        if not tolerance.agree(value, claimed):
            return f"claims {claimed!r} at a point whose objective is {value!r}"
        if miss > MISS:
            return f"returns a point that misses a constraint by {miss!r}"
    if len(result.points) > 1 and len(np.unique(result.points, axis=0)) < len(result.points):
        return "returns the same point twice"
    best = float(truth.objectives[0]) if len(truth.objectives) else -np.inf
    highest = max(best, truth.known)
    if not tolerance.reaches(result.bound, highest):
        return f"claims that nothing exceeds {result.bound!r}, yet {highest!r} is reached"
    if result.status is SolveStatus.OPTIMAL and not tolerance.agree(best, result.bound):
        return f"calls {best!r} optimal under a bound of {result.bound!r}"
    return None
