"""A core that another process keeps busy."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

LOOP = """
import os, sys
os.sched_setaffinity(0, {int(sys.argv[1])})
print(flush=True)
while True:
    pass
"""


@contextmanager
def busy_core() -> Iterator[None]:
    """Keep the last core that this process may use busy while the context lasts (Linux only)."""
    core = max(os.sched_getaffinity(0))
    command = [sys.executable, "-c", LOOP, str(core)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            process.stdout.readline()
            yield
        finally:
            process.kill()
