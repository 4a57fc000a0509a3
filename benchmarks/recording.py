"""Results of a benchmark as JSON: settings, machine, and every single measurement."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from benchmarks.paired import Case
from benchmarks.tables import tables
from vqlso.hardware import available_cores

RESULTS = Path(__file__).parent / "results"


@dataclass
class Recording:
    """A benchmark from its start to its file; use it as a context.

        with Recording("refit", "make bench-refit", packages=("lightgbm",)) as recording:
            recording.add(measure("5,000 rows", {"ours": ours, "LightGBM": theirs}))

    Every case is printed as it is added. Leaving the context writes the file, unless by an error.

    Attributes:
        name: of the benchmark and its file.
        command: what a person types to measure the same.
        settings: what was asked; JSON values.
        packages: whose versions matter; those that are missing are left out.
        folder: where the file goes.
        cases: measured so far.
        extra: anything else that its section of the page shows; JSON values.
    """

    name: str
    command: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    packages: Sequence[str] = ()
    folder: Path = RESULTS
    cases: list[Case] = field(default_factory=list)
    extra: dict[str, Any] = field(default_factory=dict)

    def __enter__(self) -> Self:
        self._load = os.getloadavg()
        return self

    def add(self, case: Case) -> None:
        """Keep a case, and show it."""
        self.cases.append(case)
        print(tables([case]), flush=True)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            path = write_result(self.name, self.record(), self.folder)
            print(f"{tables(self.cases)}\nWritten to {path}; `make performance-page` shows it.")

    def record(self) -> dict[str, Any]:
        """What is written."""
        return {
            "command": self.command,
            "date": date.today().isoformat(),
            "machine": machine(self.packages),
            "load": {"before": self._load, "after": os.getloadavg()},
            "settings": dict(self.settings),
            "cases": [asdict(case) for case in self.cases],
            **self.extra,
        }


def machine(packages: Sequence[str] = ()) -> dict[str, Any]:
    """Processor, cores this process may use, memory in GiB, system, Python and packages."""
    return {
        "cpu": _processor(),
        "cores": available_cores(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "system": platform.system(),
        "python": platform.python_version(),
        "packages": _versions(packages),
    }


def write_result(name: str, record: Mapping[str, Any], folder: Path = RESULTS) -> Path:
    """Write one benchmark's record, in place of an older one."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.json"
    path.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    return path


def read_results(folder: Path = RESULTS) -> dict[str, dict[str, Any]]:
    """All records by name; their cases as `Case`."""
    found = {}
    for path in sorted(folder.glob("*.json")):
        record = json.loads(path.read_text(encoding="utf-8"))
        record["cases"] = [Case(**case) for case in record.get("cases", [])]
        found[path.stem] = record
    return found


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    # Virtual machines hide the name of their processor but not its extensions.
    parts = (line.partition(":") for line in lines)
    fields = {key.strip(): value.strip() for key, _, value in parts}
    matrix = [flag for flag in ("amx_bf16", "avx512_bf16") if flag in fields.get("flags", "")]
    name = fields.get("model name", platform.machine())
    return f"{name} ({', '.join(matrix)})" if matrix else name


def _versions(packages: Sequence[str]) -> dict[str, str]:
    found = {}
    for name in packages:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
