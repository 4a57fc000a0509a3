"""Checks a certificate: a proof that no point of an instance has an objective above a bound.

The proof is a tree of boxes, sets of choices for each free cell. The children of a box divide it
along one cell. A box is closed if it is certain that no objective in it exceeds the bound, or that
it misses a linear constraint everywhere.

None of the engines has a part in this. What is believed: the model as it was read, how it
predicts, and how features, terms and constraints become choices, tables and rows.
"""

from __future__ import annotations

import zlib
from collections import defaultdict
from dataclasses import dataclass, fields
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from solvers.trees.certificate_bounds import Box, Objective, Scope, terms
from solvers.trees.ensemble import TreeEnsemble
from solvers.trees.instance import Instance
from solvers.trees.side_model import Row
from solvers.trees.storage import load
from vqlso.errors import SolverError, VerificationError

# Action of a node that is closed by its bound. Below it, -2 - r, by constraint r; from 0 on, the
# cell that its children divide.
CLOSED = -1
# By how much z may miss a constraint, as for every solution.
_MISS = 1e-6
_DAMAGES = (OSError, EOFError, zlib.error, BadZipFile, LookupError, ValueError, TypeError)


class Certificate(NamedTuple):
    """The arrays of a certificate beside those of its instance, under these names in the file.

    Attributes:
        z: (n_features,) float64, the best point.
        value: () its objective.
        bound: () no objective is higher.
        minimised: () bool, whether the instance is what was to be minimised, times -1.
        scopes: (F, 3) int64, cells in ascending order; -1 in front of two.
        shifts: (sum,) float64, lambda: by scope, then by cell, then by choice.
        parents: (N,) int64, of each node; -1 of the first one.
        actions: (N,) int64, see `CLOSED`.
        starts: (N + 1,) int64, where the choices of each node begin.
        choices: (sum,) int64, of the cell that the parent divides, ascending.
    """

    z: NDArray[np.float64]
    value: NDArray[np.float64]
    bound: NDArray[np.float64]
    minimised: NDArray[np.bool_]
    scopes: NDArray[np.int64]
    shifts: NDArray[np.float64]
    parents: NDArray[np.int64]
    actions: NDArray[np.int64]
    starts: NDArray[np.int64]
    choices: NDArray[np.int64]


@dataclass(frozen=True)
class CheckedCertificate:
    """What a certificate has proven, about the sum of the leaves plus all terms.

    Attributes:
        value: the objective that z reaches.
        bound: no point has a better one; the largest that the proof leaves possible.
        nodes: of the proof.
        minimised: whether lower is better.
    """

    value: float
    bound: float
    nodes: int
    minimised: bool


def check_certificate(path: Path | str, ensemble: TreeEnsemble | None = None) -> CheckedCertificate:
    """Check all that a certificate claims.

    Args:
        path: of the certificate.
        ensemble: the model that it should be about, with the same features; not compared if None.

    Raises:
        VerificationError: the file is damaged, or the first claim that is found to be false.
    """
    instance, certificate = _read(Path(path))
    try:
        return _checked(instance, certificate, ensemble)
    except VerificationError as error:
        raise VerificationError(f"{path} proves nothing: {error}") from error


def _checked(
    instance: Instance, certificate: Certificate, ensemble: TreeEnsemble | None
) -> CheckedCertificate:
    _check_shapes(instance, certificate)
    minimised = bool(certificate.minimised)
    if ensemble is not None:
        _check_model(instance.ensemble, ensemble.exact_negated if minimised else ensemble.exact)
    objective = Objective(instance, list(terms(instance)), _scopes(instance, certificate))
    value, bound = float(certificate.value), float(certificate.bound)
    _check_point(instance, certificate.z, value, objective.rounding)
    largest = _largest(objective, instance.side.rows, certificate, bound)
    if not value <= bound:
        raise VerificationError(f"its point reaches {value!r}, above its bound {bound!r}.")
    sign = -1.0 if minimised else 1.0
    proven = sign * max(largest + objective.rounding, value)
    return CheckedCertificate(sign * value, proven, len(certificate.parents), minimised)


def cannot_hold(row: Row, choices: tuple[NDArray[np.int64], ...]) -> bool:
    """Whether a linear constraint is missed by all points of a box."""
    parts = [weights[choices[cell]] for cell, weights in row.weights.items()]
    least, most = sum(float(part.min()) for part in parts), sum(float(p.max()) for p in parts)
    nearest = min(max(row.lower, least), most)
    return not row.holds(np.array([nearest]))[0]


def _read(path: Path) -> tuple[Instance, Certificate]:
    types = {"z": "f8", "value": "f8", "bound": "f8", "minimised": "?", "shifts": "f8"}
    try:
        instance = load(path)
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            certificate = Certificate(
                *(stored[n].astype(types.get(n, "i8"), casting="safe") for n in Certificate._fields)
            )
    except (*_DAMAGES, SolverError) as error:
        reason = error.__cause__ or error
        if isinstance(reason, OSError) and reason.strerror:
            raise VerificationError(f"{path} cannot be read: {reason.strerror}.") from error
        raise VerificationError(
            f"{path} holds no certificate, or a damaged one: write it again with `certificate`."
        ) from error
    return instance, certificate


def _check_shapes(instance: Instance, certificate: Certificate) -> None:
    n, t = len(certificate.parents), len(instance.free)
    if not all(array.ndim == 0 for array in certificate[1:4]):
        raise VerificationError("its value, bound and direction are not one number each.")
    if n < 1 or len(certificate.actions) != n or len(certificate.starts) != n + 1:
        raise VerificationError("its tree has not one action and one set of choices a node.")
    if certificate.parents[0] != -1 or certificate.actions.max() >= t:
        raise VerificationError("its tree names a node or feature that is not there.")
    if certificate.scopes.shape[1:] != (3,):
        raise VerificationError("its tables are not over three features.")


def _check_model(stored: TreeEnsemble, expected: TreeEnsemble) -> None:
    for field in fields(TreeEnsemble):
        ours, theirs = getattr(stored, field.name), getattr(expected, field.name)
        if field.name == "features":
            same = ours in (theirs, expected.in_whole_numbers.features)
        elif isinstance(ours, np.ndarray):
            same = np.array_equal(ours, theirs, equal_nan=ours.dtype.kind == "f")
        else:
            same = ours == theirs
        if not same:
            raise VerificationError(
                f"it is about another model (`{field.name}` differs), or the same one with other "
                "features: read the model with those that it had for the certificate."
            )


def _scopes(instance: Instance, certificate: Certificate) -> list[Scope]:
    sizes = [len(domain) for domain in instance.domains]
    scopes, at = [], 0
    for row in certificate.scopes.tolist():
        cells = tuple(cell for cell in row if cell >= 0)
        if list(cells) != sorted(set(cells)) or not cells or cells[-1] >= len(sizes):
            raise VerificationError(
                f"its table over {row} is not over features in ascending order."
            )
        ends = at + np.cumsum([0, *(sizes[cell] for cell in cells)])
        shifts = tuple(certificate.shifts[a:b] for a, b in pairwise(ends))
        scopes.append(Scope(cells, shifts))
        at = int(ends[-1])
    if at != len(certificate.shifts) or not np.isfinite(certificate.shifts).all():
        raise VerificationError("its lambdas are not one finite number per table and choice.")
    return scopes


def _check_point(instance: Instance, z: NDArray[np.float64], value: float, rounding: float) -> None:
    if z.shape != instance.reference.shape or instance.choices(z) is None:
        raise VerificationError("its point is none that the features can take.")
    objective = instance.objective(z, float(instance.ensemble.predict(z[None])[0]))
    if not abs(objective - value) <= rounding:
        raise VerificationError(f"its point reaches {objective!r}, not {value!r} as it says.")
    miss = instance.violation(z)
    if not miss <= _MISS:
        raise VerificationError(f"its point misses a constraint by {miss!r}.")


def _largest(
    objective: Objective, rows: tuple[Row, ...], certificate: Certificate, bound: float
) -> float:
    """The largest bound of a closed box, after checking that the boxes cover everything."""
    children: defaultdict[int, list[int]] = defaultdict(list)
    for node, parent in enumerate(certificate.parents.tolist()[1:], start=1):
        children[parent].append(node)
    largest, visited = -np.inf, 0
    boxes: list[tuple[int, int, Box | None]] = [(0, 0, None)]
    while boxes:
        node, divided, above = boxes.pop()
        visited += 1
        own = _choices(certificate, node)
        box = objective.whole() if above is None else objective.restricted(above, divided, own)
        action = int(certificate.actions[node])
        if action >= 0:
            parts = [_choices(certificate, child) for child in children[node]]
            together = np.sort(np.concatenate([np.zeros(0, dtype=np.int64), *parts]))
            if not all(map(len, parts)) or not np.array_equal(together, box.choices[action]):
                raise VerificationError(f"the children of node {node} do not divide its choices.")
            boxes += [(child, action, box) for child in children[node]]
        elif action == CLOSED:
            highest = objective.bound(box) + objective.rounding
            largest = max(largest, highest)
            if not highest <= bound:
                raise VerificationError(
                    f"node {node} of it allows {highest!r}, above its bound {bound!r}."
                )
        elif -2 - action >= len(rows) or not cannot_hold(rows[-2 - action], box.choices):
            raise VerificationError(f"node {node} of it is closed by a constraint that can hold.")
    if visited != len(certificate.parents):
        raise VerificationError("some nodes are no part of its tree.")
    return largest


def _choices(certificate: Certificate, node: int) -> NDArray[Any]:
    return certificate.choices[certificate.starts[node] : certificate.starts[node + 1]]
