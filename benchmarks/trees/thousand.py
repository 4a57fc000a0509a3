"""A thousand random small fits of every library, every engine compared with enumeration.

    python -m benchmarks.trees.thousand
    python -m benchmarks.trees.thousand --libraries onnx --engines tables,highs --count 50
    python -m benchmarks.trees.thousand --libraries onnx --first 17 --count 1

Each fit is asked once for its highest or lowest point, or the three best, over random free features
around a random reference. An engine must reach the values of `enumeration`; the library's own
prediction at its points must be the one that is returned; and no point of a grid over the free
features may be better, as the library itself predicts them. Every miss is printed with its number.

The columns: instances that were `solved`, and those `proven` optimal; `refused` for a stated
reason; `wrong` answers and failures of any kind; and the largest difference of values, predictions
or bounds, relative to the largest prediction on the grid. From a heuristic only points better than
possible, and bounds below them, are wrong.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise, product
from math import prod
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from benchmarks.trees.compare import names
from benchmarks.trees.fits import LIBRARIES, WHOLE, Fit, Numbers
from benchmarks.trees.measuring import markdown
from solvers.trees import (
    Categorical,
    Continuous,
    Integer,
    Optimum,
    TreeEnsemble,
    UnsupportedError,
    maximize,
    minimize,
)
from solvers.trees.backends import BACKENDS, backend
from solvers.trees.backends.contract import Backend
from solvers.trees.backends.tables import TablesBackend
from vqlso.records import SolveStatus

ORACLE = "enumeration"
# Free features are left out until the grid has no more points.
_MOST_POINTS = 20_000


@dataclass(frozen=True, eq=False)
class Question:
    """What every engine is asked about one fit.

    Attributes:
        fit: the model.
        free: the features that may change.
        reference: (features,) integers or floats.
        k: how many points.
        sign: 1 for the highest, -1 for the lowest.
        best: what the library predicts at the best point of a grid.
        scale: the largest size of its predictions there.
    """

    fit: Fit
    free: NDArray[np.int64]
    reference: NDArray[np.int64] | Numbers
    k: int
    sign: int
    best: float
    scale: float


@dataclass(frozen=True)
class Finding:
    """How one engine did on one question.

    Attributes:
        status: of the answer; None if the engine refused or failed.
        difference: relative, the largest.
        fault: what is wrong, if anything.
        refusal: the stated reason.
    """

    status: SolveStatus | None
    difference: float = 0.0
    fault: str = ""
    refusal: str = ""


def question(library: str, number: int) -> Question:
    """Question `number` about a fit of a library; the same at every call."""
    rng = np.random.default_rng([sorted(LIBRARIES).index(library), number])
    fit = LIBRARIES[library](rng)
    ensemble = fit.ensemble
    reference = _reference(rng, fit)
    # Among integers, numbers are whole ones.
    whole = np.issubdtype(reference.dtype, np.integer)
    values = [_values(ensemble, feature, whole) for feature in range(ensemble.n_features)]
    free = rng.permutation(ensemble.n_features)[: rng.integers(1, ensemble.n_features + 1)]
    while len(free) > 1 and prod(len(values[feature]) for feature in free) > _MOST_POINTS:
        free = free[:-1]
    grid = np.array(list(product(*(values[feature] for feature in free))))
    z = np.repeat(reference[None].astype(np.float64), len(grid), axis=0)
    z[:, free] = grid
    predictions = fit.predict(z)
    sign = 1 if rng.random() < 0.7 else -1
    return Question(
        fit,
        free,
        reference,
        k=1 if rng.random() < 0.7 else 3,
        sign=sign,
        best=sign * float((sign * predictions).max()),
        scale=float(np.abs(predictions).max()) or 1.0,
    )


def examined(asked: Question, engines: Iterable[str]) -> Iterator[tuple[str, Finding]]:
    """Each engine's finding; that of the oracle is about the library alone."""
    oracle = _answer(asked, backend(ORACLE))
    for name in engines:
        try:
            found = oracle if name == ORACLE else _answer(asked, _engine(name))
        except UnsupportedError as error:
            yield name, Finding(None, refusal=str(error))
        except Exception as error:  # a miss like any other: the rest is still examined
            yield name, Finding(None, fault=f"{type(error).__name__}: {error}")
        else:
            yield name, _finding(asked, found, oracle)


def _engine(name: str) -> Backend:
    # What it would hand to highs counts as refused.
    return TablesBackend(fallback=False) if name == "tables" else backend(name)


def _answer(asked: Question, engine: Backend) -> Optimum:
    solve = maximize if asked.sign > 0 else minimize
    return solve(
        asked.fit.ensemble, free=asked.free, reference=asked.reference, k=asked.k, backend=engine
    )


def _finding(asked: Question, found: Optimum, oracle: Optimum) -> Finding:
    z = np.array([solution.z for solution in found.solutions], dtype=np.float64)
    predicted = asked.fit.predict(z)
    returned = np.array([solution.prediction for solution in found.solutions])
    values = asked.sign * np.array([solution.value for solution in found.solutions])
    best = asked.sign * np.array([solution.value for solution in oracle.solutions])
    bound, on_grid = asked.sign * found.bound, asked.sign * asked.best
    differences = {
        "the library predicts another value": np.abs(predicted - returned).max(),
        "the bound is too low": max(best[0], on_grid) - bound,
        "the value is too high": values[0] - best[0],
    }
    faults = []
    if found.status is not SolveStatus.UNPROVEN:
        if len(values) != len(best):
            faults.append(f"{len(values)} points instead of {len(best)}")
        shared = min(len(values), len(best))
        off = np.abs(values[:shared] - best[:shared]).max()
        differences["the values are not those of enumeration"] = off
        differences["the library knows a better point"] = on_grid - values[0]
        differences["the bound is not reached"] = abs(bound - values[0])
    relative = {fault: max(0.0, float(off)) / asked.scale for fault, off in differences.items()}
    tolerance = asked.fit.tolerance
    # `not <=` rather than `>`: NaN is wrong.
    faults += [f"{fault}: {off:.1e}" for fault, off in relative.items() if not off <= tolerance]
    if found.status is SolveStatus.FEASIBLE:
        faults.append("not proven, though there was no limit")
    if len(np.unique(z, axis=0)) < len(z):
        faults.append("the same point twice")
    return Finding(found.status, max(relative.values()), "; ".join(faults))


def _reference(rng: np.random.Generator, fit: Fit) -> NDArray[np.int64] | Numbers:
    """A random point; of integers now and then, with missing values where the library takes any."""
    features = fit.ensemble.features or ()
    z = np.array([_random_value(rng, kind) for kind in features])
    if rng.random() < 0.2:
        whole: NDArray[np.int64] = np.trunc(z).astype(np.int64)
        return whole
    if fit.takes_missing and rng.random() < 0.3:
        z[rng.random(len(z)) < 0.3] = np.nan
    return z


def _random_value(rng: np.random.Generator, kind: object) -> float:
    if isinstance(kind, Categorical):
        return float(rng.integers(kind.categories))
    if isinstance(kind, Integer):
        return float(rng.integers(-WHOLE, WHOLE + 1))
    return float(rng.uniform(-2, 2))


def _values(ensemble: TreeEnsemble, feature: int, whole: bool) -> list[float]:
    """One value in every interval between thresholds, every code, every whole number."""
    kind = (ensemble.features or ())[feature]
    if isinstance(kind, Categorical):
        return [float(code) for code in range(kind.categories)]
    if isinstance(kind, Integer):
        return [float(n) for n in range(int(kind.lower), int(kind.upper) + 1)]
    assert isinstance(kind, Continuous)
    nodes = (ensemble.feature == feature) & (ensemble.subset < 0)
    cuts = np.unique(ensemble.threshold[nodes & np.isfinite(ensemble.threshold)])
    if not cuts.size:
        return [0.0]
    if whole:
        values = np.array([0.0, *np.floor(cuts), *np.floor(cuts) + 1])
        within = values[(values >= kind.lower) & (values <= kind.upper)]
    else:
        inside = [(a + b) / 2 for a, b in pairwise(cuts)]
        values = np.array([0.0, cuts[0] - 1, *inside, cuts[-1] + 1])
        within = np.clip(values, kind.lower, kind.upper)
    return [float(value) for value in np.unique(within)]


class Tally:
    """Findings, counted by library and engine."""

    def __init__(self) -> None:
        self.counts: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
        self.largest: dict[tuple[str, str], float] = defaultdict(float)
        self.refusals: Counter[tuple[str, str]] = Counter()

    def add(self, library: str, engine: str, finding: Finding) -> None:
        """Count one finding."""
        counts = self.counts[library, engine]
        counts["solved"] += finding.status is not None
        counts["proven"] += finding.status is SolveStatus.OPTIMAL
        counts["refused"] += bool(finding.refusal)
        counts["wrong"] += bool(finding.fault)
        self.largest[library, engine] = max(self.largest[library, engine], finding.difference)
        if finding.refusal:
            self.refusals[engine, _without_numbers(finding.refusal)] += 1

    @property
    def wrong(self) -> int:
        """All wrong answers."""
        return sum(counts["wrong"] for counts in self.counts.values())

    def table(self) -> str:
        """A line per library and engine."""
        heads = ["library", "engine", "solved", "proven", "refused", "wrong", "largest difference"]
        columns = heads[2:-1]
        rows = [
            [library, engine, *(str(counts[column]) for column in columns), f"{largest:.0e}"]
            for (library, engine), counts in self.counts.items()
            for largest in [self.largest[library, engine]]
        ]
        return markdown(heads, rows)


def _without_numbers(reason: str) -> str:
    return "".join("N" if letter.isdigit() else letter for letter in reason)


def main(arguments: Sequence[str] | None = None) -> int:
    """Examine, print the table and the stated reasons; 1 if anything was wrong."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--libraries", type=names, default=sorted(LIBRARIES))
    parser.add_argument("--engines", type=names, default=sorted(BACKENDS))
    parser.add_argument("--first", type=int, default=0, metavar="NUMBER")
    parser.add_argument("--count", type=int, default=1000)
    options = parser.parse_args(arguments)
    tally, began = Tally(), perf_counter()
    for library in options.libraries:
        for number in range(options.first, options.first + options.count):
            for engine, finding in examined(question(library, number), options.engines):
                tally.add(library, engine, finding)
                if finding.fault:
                    print(f"{library} {number} {engine}: {finding.fault}", flush=True)
            if (number + 1) % 100 == 0:
                done = number + 1 - options.first
                seconds = perf_counter() - began
                print(f"{library}: {done} in {seconds:.0f} s", file=sys.stderr, flush=True)
    print(tally.table())
    for (engine, reason), count in sorted(tally.refusals.items()):
        print(f"{engine} refused {count}: {reason}")
    return 1 if tally.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
