"""What a run was started with, and what of it is different when the run is resumed."""

from __future__ import annotations

import hashlib
import platform
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pipeline
import solvers
import vqlso
from pipeline.configuration.composition import NOT_HASHED
from pipeline.configuration.settings import ExperimentConfig
from pipeline.origin import FACT, FILE, mark_of
from pipeline.preparation.scorers import given_source
from pipeline.runs.folder import RunFolder
from pipeline.runs.journal import plain
from pipeline.threads import threads_of
from vqlso.errors import RunFolderError
from vqlso.hardware import available_cores

PACKAGES = ("vqlso", "torch", "lightgbm", "highspy", "pyomo", "numba", "numpy")
# Data may be moved before a run is resumed: that they are the same is checked by their content.
MOVABLE = (
    *NOT_HASHED,
    "data.root",
    "data.scores",
    "generator.checkpoint",
    "objective.checkpoint",
    "invert.target",
    "invert.discriminator",
    "edit.regressor",
    "edit.identity",
    "solver.discriminator",
    "ascent.picture",
    "ascent.model",
    "ascent.discriminator",
)


def environment(config: ExperimentConfig, command: Sequence[str]) -> dict[str, Any]:
    """Command, machine, versions and settings, for `environment.json`."""
    return {
        "command": shlex.join(command),
        "platform": platform.platform(),
        "processor": platform.processor() or platform.machine(),
        "cores": available_cores(),
        "threads": threads_of(config),
        FACT: mark_of(config),
        **_versions(),
        **_subject(config),
    }


def compare(folder: RunFolder, config: ExperimentConfig, force: bool) -> str:
    """What is different from the run's start, as a warning; the run's folder records it.

    Runs of earlier versions, which kept no settings, are compared in what they kept.

    Args:
        folder: of a run that is to be resumed.
        config: as the folder holds it now.
        force: accept another configuration or objective.

    Returns:
        One paragraph; empty if nothing is different.

    Raises:
        RunFolderError: configuration or objective have changed, and `force` is not set.
    """
    known = folder.read_json(FILE) if (folder.path / FILE).is_file() else {}
    now = {**_versions(), **_subject(config)}
    subject = [*_different(known, now, "settings"), *_different(known, now, "objective")]
    if subject and not force:
        raise RunFolderError(
            f"{folder.path} was started with another configuration or objective: "
            f"{'; '.join(subject)}. What it found so far would not fit what comes. Change it "
            "back, start a new run with another out=DIR, or continue all the same with "
            f"`vqlso resume --force {shlex.quote(str(folder.path))}`."
        )
    versions = [line for key in _versions() for line in _different(known, now, key)]
    if not subject and not versions:
        return ""
    changes = [*subject, *versions]
    resumed = [
        *known.get("resumed", []),
        {"at": datetime.now(UTC).isoformat(), "changes": changes},
    ]
    folder.write_json(FILE, {**known, **now, "resumed": resumed})
    return (
        f"{folder.path} was started with something else: {'; '.join(changes)}. It is continued, "
        "and may not end as it would have."
    )


def _versions() -> dict[str, Any]:
    """What may change the results by rounding or by other code."""
    return {
        "python": sys.version.split()[0],
        "packages": {name: version(name) for name in PACKAGES},
        "source": _source(),
    }


def _subject(config: ExperimentConfig) -> dict[str, Any]:
    """What is searched: the settings, and the content of a given black box."""
    subject: dict[str, Any] = plain({"settings": asdict(config)})
    return subject | {"objective": given_source(config.objective)}


def _source() -> str:
    """Sixteen hexadecimal digits of the project's own code: its version number says little."""
    digest = hashlib.sha256()
    for package in (vqlso, solvers, pipeline):
        root = Path(package.__path__[0])
        for path in sorted(root.rglob("*.py")):
            digest.update(f"{package.__name__}/{path.relative_to(root).as_posix()}".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _different(known: Mapping[str, Any], now: Mapping[str, Any], key: str) -> Iterator[str]:
    """'solver.t was 8 and is 16' of everything below a key that both have."""
    if key not in known:
        return
    before, after = _flat({key: known[key]}), _flat({key: now[key]})
    for name in {**before, **after}:
        shown = name.removeprefix("settings.").removeprefix("packages.")
        if shown in MOVABLE or before.get(name) == after.get(name):
            continue
        yield f"{shown} was {before.get(name, 'not there')} and is {after.get(name, 'not there')}"


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested values by dotted keys."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        name = f"{prefix}{key}"
        found |= _flat(value, f"{name}.") if isinstance(value, Mapping) else {name: value}
    return found
