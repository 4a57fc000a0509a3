"""HiGHS through highspy: the leaf formulation handed over as one sparse matrix."""

from __future__ import annotations

from time import perf_counter

import highspy
import numpy as np

from solvers.trees.backends.contract import BackendResult, Limits
from solvers.trees.formulation import LeafFormulation
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
}

_STATUS = {
    highspy.HighsModelStatus.kOptimal: SolveStatus.OPTIMAL,
    highspy.HighsModelStatus.kSolutionLimit: SolveStatus.FEASIBLE,  # includes the node limit
    highspy.HighsModelStatus.kTimeLimit: SolveStatus.FEASIBLE,
    highspy.HighsModelStatus.kInterrupt: SolveStatus.FEASIBLE,
}


def limit_options(limits: Limits) -> dict[str, int | float]:
    """The limits as options of HiGHS."""
    options: dict[str, int | float] = {}
    if limits.nodes is not None:
        options["mip_max_nodes"] = limits.nodes
    if limits.seconds is not None:
        options["time_limit"] = float(limits.seconds)
    return options


class HighsBackend:
    """Branch and cut by HiGHS, deterministic on one thread."""

    def solve(self, reduced: ReducedEnsemble, limits: Limits) -> BackendResult:
        """See `Backend.solve`."""
        began = perf_counter()
        formulation = LeafFormulation.of(reduced)
        highs = highspy.Highs()
        for option, setting in (EXACT | limit_options(limits)).items():
            highs.setOptionValue(option, setting)
        highs.passModel(_model(formulation))
        build_seconds = perf_counter() - began

        highs.run()
        status = _STATUS.get(highs.getModelStatus())
        if status is None:
            raise SolverError(
                f"HiGHS ended with '{highs.modelStatusToString(highs.getModelStatus())}' on a "
                "formulation that always has a solution; solve the instance with another backend."
            )
        info = highs.getInfo()
        solution = highs.getSolution()
        found = info.primal_solution_status == highspy.SolutionStatus.kSolutionStatusFeasible
        return BackendResult(
            labels=formulation.labels(np.array(solution.col_value)) if found else None,
            value=info.objective_function_value if found else -np.inf,
            bound=info.mip_dual_bound,
            status=status,
            nodes=max(0, info.mip_node_count),
            build_seconds=build_seconds,
            sizes=formulation.sizes,
        )


def _model(formulation: LeafFormulation) -> highspy.HighsLp:
    columns = len(formulation.objective)
    lp = highspy.HighsLp()
    lp.sense_ = highspy.ObjSense.kMaximize
    lp.offset_ = formulation.offset
    lp.num_col_ = columns
    lp.num_row_ = len(formulation.row_lower)
    lp.col_cost_ = formulation.objective
    lp.col_lower_ = np.zeros(columns)
    lp.col_upper_ = np.ones(columns)
    lp.row_lower_ = formulation.row_lower
    lp.row_upper_ = formulation.row_upper
    lp.integrality_ = [highspy.HighsVarType.kInteger] * formulation.n_binary + [
        highspy.HighsVarType.kContinuous
    ] * (columns - formulation.n_binary)
    lp.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
    lp.a_matrix_.start_ = formulation.row_start.astype(np.int32)
    lp.a_matrix_.index_ = formulation.column.astype(np.int32)
    lp.a_matrix_.value_ = formulation.coefficient
    return lp
