"""One cache of trained networks and one finished run for all tests of interrupted runs."""

from tiny_runs import cache, finished

__all__ = ["cache", "finished"]
