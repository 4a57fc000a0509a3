"""Solvers of an edit `Direction`: the vector that changes one attribute most."""

from solvers.directions.cma_es import DirectionCMAES
from solvers.directions.enjoy_editing import EnjoyEditing
from solvers.directions.finding import FindsDirection, FoundDirection, find_direction, start_from
from solvers.directions.from_samples import DirectionFromSamples
from solvers.directions.linear_fit import LinearFit
from solvers.directions.local_search import DirectionSearch
from solvers.directions.mean_difference import MeanDifference
from solvers.directions.svm_normal import SvmNormal

__all__ = [
    "DirectionCMAES",
    "DirectionFromSamples",
    "DirectionSearch",
    "EnjoyEditing",
    "FindsDirection",
    "FoundDirection",
    "LinearFit",
    "MeanDifference",
    "SvmNormal",
    "find_direction",
    "start_from",
]
