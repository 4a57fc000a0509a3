"""Exact optimisation of fitted tree ensembles over mixed features, usable without images."""

from solvers.trees.backends.contract import (
    UNLIMITED,
    Backend,
    BackendResult,
    InfeasibleError,
    Limits,
    Task,
    UnsupportedError,
)
from solvers.trees.certificate_checker import CheckedCertificate, check_certificate
from solvers.trees.constraints import Constraint, Equal, Forbidden, HammingBall, Linear
from solvers.trees.ensemble import TreeEnsemble
from solvers.trees.features import Categorical, Continuous, Feature, Integer
from solvers.trees.maximize import Optimum, Solution, maximize, minimize, replay
from solvers.trees.terms import DistanceTerm, LinearTerm, PairTerm, Term

__all__ = [
    "UNLIMITED",
    "Backend",
    "BackendResult",
    "Categorical",
    "CheckedCertificate",
    "Constraint",
    "Continuous",
    "DistanceTerm",
    "Equal",
    "Feature",
    "Forbidden",
    "HammingBall",
    "InfeasibleError",
    "Integer",
    "Limits",
    "Linear",
    "LinearTerm",
    "Optimum",
    "PairTerm",
    "Solution",
    "Task",
    "Term",
    "TreeEnsemble",
    "UnsupportedError",
    "check_certificate",
    "maximize",
    "minimize",
    "replay",
]
