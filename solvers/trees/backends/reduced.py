"""What the engines share that solve one reduced ensemble at a time."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice, product
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from solvers.trees.backends.contract import BackendResult, InfeasibleError, Limits, Task
from solvers.trees.backends.memory import MemoryMeter
from solvers.trees.instance import Instance
from solvers.trees.reduced import ReducedEnsemble
from solvers.trees.reduction import reduce, without_dominated
from solvers.trees.side_model import Row
from vqlso.records import SolveStatus


@dataclass(frozen=True, eq=False)
class LabelResult:
    """An engine's claim about one reduced ensemble.

    Attributes:
        labels: (t,) the label of each free cell; None if a limit came before any solution.
        value: what the engine says the objective is there; -inf without a solution.
        bound: no choice of labels has a higher one; inf where nothing is known.
        status: OPTIMAL if the bound was proven to be reached, UNPROVEN from a heuristic.
        nodes: of the branch-and-bound tree; None if the engine does not say.
        build_seconds: wall-clock time spent on stating the problem in the engine's terms.
        sizes: of the problem as stated, by name.
        numbers: cell -> its number in units of `NumberCell`, for cells whose number matters.
    """

    labels: NDArray[np.int64] | None
    value: float
    bound: float
    status: SolveStatus
    nodes: int | None
    build_seconds: float
    sizes: Mapping[str, int] = field(default_factory=dict)
    numbers: Mapping[int, float] = field(default_factory=dict)


class ReducedBackend(ABC):
    """A backend that maximises over labels; the k best come from as many solves.

    Attributes:
        is_narrowed: whether choices that no optimum needs are taken away first, by the bounds of
            `tables`. An engine that is asked for a second opinion states all of them.
    """

    is_narrowed = False

    @abstractmethod
    def maximise(
        self, reduced: ReducedEnsemble, limits: Limits, start: NDArray[np.int64] | None
    ) -> LabelResult:
        """Labels of highest objective.

        Args:
            reduced: its largest term is about 1.
            limits: when to stop.
            start: (t,) feasible labels, if any are known.

        Raises:
            InfeasibleError, UnsupportedError, SolverError: as `Backend.solve`.
        """

    def solve(self, task: Task) -> BackendResult:
        """See `Backend.solve`."""
        began = perf_counter()
        if self.is_narrowed:
            # Compiled code comes with it, which is not what a limit of memory is about.
            from solvers.trees.backends.narrowing import narrowed

            task = narrowed(task)
        # Every point that is found becomes a row, which keeps it from being found again.
        meter = None if task.limits.megabytes is None else MemoryMeter(task.limits.megabytes)
        reduced = reduce(task.instance)
        if task.k == 1:
            reduced = without_dominated(reduced)
        standardised, size = reduced.standardised()
        start = _labels(reduced, task)
        reduce_seconds = perf_counter() - began

        results: list[LabelResult] = []
        points: list[NDArray[np.float64]] = []
        values: list[float] = []
        while len(points) < task.k:
            limits = _left(task.limits, perf_counter() - began, meter, results)
            if limits is None:
                break
            try:
                result = self.maximise(standardised, limits, start)
            except InfeasibleError:
                if not results:
                    raise
                break
            results.append(result)
            if result.labels is None:
                break
            found = list(islice(_points(task.instance, reduced, result), task.k - len(points)))
            points += found
            values += [reduced.constant + size * result.value] * len(found)
            if result.status is not SolveStatus.OPTIMAL:
                break
            standardised = _without(standardised, result.labels)
            start = None
        cut_short = len(points) < task.k and limits is None
        proven = all(r.status is SolveStatus.OPTIMAL for r in results) and not cut_short
        known = [result.nodes for result in results if result.nodes is not None]
        return BackendResult(
            points=np.array(points).reshape(-1, len(task.instance.free)),
            values=np.array(values),
            bound=min(reduced.constant + size * results[0].bound, reduced.upper_bound()),
            spread=reduced.spread,
            status=_status(results, proven),
            nodes=sum(known) if known else None,
            build_seconds=reduce_seconds + sum(result.build_seconds for result in results),
            sizes={
                "free": len(reduced.unary),
                "labels": sum(reduced.n_labels),
                "trees": len(reduced.trees),
                **results[0].sizes,
            },
        )


def _status(results: list[LabelResult], proven: bool) -> SolveStatus:
    if proven:
        return SolveStatus.OPTIMAL
    heuristic = any(result.status is SolveStatus.UNPROVEN for result in results)
    return SolveStatus.UNPROVEN if heuristic else SolveStatus.FEASIBLE


def _labels(reduced: ReducedEnsemble, task: Task) -> NDArray[np.int64] | None:
    """The labels of the start; None where one was dropped, since a better one exists."""
    choices = None if task.start is None else task.instance.choices(task.start)
    if choices is None:
        return None
    labels = [reduced.label(cell, choice) for cell, choice in enumerate(choices.tolist())]
    if None in labels:
        return None
    return np.array(labels, dtype=np.int64)


def _left(
    limits: Limits, spent: float, meter: MemoryMeter | None, results: list[LabelResult]
) -> Limits | None:
    """What later solves may take; None if nothing is left."""
    if not results:
        return limits
    seconds = None if limits.seconds is None else limits.seconds - spent
    nodes = limits.nodes
    if nodes is not None:
        nodes -= sum(result.nodes or 0 for result in results)
    if (seconds is not None and seconds <= 0) or (nodes is not None and nodes <= 0):
        return None
    if meter is not None and meter.is_exceeded():
        return None
    return replace(limits, seconds=seconds, nodes=nodes)


def _points(
    instance: Instance, reduced: ReducedEnsemble, result: LabelResult
) -> Iterator[NDArray[np.float64]]:
    """(t,) the points of a solution: every combination of the choices of its labels."""
    assert result.labels is not None
    classes = [reduced.choices[cell][label] for cell, label in enumerate(result.labels)]
    for choices in product(*classes):
        point = np.array(
            [domain.values[c] for domain, c in zip(instance.domains, choices, strict=True)]
        )
        for cell, number in result.numbers.items():
            domain, choice, kind = instance.domains[cell], choices[cell], reduced.side.numbers[cell]
            value = kind.origin + kind.unit * (round(number) if kind.is_whole else number)
            point[cell] = np.clip(value, domain.lower[choice], domain.upper[choice])
        yield point


def _without(reduced: ReducedEnsemble, labels: NDArray[np.int64]) -> ReducedEnsemble:
    """The same without one combination of labels."""
    weights = {}
    for cell, (label, n) in enumerate(zip(labels, reduced.n_labels, strict=True)):
        weights[cell] = np.zeros(n)
        weights[cell][label] = 1.0
    row = Row("found before", weights, {}, -np.inf, len(labels) - 1.0)
    return replace(reduced, side=replace(reduced.side, rows=(*reduced.side.rows, row)))
