"""What `vqlso trees` is given: free features, and files of points, features and demands."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import MISSING, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypedDict

import numpy as np
from numpy.typing import ArrayLike, NDArray

from solvers.trees import (
    Categorical,
    Constraint,
    Continuous,
    DistanceTerm,
    Equal,
    Feature,
    Forbidden,
    HammingBall,
    Integer,
    Linear,
    LinearTerm,
    PairTerm,
    Term,
)
from vqlso.errors import ConfigError, DataError

Json = Any
Points = Callable[[Json], NDArray[np.float64]]
# Kind -> the class that it describes, and how each of its fields is read.
Kinds = Mapping[str, tuple[type[Any], Mapping[str, Callable[[Json], Any]]]]

SECTIONS = ("allowed", "terms", "constraints")


class Demands(TypedDict):
    """What is asked of solutions beside a high or low prediction, as `maximize` takes it."""

    allowed: Mapping[int, Sequence[float]]
    terms: Sequence[Term]
    constraints: Sequence[Constraint]


def free_features(text: str, n_features: int) -> list[int]:
    """Feature numbers from "all", or from numbers and ranges between commas, as in "0-3,9".

    Raises:
        ConfigError: the text says something else.
    """
    if text.strip() == "all":
        return list(range(n_features))
    features: list[int] = []
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d+)\s*(?:-\s*(\d+)\s*)?", part)
        if not match:
            raise ConfigError(f"--free is '{text}': give 'all', or numbers and ranges as in 0-3,9.")
        first = int(match[1])
        # One beyond the last is refused by `maximize`; a range of millions need not be built.
        features += range(first, min(int(match[2] or first), max(first, n_features)) + 1)
    return features


def read_point(path: Path, row: int | None = None) -> NDArray[Any]:
    """One point of a .npy file or of a text file, flattened.

    Args:
        path: .npy; or lines of numbers between commas, semicolons or blanks, of which the first
            may be a header. An empty entry is missing (NaN).
        row: which point of an array (n, ...) or of n lines; None where there is only one.

    Returns:
        (n_features,) of the array's own dtype; of text always float64.

    Raises:
        DataError: a file that is missing or damaged, or a row that it does not have.
    """
    points = read_points(path)
    if row is not None:
        if points.ndim < 2 or not 0 <= row < len(points):
            there = f"rows 0..{len(points) - 1}" if points.ndim > 1 else "a single point"
            raise DataError(f"{path} has no row {row}: it holds {there}.")
        points = points[row]
    elif points.ndim > 1 and len(points) > 1:
        raise DataError(f"{path} holds {len(points)} points: choose one with --row.")
    return points.ravel()


def read_points(path: Path) -> NDArray[Any]:
    """The array of a .npy file, or (lines, columns) of a text file; see `read_point`.

    Raises:
        DataError: a file that is missing or damaged.
    """
    try:
        is_array = path.suffix == ".npy"
        points: NDArray[Any] = np.load(path, allow_pickle=False) if is_array else _table(path)
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"{path} cannot be read as an array of numbers: {error}") from error
    if not np.issubdtype(points.dtype, np.number) or not points.size:
        raise DataError(
            f"{path} holds no numbers (shape {points.shape}, dtype {points.dtype}): save an array "
            "of numbers with numpy.save, or as text."
        )
    return points


def read_features(path: Path) -> tuple[Feature, ...]:
    """Kinds and ranges of all features, from a JSON list.

    Raises:
        DataError: a file that is missing, or does not follow the format.
        SolverError: a range that is none.
    """
    blocks = _read_json(path)
    if not isinstance(blocks, list):
        raise DataError(f"{path} must hold a JSON list with one object a feature.")
    return tuple(_built(block, _FEATURES, f"{path}, feature {i}") for i, block in enumerate(blocks))


def read_demands(path: Path | None, reference: NDArray[Any]) -> Demands:
    """Allowed values, terms and constraints, from a JSON object.

    Args:
        path: of the file; None demands nothing.
        reference: (n_features,) what the word "reference" stands for in place of points. Other
            words there are names of files, relative to `path`.

    Raises:
        DataError: a file that is missing, or does not follow the format.
    """
    if path is None:
        return Demands(allowed={}, terms=(), constraints=())
    blocks = _read_json(path)
    if not isinstance(blocks, dict):
        raise DataError(f"{path} must hold a JSON object with {', '.join(SECTIONS)}.")
    for key in blocks:
        _check_known(key, SECTIONS, f"{path}: there is no section")

    def points(value: Json) -> NDArray[np.float64]:
        if value == "reference":
            given: ArrayLike = reference
        else:
            given = read_points(path.parent / value) if isinstance(value, str) else value
        array = np.atleast_2d(np.asarray(given, dtype=np.float64))
        return array.reshape(len(array), -1)

    return Demands(
        allowed=_checked(_by_feature(_numbers), blocks.get("allowed", {}), f"{path}, allowed"),
        terms=_all(blocks, "terms", _terms(points), path),
        constraints=_all(blocks, "constraints", _constraints(points), path),
    )


def _number(value: Json) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("it is no number")
    return float(value)


def _whole(value: Json) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError("it is no whole number")
    return value


def _numbers(value: Json) -> list[float]:
    if not isinstance(value, list):
        raise ValueError("it is no list of numbers")
    return [_number(each) for each in value]


def _matrix(value: Json) -> NDArray[np.float64]:
    return np.array(value, dtype=np.float64)


def _coefficient(value: Json) -> float | list[float]:
    return _numbers(value) if isinstance(value, list) else _number(value)


def _by_feature(read: Callable[[Json], Any]) -> Callable[[Json], dict[int, Any]]:
    def mapping(value: Json) -> dict[int, Any]:
        if not isinstance(value, dict):
            raise ValueError('it is no object such as {"3": 1.5}')
        # "3" and "03" are one feature.
        return _once((int(feature), read(each)) for feature, each in value.items())

    return mapping


_RANGE = {"lower": _number, "upper": _number}
_PAIR = {"first": _whole, "second": _whole}
_LINEAR = {"coefficients": _by_feature(_coefficient)}
_FEATURES: Kinds = {
    "categorical": (Categorical, {"categories": _whole}),
    "integer": (Integer, _RANGE),
    "continuous": (Continuous, _RANGE),
}


def _terms(points: Points) -> Kinds:
    return {
        "linear": (LinearTerm, _LINEAR),
        "pair": (PairTerm, {**_PAIR, "table": _matrix}),
        "distance": (DistanceTerm, {"data": points, "weight": _number}),
    }


def _constraints(points: Points) -> Kinds:
    return {
        "linear": (Linear, {**_LINEAR, **_RANGE}),
        "equal": (Equal, _PAIR),
        "forbidden": (Forbidden, {"values": _by_feature(_number)}),
        "hamming_ball": (HammingBall, {"centres": points, "radius": _number}),
    }


def _all(blocks: Json, section: str, kinds: Kinds, path: Path) -> tuple[Any, ...]:
    listed = blocks.get(section, [])
    if not isinstance(listed, list):
        raise DataError(f"{path}: {section} is a list of objects.")
    return tuple(
        _built(block, kinds, f"{path}, {section}, entry {i}") for i, block in enumerate(listed)
    )


def _built(block: Json, kinds: Kinds, where: str) -> Any:
    """What a JSON object of one of these kinds describes."""
    if not isinstance(block, dict) or not isinstance(block.get("kind"), str):
        raise DataError(f'{where}: give an object with a "kind", one of {", ".join(kinds)}.')
    kind = block["kind"]
    _check_known(kind, kinds, f"{where}: there is no kind")
    described, readers = kinds[kind]
    given = {key: value for key, value in block.items() if key != "kind"}
    for key in given:
        _check_known(key, readers, f"{where}: a {kind} has no")
    demanded = [each.name for each in fields(described) if each.default is MISSING]
    if missing := [key for key in demanded if key not in given]:
        raise DataError(f"{where}: a {kind} also needs {', '.join(missing)}.")
    return described(
        **{key: _checked(readers[key], value, f"{where}, {key}") for key, value in given.items()}
    )


def _checked(read: Callable[[Json], Any], value: Json, where: str) -> Any:
    try:
        return read(value)
    except (TypeError, ValueError) as error:
        raise DataError(f"{where}: {json.dumps(value)[:60]} cannot be used: {error}.") from error


def _check_known(name: str, known: Sequence[str] | Mapping[str, Any], complaint: str) -> None:
    if name not in known:
        near = get_close_matches(name, known, n=1)
        hint = f"; did you mean '{near[0]}'?" if near else ""
        raise DataError(f"{complaint} '{name}', only {', '.join(known)}{hint}")


def _once(pairs: Iterable[tuple[Any, Any]]) -> dict[Any, Any]:
    """Of two values under one key JSON would keep the last, without a word."""
    result: dict[Any, Any] = {}
    for key, value in pairs:
        if key in result:
            raise ValueError(f"the key {key} is there twice: keep one")
        result[key] = value
    return result


def _read_json(path: Path) -> Json:
    try:
        return json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=_once)
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read as JSON: {error}") from error


def _table(path: Path) -> NDArray[np.float64]:
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    mark = next((mark for mark in ",;" if any(mark in line for line in lines)), None)
    rows = [[word.strip() for word in line.split(mark)] for line in lines]
    if rows and not any(_is_number(word) for word in rows[0]):
        rows = rows[1:]
    if len({len(row) for row in rows}) > 1:
        raise ValueError("its lines have different numbers of entries")
    table = np.array([[float(word or "nan") for word in row] for row in rows])
    return table.ravel() if table.ndim == 2 and table.shape[1] == 1 else table


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True
