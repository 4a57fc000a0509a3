"""Coordinate ascent from several starts: fast answers without a proof."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice, product
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from solvers.trees.backends.conditional import Conditional
from solvers.trees.backends.contract import BackendResult, Limits, Task
from solvers.trees.backends.memory import MemoryMeter
from solvers.trees.instance import Instance
from solvers.trees.reduced import ReducedEnsemble
from solvers.trees.reduction import reduce, without_dominated
from vqlso.records import SolveStatus

# A gain below this, relative to the largest term, is rounding.
_SMALLEST_GAIN = 1e-12


class GreedyBackend:
    """The best label of one cell at a time, given the others, until none improves.

    Missing the constraints less comes before a higher objective, and two cells that a constraint
    ties to each other move together. An ascent counts as a node.

    Args:
        restarts: number of random starts, besides the known point and every cell's best label by
            itself.
        seed: of the random starts.
    """

    def __init__(self, restarts: int = 8, seed: int = 0) -> None:
        self.restarts = restarts
        self.seed = seed

    def solve(self, task: Task) -> BackendResult:
        """See `Backend.solve`; no points if none was met that satisfies the constraints."""
        began = perf_counter()
        reduced = reduce(task.instance)
        if task.k == 1:
            reduced = without_dominated(reduced)
        standardised, _ = reduced.standardised()
        search = _Search(standardised, task.k, task.limits)
        build_seconds = perf_counter() - began

        ascents = 0
        for start in islice(self._starts(reduced, task), task.limits.nodes):
            if search.is_over():
                break
            search.ascend(start)
            ascents += 1
        points: list[NDArray[np.float64]] = []
        values: list[float] = []
        for labels in search.best():
            found = list(islice(_points(task.instance, reduced, labels), task.k - len(points)))
            points += found
            values += [float(reduced.values(np.array([labels]))[0])] * len(found)
        return BackendResult(
            points=np.array(points).reshape(-1, len(task.instance.free)),
            values=np.array(values),
            bound=reduced.upper_bound(),
            spread=reduced.spread,
            status=SolveStatus.UNPROVEN,
            nodes=ascents,
            build_seconds=build_seconds,
            sizes={
                "free": len(reduced.unary),
                "labels": sum(reduced.n_labels),
                "trees": len(reduced.trees),
            },
        )

    def _starts(self, reduced: ReducedEnsemble, task: Task) -> Iterator[NDArray[np.int64]]:
        rng = np.random.default_rng(self.seed)
        alone = np.array([unary.argmax() for unary in reduced.unary], dtype=np.int64)
        if task.start is not None:
            choices = task.instance.choices(task.start)
            assert choices is not None
            known = [reduced.label(cell, choice) for cell, choice in enumerate(choices.tolist())]
            # A label that was dropped has a better one in its place.
            yield np.array([a if k is None else k for k, a in zip(known, alone, strict=True)])
        yield alone
        for _ in range(self.restarts):
            yield rng.integers(reduced.n_labels)


def _points(
    instance: Instance, reduced: ReducedEnsemble, labels: tuple[int, ...]
) -> Iterator[NDArray[np.float64]]:
    """(t,) every combination of the choices of the labels."""
    for choices in product(*(c[label] for c, label in zip(reduced.choices, labels, strict=True))):
        yield np.array([d.values[c] for d, c in zip(instance.domains, choices, strict=True)])


class _Search:
    """Ascents, and the k best feasible labels that they met."""

    def __init__(self, reduced: ReducedEnsemble, k: int, limits: Limits) -> None:
        self._reduced = reduced
        self._conditional = Conditional(reduced)
        self._k = k
        self._met: dict[tuple[int, ...], float] = {}
        self._tied = [
            cells
            for row in reduced.side.rows
            if len(cells := [cell for cell, weights in row.weights.items() if weights.any()]) == 2
        ]
        self._end = np.inf if limits.seconds is None else perf_counter() + limits.seconds
        self._meter = None if limits.megabytes is None else MemoryMeter(limits.megabytes)

    def is_over(self) -> bool:
        """Whether a limit of time or memory has come."""
        is_full = self._meter is not None and self._meter.is_exceeded()
        return is_full or perf_counter() > self._end

    def best(self) -> list[tuple[int, ...]]:
        """The labels met, best first."""
        return sorted(self._met, key=lambda labels: (-self._met[labels], labels))[: self._k]

    def ascend(self, labels: NDArray[np.int64]) -> None:
        """Improve (t,) labels until no move does."""
        before = (np.inf, np.inf)
        while not self.is_over():
            for cell in range(len(labels)):
                labels, rank = self._best_of(cell, labels)
            for first, second in self._tied:
                trials = np.repeat(labels[None], self._reduced.n_labels[first], axis=0)
                trials[:, first] = np.arange(len(trials))
                found = [self._best_of(second, trial) for trial in trials]
                labels, rank = min(found, key=lambda trial: trial[1])
            if not rank < before:
                return
            before = (rank[0], rank[1] - _SMALLEST_GAIN)

    def _best_of(
        self, cell: int, labels: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], tuple[float, float]]:
        """The labels with the cell's best one, and their rank: misses first, lower is better."""
        values = self._conditional.values(cell, labels)
        misses = self._conditional.misses(cell, labels)
        order = np.lexsort((-values, misses))
        best = labels.copy()
        best[cell] = order[0]
        for label in order[: self._k]:
            if misses[label] == 0:
                met = (*labels[:cell].tolist(), int(label), *labels[cell + 1 :].tolist())
                self._met[met] = float(values[label])
        return best, (float(misses[order[0]]), -float(values[order[0]]))
