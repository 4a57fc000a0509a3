"""One cache of trained networks for all benchmarks that are run here."""

from tiny_runs import cache

__all__ = ["cache"]
