"""One cache of trained networks and one finished study for all sweeps."""

from swept_studies import copied, finished_study, place, swept
from tiny_runs import cache

__all__ = ["cache", "copied", "finished_study", "place", "swept"]
