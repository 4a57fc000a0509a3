"""One method on one query, timed in a process that belongs to the method.

Separate processes because OR-Tools and HiGHS clash when one process loads both, and because a
method that crashes must not end the comparison.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass, field
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from multiprocessing import get_context
from pathlib import Path
from time import perf_counter
from types import TracebackType
from typing import Any, TypeVar

import lightgbm
import numpy as np
from numpy.typing import NDArray

from benchmarks.trees.peers import OPTIMAL, PEERS, Question
from solvers.trees import Categorical, Integer, Limits, Optimum, TreeEnsemble, maximize

# Solves are repeated until they add up to this: clocks and interrupts blur single short ones.
ENOUGH_SECONDS = 0.1

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Query:
    """What one method is asked.

    Attributes:
        model: LightGBM's text.
        K: codes of every cell are 0..K-1.
        integer: whether cells are integer features rather than categorical ones.
        free: (t,) int64 cells.
        reference: (cells,) int64 codes.
        seconds: time limit of the solve.
        extras: further arguments of `maximize`; peers know none.
    """

    model: Path
    K: int
    integer: bool
    free: NDArray[np.int64]
    reference: NDArray[np.int64]
    seconds: float
    extras: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Solution:
    """What a method found, and what that took.

    Attributes:
        seconds: of the query, given what is made once a fit.
        build_seconds: the part of it before the search began.
        fresh_seconds: of the query when the model is read or converted for it too.
        claimed: the method's own account of the highest objective.
        bound: its account of what nothing exceeds.
        predicted: what LightGBM predicts at the codes returned.
        nodes: of branch and bound; None if the method does not say.
        solved_by: the backend that answered, where one hands over to another; empty of peers.
    """

    seconds: float
    build_seconds: float
    fresh_seconds: float
    claimed: float
    bound: float
    predicted: float
    nodes: int | None = None
    solved_by: str = ""


@dataclass(frozen=True)
class Measurement:
    """One method on one query.

    Attributes:
        method: a backend's name, or a peer's.
        status: "optimal"; "feasible" or "limit" if a limit came first; or why it has no answer.
        solution: None where there is none.
    """

    method: str
    status: str
    solution: Solution | None = None

    @property
    def label(self) -> str:
        """The method, and who answered in its place if someone did."""
        stand_in = self.solution.solved_by if self.solution else ""
        return self.method if stand_in in ("", self.method) else f"{self.method} ({stand_in})"

    @property
    def proven(self) -> bool:
        """Whether the method calls its answer optimal."""
        return self.status == OPTIMAL


class Methods:
    """Backends and peers, each in a process of its own with one thread.

    Args:
        engines: names of backends.
        peers: names from `PEERS`.
    """

    def __init__(self, engines: Sequence[str], peers: Sequence[str] = ()) -> None:
        self.names = (*engines, *peers)
        self._tasks: dict[str, Callable[[str, Query], Measurement]] = {
            **dict.fromkeys(engines, _measure_engine),
            **dict.fromkeys(peers, _measure_peer),
        }
        self._pools: dict[str, ProcessPoolExecutor] = {}
        # Read by the native libraries as the processes start.
        os.environ.update(OMP_NUM_THREADS="1", MKL_NUM_THREADS="1", NUMBA_NUM_THREADS="1")

    def __enter__(self) -> Methods:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        for pool in self._pools.values():
            pool.shutdown(cancel_futures=True)

    def measure(self, name: str, query: Query) -> Measurement:
        """The method's answer; what goes wrong becomes the status."""
        if name not in self._pools:
            self._pools[name] = ProcessPoolExecutor(1, mp_context=get_context("spawn"))
        try:
            return self._pools[name].submit(self._tasks[name], name, query).result()
        except BrokenProcessPool:
            del self._pools[name]
            return Measurement(name, "failed: its process died")


def _measure_engine(name: str, query: Query) -> Measurement:
    booster = _booster(query.model)
    limits = Limits(seconds=query.seconds)

    def solve(ensemble: TreeEnsemble) -> Optimum:
        return maximize(
            ensemble,
            free=query.free,
            reference=query.reference,
            backend=name,
            limits=limits,
            **query.extras,
        )

    try:
        ensemble, read_seconds = repeated(lambda: read(booster, query.K, query.integer))
        best, seconds = repeated(lambda: solve(ensemble))
        fresh_seconds = seconds + read_seconds
        if seconds < ENOUGH_SECONDS:
            # Not the sum: an ensemble may keep what its first solve worked out.
            _, fresh_seconds = repeated(lambda: solve(read(booster, query.K, query.integer)))
    except Exception as error:  # whatever one engine cannot do, the others are still measured
        return Measurement(name, _reason(error))
    return Measurement(
        name,
        str(best.status),
        Solution(
            seconds,
            best.build_seconds,
            fresh_seconds,
            best.value,
            best.bound,
            _predicted(booster, best.z),
            best.nodes,
            best.backend,
        ),
    )


def _measure_peer(name: str, query: Query) -> Measurement:
    booster, peer = _booster(query.model), PEERS[name]
    if not (query.integer or peer.categorical):
        return Measurement(name, "refused: categorical splits")
    question = Question(booster, query.K, query.integer, query.free, query.reference, query.seconds)
    try:
        answer = peer.ask(question)
    except Exception as error:  # as above
        return Measurement(name, _reason(error))
    if answer.z is None or answer.claimed is None:
        return Measurement(name, answer.status)
    seconds = answer.build_seconds + answer.solve_seconds
    solution = Solution(
        seconds,
        answer.build_seconds,
        answer.prepare_seconds + seconds,
        answer.claimed,
        answer.bound,
        _predicted(booster, answer.z),
    )
    return Measurement(name, answer.status, solution)


def read(booster: lightgbm.Booster, K: int, integer: bool) -> TreeEnsemble:
    """The model as the optimiser takes it."""
    feature = Integer(0, K - 1) if integer else Categorical(K)
    return TreeEnsemble.from_lightgbm(booster, features=[feature] * booster.num_feature())


def repeated(task: Callable[[], T]) -> tuple[T, float]:
    """What a task returned last, and its mean wall-clock seconds over enough repeats."""
    began = perf_counter()
    result = task()
    once = perf_counter() - began
    if once >= ENOUGH_SECONDS:
        return result, once
    repeats = int(ENOUGH_SECONDS / once) + 1
    began = perf_counter()
    for _ in range(repeats):
        result = task()
    return result, (perf_counter() - began) / repeats


def markdown(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def figure(value: float) -> str:
    """A number of three significant digits."""
    return f"{value:.3g}"


def shortened(status: str) -> str:
    """A status that fits a table's cell."""
    return status if len(status) <= 60 else f"{status[:57]}..."


def as_record(measurement: Measurement, **where: object) -> dict[str, object]:
    """JSON values: what was asked, and the answer."""
    found = asdict(measurement.solution) if measurement.solution else {}
    return {**where, "method": measurement.method, "status": measurement.status, **found}


def versions() -> dict[str, str]:
    """Of every package that is involved and installed."""
    names = {"lightgbm", "highspy", "pyomo", "ortools", "pyscipopt", "pytoulbar2", "numba", "numpy"}
    names.update(package for peer in PEERS.values() for package in peer.packages)
    found = {}
    for name in sorted(names):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


@cache
def _booster(model: Path) -> lightgbm.Booster:
    return lightgbm.Booster(model_file=str(model))


def _predicted(booster: lightgbm.Booster, z: NDArray[Any]) -> float:
    return float(booster.predict(z[None].astype(np.float64), num_threads=1)[0])


def _reason(error: Exception) -> str:
    if isinstance(error, ImportError):
        return f"not installed: {error.name}"
    return f"failed: {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
