"""What does an evaluation cost beyond making the image and comparing it?

    make bench-inversion_overhead

Seconds of the processor for each evaluation of methods without gradients, 20 targets side by side,
and which share of them is spent neither in the generator nor in the criterion.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from time import process_time
from typing import Any

from benchmarks.inversion import METHODS
from benchmarks.inversion_cases import problem_of
from benchmarks.inversion_courses import STARTS, search
from vqlso.hardware import limit_threads
from vqlso.objectives.criteria import Criterion

TARGETS, EVALUATIONS = 20, 40
MEASURED = ("RS", "DOPO", "2PDE", "CMA-ES")


@dataclass
class Timed:
    """A function whose time is added up.

    Attributes:
        function: what is called.
        seconds: of the processor, so far.
    """

    function: Callable[..., Any]
    seconds: float = 0.0

    def __call__(self, *arguments: Any) -> Any:
        began = process_time()
        result = self.function(*arguments)
        self.seconds += process_time() - began
        return result


class TimedCriterion(Criterion):
    """A criterion whose time is added up."""

    def __init__(self, criterion: Criterion) -> None:
        super().__init__(criterion.terms)
        self.timed = Timed(super().__call__)

    def __call__(self, *arguments: Any) -> Any:
        return self.timed(*arguments)


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
        decode.seconds = criterion.timed.seconds = 0.0
        course = search(problem, METHODS[method], STARTS + EVALUATIONS)
        # The starts are scored before the course's clock begins, in the same functions.
        needed = (decode.seconds + criterion.timed.seconds) * EVALUATIONS / (STARTS + EVALUATIONS)
        evaluations = TARGETS * (len(course.curve) - 1)
        facts = {
            "method": method,
            "milliseconds": round(1000 * course.seconds / evaluations, 3),
            "overhead": round(course.seconds / needed - 1, 4),
        }
        print(json.dumps(facts), flush=True)


if __name__ == "__main__":
    main()
