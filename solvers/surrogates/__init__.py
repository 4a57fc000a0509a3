"""Cheap models of the score over code grids: `GridBoosting` and `LightGBM`.

They are imported when they are first asked for, since each needs a heavy library.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from solvers.surrogates.grid_boosting import GridBoosting
    from solvers.surrogates.lightgbm import LightGBM

__all__ = ["GridBoosting", "LightGBM"]


def __getattr__(name: str) -> Any:
    if name == "GridBoosting":
        from solvers.surrogates.grid_boosting import GridBoosting

        return GridBoosting
    if name == "LightGBM":
        from solvers.surrogates.lightgbm import LightGBM

        return LightGBM
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
