"""Instances as files: arrays as npz, everything else as JSON inside it. No pickle."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from solvers.trees.constraints import Equal, Forbidden, HammingBall, Linear
from solvers.trees.ensemble import TreeEnsemble
from solvers.trees.features import Categorical, Continuous, Integer
from solvers.trees.instance import Instance
from solvers.trees.terms import DistanceTerm, LinearTerm, PairTerm
from solvers.trees.transforms import OutputTransform
from vqlso.errors import SolverError

_KINDS: dict[str, type] = {
    kind.__name__: kind
    for kind in (
        *(TreeEnsemble, OutputTransform, Categorical, Continuous, Integer),
        *(DistanceTerm, LinearTerm, PairTerm, Equal, Forbidden, HammingBall, Linear),
    )
}
_PARTS = ("ensemble", "free", "reference", "allowed", "terms", "constraints")
# What reading a file that was cut, changed or never an instance ends in; zipfile says
# NotImplementedError of a compression method that it does not know, as damage can make it.
_DAMAGES = (
    *(OSError, EOFError, zlib.error, BadZipFile, NotImplementedError),
    *(LookupError, ValueError, TypeError, AttributeError),
)


def save(instance: Instance, folder: Path) -> Path:
    """Write `<folder>/<name>.npz`, whose name depends on the content alone; that path.

    Raises:
        SolverError: a term or constraint of a kind that is not from here.
    """
    arrays: list[NDArray[Any]] = []
    described = {part: _encoded(getattr(instance, part), arrays) for part in _PARTS}
    text = json.dumps(described)
    digest = zlib.crc32(text.encode())
    for array in arrays:
        digest = zlib.crc32(np.ascontiguousarray(array).tobytes(), digest)
    folder.mkdir(parents=True, exist_ok=True)
    name = f"trees-{instance.ensemble.n_trees}-free-{len(instance.free)}-{digest:08x}"
    path = folder / f"{name}.npz"
    np.savez_compressed(path, *arrays, described=np.array(text))
    return path


def load(path: Path) -> Instance:
    """Read an instance written by `save`.

    Raises:
        SolverError: the file is missing or holds no instance.
    """
    try:
        # Not by its path: a file that is no archive would be left open.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            described = json.loads(str(stored["described"]))
            parts = {part: _decoded(described[part], stored) for part in _PARTS}
        return Instance.checked(
            parts["ensemble"],
            parts["free"],
            parts["reference"],
            allowed=parts["allowed"],
            terms=parts["terms"],
            constraints=parts["constraints"],
        )
    except _DAMAGES as error:
        raise SolverError(f"{path} holds no instance of the tree optimiser: {error}") from error


def _encoded(value: Any, arrays: list[NDArray[Any]]) -> Any:
    if isinstance(value, np.ndarray):
        arrays.append(value)
        return {"array": len(arrays) - 1}
    if is_dataclass(value):
        if _KINDS.get(type(value).__name__) is not type(value):
            raise SolverError(f"A {type(value).__name__} is of no kind that can be stored.")
        contents = {f.name: _encoded(getattr(value, f.name), arrays) for f in fields(value)}
        return {"kind": type(value).__name__, "fields": contents}
    if isinstance(value, Mapping):
        return {"map": [[_encoded(k, arrays), _encoded(v, arrays)] for k, v in value.items()]}
    if isinstance(value, tuple | list):
        return [_encoded(item, arrays) for item in value]
    if isinstance(value, np.generic):
        return value.item()
    if not isinstance(value, str | int | float | None):
        raise SolverError(f"A {type(value).__name__} is of no kind that can be stored.")
    return value


def _decoded(value: Any, stored: Mapping[str, NDArray[Any]]) -> Any:
    if isinstance(value, list):
        return tuple(_decoded(item, stored) for item in value)
    if not isinstance(value, dict):
        return value
    if "array" in value:
        return stored[f"arr_{value['array']}"]
    if "map" in value:
        return {_decoded(k, stored): _decoded(v, stored) for k, v in value["map"]}
    contents = {name: _decoded(item, stored) for name, item in value["fields"].items()}
    return _KINDS[value["kind"]](**contents)
