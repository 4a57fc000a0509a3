"""What can be plugged in: one table a role, read by the experiments and by `vqlso list`."""

from pipeline.parts.generators import GENERATORS
from pipeline.parts.retrainers import RETRAINERS, build_retrainer
from pipeline.parts.solvers import SOLVERS, build_solver, misfit
from pipeline.parts.surrogates import SURROGATES, build_surrogate

__all__ = [
    "GENERATORS",
    "RETRAINERS",
    "SOLVERS",
    "SURROGATES",
    "build_retrainer",
    "build_solver",
    "build_surrogate",
    "misfit",
]
