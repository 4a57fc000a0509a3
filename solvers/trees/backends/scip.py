"""SCIP through PySCIPOpt: the leaf formulation, row by row."""

from __future__ import annotations

from itertools import pairwise
from time import perf_counter

import numpy as np
from numpy.typing import NDArray
from pyscipopt import Model, Variable, quicksum

from solvers.trees.backends.contract import InfeasibleError, Limits
from solvers.trees.backends.reduced import LabelResult, ReducedBackend
from solvers.trees.formulation import LeafFormulation
from solvers.trees.programme import Programme
from solvers.trees.reduced import ReducedEnsemble
from vqlso.errors import SolverError
from vqlso.records import SolveStatus

# One thread, no gap, and rows that hold to 1e-9: with the default of 1e-6 each, hundreds of trees
# add up to a visible error. No probing before the search: with it SCIP 10.0 called a point optimal
# that was not for 7 of 4,000 small instances with terms and constraints, without it for none.
EXACT: dict[str, int | float] = {
    "lp/threads": 1,
    "limits/gap": 0.0,
    "limits/absgap": 0.0,
    "numerics/feastol": 1e-9,
    "numerics/dualfeastol": 1e-9,
    "propagating/probing/maxprerounds": 0,
}

_STATUS = {
    "optimal": SolveStatus.OPTIMAL,
    "nodelimit": SolveStatus.FEASIBLE,
    "totalnodelimit": SolveStatus.FEASIBLE,
    "timelimit": SolveStatus.FEASIBLE,
    "memlimit": SolveStatus.FEASIBLE,
    "userinterrupt": SolveStatus.FEASIBLE,
}


class ScipBackend(ReducedBackend):
    """Branch and cut by SCIP, deterministic on one thread. Megabytes are those SCIP counts."""

    def maximise(
        self, reduced: ReducedEnsemble, limits: Limits, start: NDArray[np.int64] | None
    ) -> LabelResult:
        """See `ReducedBackend.maximise`."""
        began = perf_counter()
        formulation = LeafFormulation.of(reduced)
        model = Model()
        model.hideOutput()
        model.setParams(EXACT | _limits(limits))
        columns = _state(model, formulation.programme)
        if start is not None:
            _suggest(model, columns, formulation.first_label, start)
        build_seconds = perf_counter() - began

        model.optimize()
        if model.getStatus() == "infeasible":
            raise InfeasibleError("No choice of labels satisfies the constraints.")
        status = _STATUS.get(model.getStatus())
        if status is None:
            raise SolverError(
                f"SCIP ended with '{model.getStatus()}'; solve the instance with another backend."
            )
        found = model.getNSols() > 0
        solution = np.array([model.getVal(column) for column in columns]) if found else np.empty(0)
        bound = model.getDualbound()
        return LabelResult(
            labels=formulation.labels(solution) if found else None,
            value=model.getObjVal() if found else -np.inf,
            bound=np.inf if model.isInfinity(bound) else bound,
            status=status,
            nodes=model.getNTotalNodes(),
            build_seconds=build_seconds,
            sizes=formulation.programme.sizes,
            numbers=formulation.number(solution) if found else {},
        )


def _limits(limits: Limits) -> dict[str, int | float]:
    parameters: dict[str, int | float] = {}
    if limits.nodes is not None:
        # Restarts begin another tree; its nodes count too.
        parameters["limits/totalnodes"] = limits.nodes
    if limits.seconds is not None:
        parameters["limits/time"] = limits.seconds
    if limits.megabytes is not None:
        parameters["limits/memory"] = limits.megabytes
    return parameters


def _state(model: Model, programme: Programme) -> list[Variable]:
    """Columns and rows of the programme; the columns."""
    columns = [
        model.addVar(vtype="I" if integer else "C", lb=lower, ub=upper, obj=objective)
        for integer, lower, upper, objective in zip(
            programme.is_integer.tolist(),
            programme.lower.tolist(),
            programme.upper.tolist(),
            programme.objective.tolist(),
            strict=True,
        )
    ]
    model.setMaximize()
    model.addObjoffset(programme.offset)
    number, coefficient = programme.column.tolist(), programme.coefficient.tolist()
    rows = zip(
        pairwise(programme.row_start.tolist()),
        programme.row_lower.tolist(),
        programme.row_upper.tolist(),
        strict=True,
    )
    for (first, end), lower, upper in rows:
        total = quicksum(coefficient[k] * columns[number[k]] for k in range(first, end))
        if lower == upper:
            model.addCons(total == lower)
        elif np.isfinite(lower) and np.isfinite(upper):
            model.addCons(lower <= (total <= upper))
        else:
            model.addCons(total <= upper if np.isfinite(upper) else total >= lower)
    return columns


def _suggest(
    model: Model, columns: list[Variable], first_label: NDArray[np.int64], start: NDArray[np.int64]
) -> None:
    """Start from these labels; SCIP finds out which leaves they activate."""
    suggestion = model.createPartialSol()
    labels = set((first_label[:-1] + start).tolist())
    for number in range(first_label[-1]):
        model.setSolVal(suggestion, columns[number], float(number in labels))
    model.addSol(suggestion)
