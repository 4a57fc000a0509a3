"""CP-SAT of OR-Tools: the leaf formulation in Booleans and clauses, counted in whole numbers.

CP-SAT runs in a process of its own. OR-Tools 9.15 and highspy 1.15 each bring a library named
libhighs.so.1, of different versions: whichever is imported second in a process fails with an
undefined symbol.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray
from ortools.sat.sat_parameters_pb2 import SatParameters

from solvers.trees.backends.contract import InfeasibleError, Limits, UnsupportedError
from solvers.trees.backends.cpsat_model import CpSatModel
from solvers.trees.backends.reduced import LabelResult, ReducedBackend
from solvers.trees.reduced import ReducedEnsemble
from vqlso.errors import SolverError
from vqlso.records import SolveStatus

_WORKER = Path(__file__).with_name("cpsat_worker.py")

_STATUS = {
    "OPTIMAL": SolveStatus.OPTIMAL,
    "FEASIBLE": SolveStatus.FEASIBLE,
    "UNKNOWN": SolveStatus.FEASIBLE,
}


class CpSatBackend(ReducedBackend):
    """Clause learning with linear relaxations, deterministic on one thread.

    A conflict counts as a node. Each solve takes about a tenth of a second for the new process.
    """

    def maximise(
        self, reduced: ReducedEnsemble, limits: Limits, start: NDArray[np.int64] | None
    ) -> LabelResult:
        """See `ReducedBackend.maximise`."""
        began = perf_counter()
        if limits.megabytes is not None:
            raise UnsupportedError(
                "CP-SAT does not keep to its limit of memory: leave it out, or use another backend."
            )
        model = CpSatModel(reduced)
        if start is not None:
            model.suggest(start)
        message = {
            "model": str(model.proto),
            "parameters": str(_parameters(limits)),
        }
        build_seconds = perf_counter() - began

        answer = _solved(message)
        if answer["status"] == "INFEASIBLE":
            raise InfeasibleError("No choice of labels satisfies the constraints.")
        status = _STATUS.get(answer["status"])
        if status is None:
            raise SolverError(
                f"CP-SAT ended with '{answer['status']}'; solve the instance with another backend."
            )
        labels = model.labels(answer["solution"]) if answer["solution"] else None
        value = -np.inf if labels is None else float(reduced.values(labels[None])[0])
        return LabelResult(
            labels=labels,
            value=value,
            bound=_bound(model, answer, value),
            status=status,
            nodes=answer["conflicts"],
            build_seconds=build_seconds,
            sizes=model.sizes,
        )


def _bound(model: CpSatModel, answer: dict[str, Any], value: float) -> float:
    # Stopped before it bounded anything, CP-SAT says 0, which is no bound.
    if answer["status"] != "OPTIMAL" and answer["bound"] == 0:
        return float(np.inf)
    return max(value, model.objective(answer["bound"]))


def _parameters(limits: Limits) -> SatParameters:
    # All constraints take part in the linear relaxation: without it nothing is proven in time.
    # Merging clauses into linear rows, which the last setting keeps from happening, loses optimal
    # points in OR-Tools 9.15 and calls what is left optimal (google/or-tools issue 5293).
    parameters = SatParameters(
        num_workers=1, random_seed=0, linearization_level=2, presolve_inclusion_work_limit=0
    )
    if limits.nodes is not None:
        parameters.max_number_of_conflicts = limits.nodes
    if limits.seconds is not None:
        parameters.max_time_in_seconds = limits.seconds
    return parameters


def _solved(message: dict[str, Any]) -> dict[str, Any]:
    # -P keeps this folder, where files are named after the solvers, off the worker's path.
    done = subprocess.run(
        [sys.executable, "-P", str(_WORKER)],
        input=json.dumps(message),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SolverError(
            f"CP-SAT's process ended with code {done.returncode}; solve the instance with another "
            f"backend. It wrote: {done.stderr.strip()[-500:]}"
        )
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer
