"""Exact maximisation of fitted tree ensembles over categorical cells, usable without images."""

from solvers.trees.backends.contract import Backend, BackendResult, Limits
from solvers.trees.ensemble import TreeEnsemble
from solvers.trees.maximize import Maximum, maximize, replay

__all__ = [
    "Backend",
    "BackendResult",
    "Limits",
    "Maximum",
    "TreeEnsemble",
    "maximize",
    "replay",
]
