"""What does an evaluation cost beyond making the image and comparing it?

    make bench-inversion_overhead

Seconds of the processor for each evaluation of methods without gradients, 20 targets side by side;
which share of them is spent neither in the generator nor in the criterion, relative to these; and
how much of that share is the asking and telling of Nevergrad's own code.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from time import process_time
from typing import Any

from nevergrad.optimization.base import Optimizer

from benchmarks.inversion import METHODS
from benchmarks.inversion_cases import problem_of
from benchmarks.inversion_courses import STARTS, search
from vqlso.hardware import limit_threads
from vqlso.objectives.criteria import Criterion

TARGETS, EVALUATIONS = 20, 40
MEASURED = ("RS", "DOPO", "2PDE", "CMA-ES")


@dataclass
class Timed:
    """A function whose calls are timed.

    Attributes:
        function: what is called.
        seconds: of the processor, of each call.
    """

    function: Callable[..., Any]
    seconds: list[float] = field(default_factory=list)

    def __call__(self, *arguments: Any) -> Any:
        began = process_time()
        result = self.function(*arguments)
        self.seconds.append(process_time() - began)
        return result

    def of_last(self, calls: int) -> float:
        """Seconds of the last calls together."""
        return sum(self.seconds[-calls:])


class TimedCriterion(Criterion):
    """A criterion whose calls are timed."""

    def __init__(self, criterion: Criterion) -> None:
        super().__init__(criterion.terms)
        self.timed = Timed(super().__call__)

    def __call__(self, *arguments: Any) -> Any:
        return self.timed(*arguments)


@contextmanager
def library_timed() -> Iterator[tuple[Timed, ...]]:
    """What Nevergrad's optimisers take to be asked and told; all of them inherit these methods."""
    names = ("ask", "tell")
    kept = {name: getattr(Optimizer, name) for name in names}
    timed = tuple(Timed(kept[name]) for name in names)
    for name, each in zip(names, timed, strict=True):
        setattr(Optimizer, name, _method(each))
    try:
        yield timed
    finally:
        for name in names:
            setattr(Optimizer, name, kept[name])


def _method(timed: Timed) -> Callable[..., Any]:
    """As a function, which unlike an object becomes a method of its class."""
    return lambda *arguments: timed(*arguments)


def main() -> None:
    """Print one JSON line a method."""
    limit_threads(1)
    for method in MEASURED:
        problem = problem_of("semi-specified", TARGETS)
        criterion = TimedCriterion(problem.criterion)
        decode = Timed(problem.generator.decode)
        problem.generator.decode = decode  # type: ignore[method-assign]
        problem = replace(problem, criterion=criterion)
        search(problem, METHODS[method], STARTS + 3)
        with library_timed() as library:
            course = search(problem, METHODS[method], STARTS + EVALUATIONS)
        # The starts are scored by the same functions, before the course's clock begins.
        needed = decode.of_last(EVALUATIONS) + criterion.timed.of_last(EVALUATIONS)
        nevergrad = sum(each.of_last(TARGETS * EVALUATIONS) for each in library)
        evaluations = TARGETS * (len(course.curve) - 1)
        facts = {
            "method": method,
            "milliseconds": round(1000 * course.seconds / evaluations, 3),
            "overhead": round(course.seconds / needed - 1, 4),
            "of it nevergrad's": round(nevergrad / needed, 4),
        }
        print(json.dumps(facts), flush=True)


if __name__ == "__main__":
    main()
