"""Exact maximisation of fitted tree ensembles over categorical cells, usable without images."""

from solvers.trees.backends.contract import UNLIMITED, Backend, BackendResult, Limits
from solvers.trees.ensemble import TreeEnsemble
from solvers.trees.maximize import Maximum, maximize, replay

__all__ = [
    "UNLIMITED",
    "Backend",
    "BackendResult",
    "Limits",
    "Maximum",
    "TreeEnsemble",
    "maximize",
    "replay",
]
