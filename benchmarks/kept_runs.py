"""A long benchmark whose runs are kept as they end, so that it can be stopped and go on."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from benchmarks.recording import RESULTS, machine, write_result


@dataclass
class KeptRuns:
    """Results of single runs in one JSON file, which is written after each of them.

    Attributes:
        name: of the benchmark and its file.
        command: what a person types to measure the same.
        settings: what was asked; kept runs of other settings are dropped.
        packages: whose versions matter.
        folder: where the file is.
        fresh: forget what is kept.
    """

    name: str
    command: str
    settings: Mapping[str, Any]
    packages: Sequence[str] = ()
    folder: Path = RESULTS
    fresh: bool = False
    record: dict[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        self.record = {
            "command": self.command,
            "date": date.today().isoformat(),
            "machine": machine(self.packages),
            "load": {"before": os.getloadavg(), "after": os.getloadavg()},
            "settings": dict(self.settings),
            "runs": [],
        }
        path = self.folder / f"{self.name}.json"
        if path.is_file() and not self.fresh:
            found = json.loads(path.read_text(encoding="utf-8"))
            if found["settings"] == json.loads(json.dumps(self.record["settings"])):
                self.record = {**found, "command": self.command}

    def once(self, name: str, measure: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """What belongs to the whole benchmark; measured unless it is kept."""
        if name not in self.record:
            self.record[name] = measure()
            self._write()
        found: dict[str, Any] = self.record[name]
        return found

    def run(self, key: Mapping[str, Any], measure: Callable[[], Mapping[str, Any]]) -> None:
        """One run, told from others by `key`; measured unless it is kept."""
        if any(all(run.get(name) == value for name, value in key.items()) for run in self.runs):
            return
        self.runs.append({**key, **measure()})
        self._write()
        print(json.dumps(self.runs[-1]), flush=True)

    @property
    def runs(self) -> list[dict[str, Any]]:
        """All that are kept, in the order of their measurement."""
        found: list[dict[str, Any]] = self.record["runs"]
        return found

    def _write(self) -> None:
        self.record["load"]["after"] = os.getloadavg()
        write_result(self.name, self.record, self.folder)
