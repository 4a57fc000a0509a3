"""Retrainers: what happens to the generator between rounds of queries; one file each."""

from pipeline.retraining.none import NoRetraining
from pipeline.retraining.weighted import WeightedRetraining

__all__ = ["NoRetraining", "WeightedRetraining"]
