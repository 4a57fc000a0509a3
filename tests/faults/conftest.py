"""One cache of trained networks for all runs of this folder."""

from tiny_runs import cache

__all__ = ["cache"]
