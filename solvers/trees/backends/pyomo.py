"""The leaf formulation in the words of the paper, as a Pyomo model that any of its solvers takes.

Sets and constraints follow problem (2) of V. V. Mišić, Optimization of Tree Ensembles, Operations
Research 68(5), 2020. To read an instance: `leaf_model(reduced).pprint()`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from time import perf_counter
from typing import Any

import numpy as np
import pyomo.environ as pyo
from numpy.typing import NDArray
from pyomo.opt import TerminationCondition

from solvers.trees.backends.contract import InfeasibleError, Limits, UnsupportedError
from solvers.trees.backends.highs import EXACT, limit_options
from solvers.trees.backends.pyomo_sides import add_sides
from solvers.trees.backends.reduced import LabelResult, ReducedBackend
from solvers.trees.reduced import LabelSet, ReducedEnsemble
from vqlso.errors import SolverError
from vqlso.records import SolveStatus

_STATUS = {
    TerminationCondition.optimal: SolveStatus.OPTIMAL,
    TerminationCondition.maxTimeLimit: SolveStatus.FEASIBLE,
    TerminationCondition.maxIterations: SolveStatus.FEASIBLE,  # the node limit of appsi_highs
}


def leaf_model(reduced: ReducedEnsemble) -> pyo.ConcreteModel:
    """The formulation with variables x[cell, label] and y[tree, leaf]."""
    trees = dict(enumerate(reduced.trees))
    model = pyo.ConcreteModel("Leaf formulation")
    model.cells = pyo.RangeSet(0, len(reduced.unary) - 1)
    model.labels = pyo.Set(
        dimen=2,
        initialize=[(i, j) for i, unary in enumerate(reduced.unary) for j in range(len(unary))],
    )
    model.trees = pyo.Set(initialize=list(trees))
    model.leaves = pyo.Set(
        dimen=2, initialize=[(t, leaf) for t in trees for leaf in range(len(trees[t].values))]
    )
    model.splits = pyo.Set(
        dimen=2, initialize=[(t, s) for t in trees for s in range(len(trees[t].splits))]
    )
    model.x = pyo.Var(model.labels, domain=pyo.Binary)
    model.y = pyo.Var(model.leaves, domain=pyo.NonNegativeReals)

    def chosen(labels: LabelSet) -> Any:
        members = np.flatnonzero(reduced.members(labels)).tolist()
        return pyo.quicksum(model.x[labels.cell, j] for j in members)

    def active(t: int, leaves: Iterable[int]) -> Any:
        return pyo.quicksum(model.y[t, leaf] for leaf in leaves)

    def prediction(model: Any) -> Any:
        return (
            reduced.constant
            + pyo.quicksum(float(reduced.unary[i][j]) * model.x[i, j] for i, j in model.labels)
            + pyo.quicksum(trees[t].values[leaf] * model.y[t, leaf] for t, leaf in model.leaves)
        )

    def one_label(_: Any, i: int) -> Any:
        return pyo.quicksum(model.x[i, j] for j in range(len(reduced.unary[i]))) == 1

    def one_leaf(_: Any, t: int) -> Any:
        return active(t, range(len(trees[t].values))) == chosen(trees[t].domain)

    def left(_: Any, t: int, s: int) -> Any:
        split = trees[t].splits[s]
        if split.first == split.middle:
            return pyo.Constraint.Skip
        return active(t, range(split.first, split.middle)) <= chosen(split.left)

    def right(_: Any, t: int, s: int) -> Any:
        split = trees[t].splits[s]
        if split.middle == split.end:
            return pyo.Constraint.Skip
        return active(t, range(split.middle, split.end)) <= chosen(split.right)

    model.one_label = pyo.Constraint(
        model.cells, rule=one_label, doc="each free cell has one label (2e)"
    )
    model.one_leaf = pyo.Constraint(
        model.trees, rule=one_leaf, doc="one leaf of each tree is active within its domain (2b)"
    )
    model.left = pyo.Constraint(
        model.splits, rule=left, doc="leaves left of a split need a label of its left set (2c)"
    )
    model.right = pyo.Constraint(
        model.splits, rule=right, doc="leaves right of a split need a label of its right set (2d)"
    )
    added = add_sides(model, reduced)
    model.objective = pyo.Objective(expr=prediction(model) + added, sense=pyo.maximize)
    return model


class PyomoBackend(ReducedBackend):
    """Any solver that Pyomo knows.

    Args:
        solver: Pyomo's name of it.
        options: of the solver. By default those that make `appsi_highs` exact; another solver
            has names of its own, and its gaps must be set to 0 here.
    """

    def __init__(
        self, solver: str = "appsi_highs", options: Mapping[str, int | float | str] | None = None
    ) -> None:
        if options is None and solver != "appsi_highs":
            raise SolverError(
                f"State the options that make Pyomo's solver '{solver}' exact, such as a relative "
                "gap of 0; only those of 'appsi_highs' are known."
            )
        self.solver = solver
        self.options: Mapping[str, int | float | str] = EXACT if options is None else options

    def maximise(
        self, reduced: ReducedEnsemble, limits: Limits, start: NDArray[np.int64] | None
    ) -> LabelResult:
        """See `ReducedBackend.maximise`; Pyomo tells no number of nodes and takes no start."""
        del start
        began = perf_counter()
        model = leaf_model(reduced)
        build_seconds = perf_counter() - began
        results = self._engine().solve(
            model, load_solutions=False, options=dict(self.options) | self._limits(limits)
        )
        condition = results.solver.termination_condition
        if condition == TerminationCondition.infeasible:
            raise InfeasibleError("No choice of labels satisfies the constraints.")
        status = _STATUS.get(condition)
        if status is None:
            raise SolverError(
                f"Pyomo's solver '{self.solver}' ended with '{condition}'; solve the instance "
                "with another backend."
            )
        labels, value = None, -np.inf
        if len(results.solution):
            model.solutions.load_from(results)
            labels, value = _labels(model, reduced), float(pyo.value(model.objective))
        return LabelResult(
            labels=labels,
            value=value,
            bound=float(results.problem.upper_bound),
            status=status,
            nodes=None,
            build_seconds=build_seconds,
            sizes={
                "columns": sum(len(part) for part in model.component_objects(pyo.Var)),
                "integers": len(model.x),
                "rows": sum(len(rows) for rows in model.component_objects(pyo.Constraint)),
            },
            numbers={} if labels is None else {i: model.number[i].value for i in model.number},
        )

    def _engine(self) -> Any:
        engine = pyo.SolverFactory(self.solver)
        if not engine.available(exception_flag=False):
            raise SolverError(
                f"Pyomo cannot start the solver '{self.solver}': install it, or use 'appsi_highs'."
            )
        return engine

    def _limits(self, limits: Limits) -> dict[str, int | float]:
        if limits.megabytes is not None:
            raise UnsupportedError(
                "Pyomo has no common way to limit memory: use the backend 'highs' or 'tables'."
            )
        options = limit_options(limits)
        if options and self.solver != "appsi_highs":
            raise UnsupportedError(
                f"Limits are passed on to 'appsi_highs' only; state those of '{self.solver}' in "
                "its options."
            )
        return options


def _labels(model: pyo.ConcreteModel, reduced: ReducedEnsemble) -> NDArray[np.int64]:
    chosen = [
        int(np.argmax([model.x[cell, label].value for label in range(n)]))
        for cell, n in enumerate(reduced.n_labels)
    ]
    return np.array(chosen, dtype=np.int64)
