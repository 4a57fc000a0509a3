"""HiGHS through highspy: the leaf formulation handed over as one sparse matrix."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from typing import Any

import highspy
import numpy as np
from numpy.typing import NDArray

from solvers.trees.backends.contract import InfeasibleError, Limits
from solvers.trees.backends.memory import MemoryMeter
from solvers.trees.backends.reduced import LabelResult, ReducedBackend
from solvers.trees.formulation import LeafFormulation
from solvers.trees.programme import Programme
from solvers.trees.reduced import ReducedEnsemble
from vqlso.errors import SolverError
from vqlso.records import SolveStatus

# HiGHS stops at a relative gap of 1e-4 by default, which is no proof. One thread: the instances
# are small, and the cores belong to the trainings.
EXACT: dict[str, int | float | str | bool] = {
    "output_flag": False,
    "threads": 1,
    "mip_rel_gap": 0.0,
    "mip_abs_gap": 0.0,
    # With the default of 1e-6 per row, hundreds of trees add up to a visible error.
    "mip_feasibility_tolerance": 1e-9,
    "primal_feasibility_tolerance": 1e-9,
    # HiGHS 1.15.1 drops a cell's row (2e) when presolve fixes all its labels but one (issue 3216):
    # points get lost, and worse ones are called optimal. Our own reduction leaves little to do.
    "presolve": "off",
}

_STATUS = {
    highspy.HighsModelStatus.kOptimal: SolveStatus.OPTIMAL,
    highspy.HighsModelStatus.kSolutionLimit: SolveStatus.FEASIBLE,  # includes the node limit
    highspy.HighsModelStatus.kTimeLimit: SolveStatus.FEASIBLE,
    highspy.HighsModelStatus.kInterrupt: SolveStatus.FEASIBLE,
}


def limit_options(limits: Limits) -> dict[str, int | float]:
    """The limits of nodes and time as options of HiGHS."""
    options: dict[str, int | float] = {}
    if limits.nodes is not None:
        options["mip_max_nodes"] = limits.nodes
    if limits.seconds is not None:
        options["time_limit"] = float(limits.seconds)
    return options


class HighsBackend(ReducedBackend):
    """Branch and cut by HiGHS, deterministic on one thread."""

    # Of 64 free cells most codes go, and with them nearly all of the time
    # (docs/tree-benchmarks.md).
    is_narrowed = True

    def maximise(
        self, reduced: ReducedEnsemble, limits: Limits, start: NDArray[np.int64] | None
    ) -> LabelResult:
        """See `ReducedBackend.maximise`."""
        began = perf_counter()
        formulation = LeafFormulation.of(reduced)
        highs = highspy.Highs()
        for option, setting in (EXACT | limit_options(limits)).items():
            highs.setOptionValue(option, setting)
        highs.passModel(_model(formulation.programme))
        if start is not None:
            columns = (formulation.first_label[:-1] + start).astype(np.int32)
            highs.setSolution(len(columns), columns, np.ones(len(columns)))
        if limits.megabytes is not None:
            highs.cbMipInterrupt += _interrupter(MemoryMeter(limits.megabytes))
        build_seconds = perf_counter() - began

        highs.run()
        if highs.getModelStatus() == highspy.HighsModelStatus.kInfeasible:
            raise InfeasibleError("No choice of labels satisfies the constraints.")
        status = _STATUS.get(highs.getModelStatus())
        if status is None:
            raise SolverError(
                f"HiGHS ended with '{highs.modelStatusToString(highs.getModelStatus())}'; solve "
                "the instance with another backend."
            )
        info = highs.getInfo()
        solution = np.array(highs.getSolution().col_value)
        found = info.primal_solution_status == highspy.SolutionStatus.kSolutionStatusFeasible
        return LabelResult(
            labels=formulation.labels(solution) if found else None,
            value=info.objective_function_value if found else -np.inf,
            bound=info.mip_dual_bound,
            status=status,
            nodes=max(0, info.mip_node_count),
            build_seconds=build_seconds,
            sizes=formulation.programme.sizes,
            numbers=formulation.number(solution) if found else {},
        )


def _interrupter(meter: MemoryMeter) -> Callable[[Any], None]:
    def check(event: Any) -> None:
        if meter.is_exceeded():
            event.interrupt()

    return check


def _model(programme: Programme) -> highspy.HighsLp:
    kinds = np.array([highspy.HighsVarType.kContinuous, highspy.HighsVarType.kInteger])
    lp = highspy.HighsLp()
    lp.sense_ = highspy.ObjSense.kMaximize
    lp.offset_ = programme.offset
    lp.num_col_ = len(programme.objective)
    lp.num_row_ = len(programme.row_lower)
    lp.col_cost_ = programme.objective
    lp.col_lower_ = programme.lower
    lp.col_upper_ = programme.upper
    lp.row_lower_ = programme.row_lower
    lp.row_upper_ = programme.row_upper
    lp.integrality_ = kinds[programme.is_integer.astype(int)].tolist()
    lp.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
    lp.a_matrix_.start_ = programme.row_start.astype(np.int32)
    lp.a_matrix_.index_ = programme.column.astype(np.int32)
    lp.a_matrix_.value_ = programme.coefficient
    return lp
