"""Memory of this process, as Linux tells it."""

from __future__ import annotations

from pathlib import Path


def mebibytes(key: str) -> float:
    """MiB of resident memory, now ("VmRSS") or at most so far ("VmHWM")."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    line = next(line for line in lines if line.startswith(key))
    return int(line.split()[1]) / 1024
