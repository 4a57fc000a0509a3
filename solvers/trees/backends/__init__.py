"""The engines that can solve a reduced ensemble, by name, imported when first used."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from importlib import import_module

from solvers.trees.backends.contract import Backend
from vqlso.errors import MissingExtraError, SolverError


@dataclass(frozen=True)
class BackendEntry:
    """One line of the registry.

    Attributes:
        module, attribute: where the backend's class is.
        description: what it is, in one line.
        install: the command that installs the package it needs.
    """

    module: str
    attribute: str
    description: str
    install: str

    def load(self) -> Backend:
        """The backend with its default settings.

        Raises:
            MissingExtraError: its package is not installed.
        """
        try:
            backend: Backend = getattr(import_module(self.module), self.attribute)()
        except ImportError as error:
            raise MissingExtraError(
                f"{self.attribute} needs the package '{error.name}': {self.install}"
            ) from error
        return backend


BACKENDS: dict[str, BackendEntry] = {
    "auto": BackendEntry(
        "solvers.trees.backends.auto",
        "AutoBackend",
        "tables where leaves touch at most three free features; else highs, or if that takes long",
        "pip install numba highspy",
    ),
    "tables": BackendEntry(
        "solvers.trees.backends.tables",
        "TablesBackend",
        "our own branch and bound, for leaves that touch at most three free features; else highs",
        "pip install numba",
    ),
    "highs": BackendEntry(
        "solvers.trees.backends.highs",
        "HighsBackend",
        "HiGHS through its own interface, the leaf formulation as one sparse matrix",
        "pip install highspy",
    ),
    "pyomo": BackendEntry(
        "solvers.trees.backends.pyomo",
        "PyomoBackend",
        "the leaf formulation as a readable Pyomo model, solved by HiGHS or any Pyomo solver",
        "pip install pyomo highspy",
    ),
    "cpsat": BackendEntry(
        "solvers.trees.backends.cpsat",
        "CpSatBackend",
        "CP-SAT of OR-Tools, the leaf formulation in clauses, in a process of its own",
        "pip install ortools",
    ),
    "greedy": BackendEntry(
        "solvers.trees.backends.greedy",
        "GreedyBackend",
        "coordinate ascent from several starts: fast, and proves nothing",
        "pip install numpy",
    ),
    "scip": BackendEntry(
        "solvers.trees.backends.scip",
        "ScipBackend",
        "SCIP through PySCIPOpt, the leaf formulation row by row",
        "pip install pyscipopt",
    ),
    "toulbar2": BackendEntry(
        "solvers.trees.backends.toulbar2",
        "Toulbar2Backend",
        "toulbar2, a network of cost tables over at most three features each",
        "pip install pytoulbar2",
    ),
    "enumeration": BackendEntry(
        "solvers.trees.backends.enumeration",
        "EnumerationBackend",
        "every combination of labels in turn: the oracle for small instances",
        "pip install numpy",
    ),
}


def backend(name: str) -> Backend:
    """The backend of this name.

    Raises:
        SolverError: no backend has this name.
        MissingExtraError: the package it needs is not installed.
    """
    if name not in BACKENDS:
        near = get_close_matches(name, BACKENDS, n=1)
        hint = f" Did you mean '{near[0]}'?" if near else ""
        raise SolverError(
            f"There is no backend '{name}'; the known ones are {', '.join(sorted(BACKENDS))}.{hint}"
        )
    return BACKENDS[name].load()
