"""Other packages that optimise over a fitted LightGBM model, each in its own encoding.

    pip install -e . entmoot==2.1.1 omlt==1.2.2 onnxmltools skl2onnx pyscipopt-ml \
        gurobi-machinelearning scikit-learn

in an environment of its own: ENTMOOT 2.1.1 asks for LightGBM 4.6 and Pyomo 6.9, which are older
than what constraints.txt pins and within what pyproject.toml allows.

Every peer sees the whole model with all cells but the free ones fixed to the reference, one
thread, a gap of 0 and the tolerances of our own HiGHS backend.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from time import perf_counter
from typing import Any

import lightgbm
import numpy as np
from numpy.typing import NDArray

OPTIMAL = "optimal"
LIMIT = "limit"
LICENCE = "refused: licence size"

HIGHS = {
    "output_flag": False,
    "threads": 1,
    "mip_abs_gap": 0.0,
    "mip_feasibility_tolerance": 1e-9,
    "primal_feasibility_tolerance": 1e-9,
}
# How far above a threshold the right side of a split begins, for the packages that can be told:
# thresholds lie at halves or, but for rounding, at whole numbers, so codes lose nothing by it.
STRICT = 0.25
# Gurobi's code of "Model too large for size-limited license".
_SIZE_LIMIT_EXCEEDED = 10010


@dataclass(frozen=True, eq=False)
class Question:
    """One query to a peer.

    Attributes:
        booster: the fitted model.
        K: codes of every cell are 0..K-1.
        integer: whether cells are integer features rather than categorical ones.
        free: (t,) int64 cells that may change.
        reference: (cells,) int64 codes.
        seconds: time limit of the solve.
    """

    booster: lightgbm.Booster
    K: int
    integer: bool
    free: NDArray[np.int64]
    reference: NDArray[np.int64]
    seconds: float

    @property
    def fixed(self) -> list[int]:
        """The other cells."""
        return sorted(set(range(len(self.reference))) - set(self.free.tolist()))


@dataclass(frozen=True, eq=False)
class Answer:
    """What a peer claims, and what it took.

    Attributes:
        prepare_seconds: what need be done once a fit only, such as converting the model.
        build_seconds: until the solver has the model of this query.
        solve_seconds: within the solver.
        claimed: the highest prediction by the peer's account; None without a solution.
        bound: no prediction is higher, by the peer's account; inf without one.
        status: `OPTIMAL`, `LIMIT`, or "refused: ..." with the reason.
        z: (cells,) int64 codes; None without a solution.
    """

    prepare_seconds: float
    build_seconds: float
    solve_seconds: float
    claimed: float | None
    bound: float
    status: str
    z: NDArray[np.int64] | None


@dataclass(frozen=True)
class Peer:
    """One package.

    Attributes:
        ask: solves one question; raises ImportError where the package is missing.
        packages: whose versions the result depends on, besides LightGBM.
        categorical: whether it takes categorical splits.
    """

    ask: Callable[[Question], Answer]
    packages: tuple[str, ...]
    categorical: bool


def entmoot(question: Question) -> Answer:
    """ENTMOOT's mean model in its Pyomo encoding (Mistry et al. 2021, INFORMS J. Computing 33).

    Its uncertainty model is left out, and the direction turned: what remains maximises the trees.
    Of integer features it rounds thresholds to 5 decimals, and both sides of a split include the
    threshold: LightGBM may then score its point lower than it claims.
    """
    import pyomo.environ as pyo
    from entmoot import ProblemConfig
    from entmoot.models.mean_models.tree_ensemble import TreeEnsemble

    began = perf_counter()
    config = ProblemConfig(rnd_seed=0)
    for cell in range(len(question.reference)):
        if question.integer:
            config.add_feature("integer", (0, question.K - 1), name=f"cell{cell}")
        else:
            codes = tuple(str(code) for code in range(question.K))
            config.add_feature("categorical", codes, name=f"cell{cell}")
    config.add_min_objective(name="score")
    trees = TreeEnsemble(config)
    # ENTMOOT only takes models that it fitted itself.
    trees._tree_dict = {"score": question.booster}
    model = config.get_pyomo_model_core()
    trees.add_to_pyomo_model(model, add_mu_var=True)
    for cell in question.fixed:
        code = int(question.reference[cell])
        if question.integer:
            model._all_feat[cell].fix(code)
        else:
            for other in range(question.K):
                model._all_feat[cell][other].fix(int(other == code))
    model.objective = pyo.Objective(expr=model._unscaled_mu["score"], sense=pyo.maximize)

    def codes_found() -> NDArray[np.int64]:
        z = question.reference.copy()
        for cell in question.free.tolist():
            feature = model._all_feat[cell]
            if question.integer:
                z[cell] = round(pyo.value(feature))
            else:
                z[cell] = np.argmax([pyo.value(feature[code]) for code in range(question.K)])
        return z

    return _by_pyomo_and_highs(model, codes_found, question.seconds, 0.0, began)


def omlt(question: Question) -> Answer:
    """OMLT's big-M formulation of the trees, which reads them as ONNX."""
    import pyomo.environ as pyo
    from omlt import OmltBlock
    from omlt.gbt import GBTBigMFormulation, GradientBoostedTreeModel
    from onnxmltools.convert.lightgbm.convert import convert
    from skl2onnx.common.data_types import FloatTensorType

    began = perf_counter()
    cells = len(question.reference)
    onnx = convert(question.booster, "trees", [("cells", FloatTensorType([None, cells]))])
    prepared = perf_counter()
    bounds = dict.fromkeys(range(cells), (0, question.K - 1))
    model = pyo.ConcreteModel()
    model.trees = OmltBlock()
    model.trees.build_formulation(
        GBTBigMFormulation(GradientBoostedTreeModel(onnx, scaled_input_bounds=bounds))
    )
    for cell in question.fixed:
        model.trees.inputs[cell].fix(int(question.reference[cell]))
    model.objective = pyo.Objective(expr=model.trees.outputs[0], sense=pyo.maximize)
    attributes = {attribute.name: attribute for attribute in onnx.graph.node[0].attribute}
    features = np.array(attributes["nodes_featureids"].ints)
    values = np.array(attributes["nodes_values"].floats)
    is_split = np.array(attributes["nodes_modes"].strings) == b"BRANCH_LEQ"

    def codes_found() -> NDArray[np.int64]:
        # Inputs are real and both sides of a split include the threshold: only the split's own
        # variable (1 if at most the threshold) tells which side is meant.
        z = question.reference.copy()
        for cell in question.free.tolist():
            thresholds = np.unique(values[is_split & (features == cell)])
            exceeded = [
                threshold
                for index, threshold in enumerate(thresholds)
                if pyo.value(model.trees.y[cell, index]) < 0.5
            ]
            z[cell] = np.floor(max(exceeded)) + 1 if exceeded else 0
        return z

    return _by_pyomo_and_highs(model, codes_found, question.seconds, prepared - began, prepared)


def pyscipopt_ml(question: Question) -> Answer:
    """PySCIPOpt-ML, which solves by SCIP."""
    from pyscipopt import Model
    from pyscipopt_ml import add_predictor_constr

    began = perf_counter()
    model = Model()
    model.hideOutput()
    model.setParam("limits/time", question.seconds)
    model.setParam("parallel/maxnthreads", 1)
    lower, upper = _bounds(question)
    cells = range(len(question.reference))
    inputs = np.array(
        [[model.addVar(vtype="I", lb=lower[cell], ub=upper[cell]) for cell in cells]], dtype=object
    )
    output = np.array([[model.addVar(vtype="C", lb=None, ub=None)]], dtype=object)
    regressor = _as_regressor(question.booster)
    add_predictor_constr(model, regressor, inputs, output, epsilon=STRICT)
    model.setObjective(output[0, 0], "maximize")
    built = perf_counter()
    model.optimize()
    solved = perf_counter()
    found = model.getNSols() > 0
    return Answer(
        0.0,
        built - began,
        solved - built,
        model.getObjVal() if found else None,
        model.getDualbound(),
        OPTIMAL if model.getStatus() == "optimal" else LIMIT,
        np.array([round(model.getVal(inputs[0, cell])) for cell in cells]) if found else None,
    )


def gurobi_ml(question: Question) -> Answer:
    """Gurobi Machine Learning; the licence that pip installs takes 2,000 variables and rows."""
    import gurobipy
    from gurobi_ml.lightgbm import add_lgbm_booster_constr

    began = perf_counter()
    lower, upper = _bounds(question)
    try:
        with gurobipy.Env(params={"OutputFlag": 0}) as env, gurobipy.Model(env=env) as model:
            model.Params.Threads = 1
            model.Params.TimeLimit = question.seconds
            model.Params.MIPGap = 0.0
            shape = (1, len(question.reference))
            inputs = model.addMVar(shape, lb=lower[None], ub=upper[None], vtype="I")
            output = model.addMVar((1, 1), lb=-gurobipy.GRB.INFINITY)
            add_lgbm_booster_constr(model, question.booster, inputs, output, epsilon=STRICT)
            model.setObjective(output.sum(), gurobipy.GRB.MAXIMIZE)
            model.update()
            built = perf_counter()
            model.optimize()
            found = model.SolCount > 0
            return Answer(
                0.0,
                built - began,
                perf_counter() - built,
                model.ObjVal if found else None,
                model.ObjBound,
                OPTIMAL if model.Status == gurobipy.GRB.OPTIMAL else LIMIT,
                np.rint(inputs.X[0]).astype(np.int64) if found else None,
            )
    except gurobipy.GurobiError as error:
        if error.errno != _SIZE_LIMIT_EXCEEDED:
            raise
        return Answer(0.0, perf_counter() - began, 0.0, None, inf, LICENCE, None)


PEERS: dict[str, Peer] = {
    "entmoot": Peer(entmoot, ("entmoot", "pyomo", "highspy"), categorical=True),
    "omlt": Peer(omlt, ("omlt", "onnxmltools", "pyomo", "highspy"), categorical=False),
    "pyscipopt-ml": Peer(pyscipopt_ml, ("pyscipopt-ml", "pyscipopt"), categorical=False),
    "gurobi-ml": Peer(gurobi_ml, ("gurobi-machinelearning", "gurobipy"), categorical=False),
}


def _by_pyomo_and_highs(
    model: Any,
    codes_found: Callable[[], NDArray[np.int64]],
    seconds: float,
    prepare_seconds: float,
    began: float,
) -> Answer:
    """Solve a Pyomo model; `began` is when its building did."""
    from pyomo.contrib.appsi.base import TerminationCondition
    from pyomo.contrib.appsi.solvers.highs import Highs

    solver = Highs()
    solver.config.time_limit = seconds
    solver.config.load_solution = False
    solver.config.mip_gap = 0.0
    solver.highs_options = HIGHS
    solver.set_instance(model)
    built = perf_counter()
    result = solver.solve(model)
    solved = perf_counter()
    claimed = result.best_feasible_objective
    if claimed is not None:
        result.solution_loader.load_vars()
    bound = result.best_objective_bound
    optimal = result.termination_condition == TerminationCondition.optimal
    return Answer(
        prepare_seconds,
        built - began,
        solved - built,
        claimed,
        inf if bound is None else bound,
        OPTIMAL if optimal else LIMIT,
        None if claimed is None else codes_found(),
    )


def _bounds(question: Question) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(cells,) lowest and highest code of each cell; those of fixed cells are equal."""
    lower, upper = question.reference.copy(), question.reference.copy()
    lower[question.free], upper[question.free] = 0, question.K - 1
    return lower, upper


def _as_regressor(booster: lightgbm.Booster) -> lightgbm.LGBMRegressor:
    """A fitted scikit-learn wrapper of a booster, which is all that PySCIPOpt-ML takes."""
    regressor = lightgbm.LGBMRegressor(n_estimators=booster.num_trees())
    regressor._Booster = booster
    regressor._n_features = booster.num_feature()
    regressor._objective = "regression"
    regressor._best_iteration = 0
    regressor.fitted_ = True
    return regressor
