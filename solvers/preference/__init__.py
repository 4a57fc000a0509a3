"""Evolution by a person's picks (paper 001, sections III-D2 and V-D): HEVOL."""

from solvers.preference.evolution import PreferenceEvolution
from solvers.preference.variation import CodeVariation, Variation, VectorVariation

__all__ = ["CodeVariation", "PreferenceEvolution", "Variation", "VectorVariation"]
