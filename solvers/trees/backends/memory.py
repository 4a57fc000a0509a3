"""How much memory there is, and how much the process has taken since a point in time."""

from __future__ import annotations

import os
import resource
import sys
from pathlib import Path

_STATM = Path("/proc/self/statm")
_MEMINFO = Path("/proc/meminfo")
_MEGABYTE = 1 << 20


class MemoryMeter:
    """Measures from its construction on.

    Args:
        megabytes: how much more counts as exceeded.
    """

    def __init__(self, megabytes: float) -> None:
        self._most = _resident() + megabytes * _MEGABYTE

    def is_exceeded(self) -> bool:
        """Whether the process holds more than `megabytes` above what it held at the start."""
        return _resident() > self._most


def available_megabytes() -> float:
    """What programs can still take without swapping; outside Linux all memory of the machine."""
    if _MEMINFO.is_file():
        lines = dict(line.split(":", 1) for line in _MEMINFO.read_text().splitlines())
        return float(lines["MemAvailable"].split()[0]) / 1024
    return os.sysconf("SC_PHYS_PAGES") * resource.getpagesize() / _MEGABYTE


def _resident() -> float:
    """Bytes of resident memory; outside Linux the largest that there ever was."""
    if _STATM.is_file():
        return float(_STATM.read_text().split()[1]) * resource.getpagesize()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return float(peak if sys.platform == "darwin" else peak * 1024)
