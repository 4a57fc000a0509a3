"""One import in a process that has imported nothing else: seconds and peak memory as JSON."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from time import perf_counter, process_time

from benchmarks.resident import mebibytes
from vqlso.generators.import_gan import import_gan


def main() -> None:
    """Import the first argument's file into the second's."""
    source, destination = map(Path, sys.argv[1:])
    began, worked = perf_counter(), process_time()
    import_gan(source, destination)
    seconds, cpu_seconds = perf_counter() - began, process_time() - worked
    measured = {"seconds": seconds, "cpu_seconds": cpu_seconds, "peak_mib": mebibytes("VmHWM")}
    print(json.dumps(measured))


if __name__ == "__main__":
    main()
