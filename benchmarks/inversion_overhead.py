"""What does an evaluation cost beyond making the image and comparing it?

    make bench-inversion_overhead

Seconds of the processor for each evaluation, 20 targets side by side, and which share of them is
spent neither in the generator nor in the criterion (with their gradients, where a method takes
them), relative to these. Methods that can say several points of a target before they hear of the
first are asked for 16 at a time, too. Of Nevergrad's methods, how much of the share is the asking
and telling of its own code.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from time import process_time
from typing import Any

from nevergrad.optimization.base import Optimizer

from benchmarks.inversion import METHODS
from benchmarks.inversion_cases import problem_of
from benchmarks.inversion_courses import STARTS, begun, climbs, unscored
from solvers import gradient
from vqlso.hardware import limit_threads
from vqlso.objectives.criteria import Criterion
from vqlso.records import Context

TARGETS, EVALUATIONS = 20, 48
# The generation of CMA-ES in the 64 dimensions of this space.
AT_A_TIME = 16
MEASURED = (
    ("RS", 1),
    ("RS", AT_A_TIME),
    ("CMA-ES", 1),
    ("CMA-ES", AT_A_TIME),
    ("Adam", 1),
    ("Nesterov", 1),
    ("LBFGS", 1),
    ("sphere", 1),
    ("DOPO", 1),
    ("2PDE", 1),
)


@dataclass
class Timed:
    """A function whose calls are timed.

    Attributes:
        function: what is called.
        seconds: of the processor, of all calls since this was last set to 0.
    """

    function: Callable[..., Any]
    seconds: float = 0.0

    def __call__(self, *arguments: Any) -> Any:
        began = process_time()
        result = self.function(*arguments)
        self.seconds += process_time() - began
        return result


class TimedCriterion(Criterion):
    """A criterion whose calls are timed."""

    def __init__(self, criterion: Criterion) -> None:
        super().__init__(criterion.terms)
        self.timed = Timed(super().__call__)

    def __call__(self, *arguments: Any) -> Any:
        return self.timed(*arguments)


@contextmanager
def timed(owner: Any, *names: str) -> Iterator[list[Timed]]:
    """Functions of a module or a class, timed while the block runs."""
    kept = {name: getattr(owner, name) for name in names}
    clocks = [Timed(function) for function in kept.values()]
    for name, clock in zip(names, clocks, strict=True):
        setattr(owner, name, _function(clock))
    try:
        yield clocks
    finally:
        for name, function in kept.items():
            setattr(owner, name, function)


def _function(clock: Timed) -> Callable[..., Any]:
    """As a function, which unlike an object becomes a method of its class."""
    return lambda *arguments: clock(*arguments)


def measured(method: str, at_a_time: int) -> dict[str, Any]:
    """The facts of one method that is asked for so many points of each target at a time."""
    takes_gradients = climbs(METHODS[method])
    problem = problem_of("semi-specified", TARGETS)
    criterion = TimedCriterion(problem.criterion)
    decode = Timed(problem.generator.decode)
    problem.generator.decode = decode  # type: ignore[method-assign]
    problem = replace(problem, criterion=criterion)
    _, solver, _ = begun(problem, METHODS[method], STARTS + EVALUATIONS)
    with timed(gradient, "value_and_gradient") as climbing, timed(Optimizer, "ask", "tell") as its:
        needed = climbing if takes_gradients else [decode, criterion.timed]
        # The first round warms up: kernels are chosen, and a chain's first point costs nothing.
        for count in (at_a_time, EVALUATIONS - at_a_time):
            for clock in (*needed, *its):
                clock.seconds = 0.0
            began = process_time()
            for _ in range(count // at_a_time):
                proposal = solver.ask(TARGETS * at_a_time)
                if takes_gradients:
                    solver.tell(proposal, unscored(proposal))
                else:
                    solver.tell(proposal, problem.evaluate(proposal, Context(0, 0)))
            seconds = process_time() - began
    work = sum(clock.seconds for clock in needed)
    evaluations = TARGETS * (EVALUATIONS - at_a_time)
    facts = {
        "method": method,
        "at a time": at_a_time,
        "milliseconds": round(1000 * seconds / evaluations, 3),
        "overhead": round(seconds / work - 1, 4),
    }
    library = sum(clock.seconds for clock in its)
    return facts | ({"of it nevergrad's": round(library / work, 4)} if library else {})


def main() -> None:
    """Print one JSON line a method."""
    limit_threads(1)
    for method, at_a_time in MEASURED:
        print(json.dumps(measured(method, at_a_time)), flush=True)


if __name__ == "__main__":
    main()
