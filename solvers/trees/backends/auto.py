"""The fastest exact engine that can express the instance."""

from __future__ import annotations

from dataclasses import replace

from solvers.trees.backends.contract import BackendResult, Task, UnsupportedError
from solvers.trees.backends.tables import TablesBackend


class AutoBackend:
    """`tables` where leaves depend on few enough free cells and terms allow it, else `highs`.

    Measured by `benchmarks/trees`: where `tables` applies it is faster at every size.
    """

    def solve(self, task: Task) -> BackendResult:
        """See `Backend.solve`."""
        try:
            return replace(TablesBackend(fallback=False).solve(task), solved_by="tables")
        except UnsupportedError:
            from solvers.trees.backends.highs import HighsBackend

            return replace(HighsBackend().solve(task), solved_by="highs")
