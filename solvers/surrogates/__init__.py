"""Cheap models of the score over latents.

Those of trees are imported when they are first asked for, since each needs a heavy library.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from solvers.surrogates.forests import ExtraTrees, RandomForest
    from solvers.surrogates.grid_boosting import GridBoosting
    from solvers.surrogates.lightgbm import LightGBM
    from solvers.surrogates.xgboost import XGBoost

__all__ = ["ExtraTrees", "GridBoosting", "LightGBM", "RandomForest", "XGBoost"]

_MODULES = {
    "ExtraTrees": "forests",
    "GridBoosting": "grid_boosting",
    "LightGBM": "lightgbm",
    "RandomForest": "forests",
    "XGBoost": "xgboost",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
