"""`vqlso list` and `settings`: everything that can be plugged in or set, one line each."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import dropwhile, takewhile
from typing import Any

from rich.table import Column, Table

from pipeline.configuration.composition import config_folder, experiments
from pipeline.configuration.explained import Setting
from pipeline.parts import GENERATORS, RETRAINERS, SOLVERS, SURROGATES
from pipeline.parts.direction_solvers import DIRECTION_SOLVERS
from pipeline.parts.matrix import together
from pipeline.parts.part import Part
from pipeline.parts.target_solvers import ONLY_TARGETS, TARGET_SOLVERS
from pipeline.studies.study import studies
from solvers.trees.backends import BACKENDS, BackendEntry
from vqlso.errors import MissingExtraError


def listing() -> list[dict[str, str]]:
    """Rows of role, name, one line, and what to install ("" where it is installed)."""
    rows = [_described("experiment", name) for name in experiments()]
    rows += [_described("study", name) for name in studies()]
    for role in ("size", "data", "generator", "objective", "method"):
        rows += [_described(role, name) for name in _choices(role)]
    targeted = {kind: TARGET_SOLVERS[kind] for kind in ONLY_TARGETS}
    parts: dict[str, dict[str, Part[Any]]] = {
        "surrogate": {**SURROGATES},
        "solver": {
            **SOLVERS,
            **_only("invert and score_ascent", targeted),
            **_only("edit_smile", DIRECTION_SOLVERS),
        },
        "retrainer": {**RETRAINERS},
    }
    for role, known in parts.items():
        rows += [
            _row(role, name, part.line, "" if part.installed else f".[{part.extra}]")
            for name, part in known.items()
        ]
        # Files that set a part up for one use under a name of their own, such as solver=greedy.
        rows += [_described(role, name) for name in _choices(role) if name not in known]
    rows += [
        _row("solver.backend", name, entry.description, _missing(entry))
        for name, entry in BACKENDS.items()
    ]
    return rows


def listing_table() -> Table:
    """The rows as a table."""
    # Names are to be copied: what explains them gives way where there is little room.
    names = [Column(head, no_wrap=True) for head in ("role", "name")]
    rest = [Column(head, overflow="fold") for head in ("what it is", "install")]
    table = Table(*names, *rest, title="vqlso run EXPERIMENT role=name")
    previous = ""
    for row in listing():
        if previous and row["role"] != previous:
            table.add_section()
        table.add_row(
            row["role"] if row["role"] != previous else "", row["name"], row["what"], row["install"]
        )
        previous = row["role"]
    return table


def matrix_table() -> Table:
    """Which solver searches which generator's latents, and the surrogates that may guide it."""
    heads = ("solver", *GENERATORS)
    # Where there is little room, half a name says nothing.
    columns = [Column(head, overflow="fold") for head in heads]
    table = Table(*columns, title="what fits what: vqlso run smile_shift generator=... solver=...")
    for solver in SOLVERS:
        table.add_row(solver, *(together(generator, solver) for generator in GENERATORS))
    return table


def settings_table(experiment: str, settings: Sequence[Setting]) -> Table:
    """Keys, values and meanings, a section for each group."""
    table = Table(
        Column("setting", no_wrap=True),
        *(Column(head, overflow="fold") for head in ("value", "what it is")),
        title=f"vqlso run {experiment} setting=value",
        caption="What has no effect with these parts is left out.",
    )
    previous = ""
    for each in settings:
        group = each.key.rpartition(".")[0]
        if group != previous:
            table.add_section()
        table.add_row(each.key, _as_written(each.value), each.meaning)
        previous = group
    return table


def _as_written(value: Any) -> str:
    """As a person would give it on the command line."""
    return value if isinstance(value, str) else json.dumps(value)


def _only(experiment: str, parts: Mapping[str, Part[Any]]) -> dict[str, Part[Any]]:
    return {
        kind: replace(part, line=f"of {experiment} only: {part.line}")
        for kind, part in parts.items()
    }


def _row(role: str, name: str, what: str, install: str = "") -> dict[str, str]:
    return {"role": role, "name": name, "what": what, "install": install}


def _missing(entry: BackendEntry) -> str:
    try:
        entry.load()
    except MissingExtraError:
        return entry.install
    return ""


def _choices(role: str) -> list[str]:
    return sorted(path.stem for path in (config_folder() / role).glob("*.yaml"))


def _described(role: str, name: str) -> dict[str, str]:
    """A configuration by its own first lines of explanation."""
    lines = (config_folder() / role / f"{name}.yaml").read_text().splitlines()
    told = dropwhile(lambda line: not line.startswith("# ") or "@package" in line, lines)
    comment = takewhile(lambda line: line.startswith("# "), told)
    return _row(role, name, " ".join(line.removeprefix("# ") for line in comment))
