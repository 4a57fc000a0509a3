"""One cache of trained networks and one finished run for all end-to-end tests."""

from tiny_runs import cache, finished

__all__ = ["cache", "finished"]
