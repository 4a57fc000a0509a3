"""Writes certificates of optimality, which `solvers.trees.certificate_checker` checks.

The numbers lambda come from the sweeps by which the engine `tables` bounds objectives, without
removing any choice. What they leave open is divided, box by box.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from solvers.trees.certificate_bounds import Box, Objective, Product, Scope, terms
from solvers.trees.certificate_checker import CLOSED, Certificate, cannot_hold
from solvers.trees.certificate_splits import Splitter
from solvers.trees.destinations import replaced
from solvers.trees.errors import UnsupportedError
from solvers.trees.instance import Instance
from solvers.trees.side_model import Row
from solvers.trees.storage import save
from solvers.trees.tables.dual import sweep
from solvers.trees.tables.factors import Factors
from solvers.trees.tables.problem import numbering
from vqlso.errors import SolverError

MOST_NODES = 20_000
_WIDEST = 3
# Relative to the value: by how much the bound of an optimal point may be above it.
_GAP = 5e-10
_MOST_SWEEPS = 300
# Sweeps end where so many of them close less than this share of the gap.
_SWEEPS_BETWEEN = 20
_WORTHWHILE = 0.01


def check_certifiable(instance: Instance) -> None:
    """Find out whether a certificate can be written, before solving.

    Raises:
        UnsupportedError: distances to several points, sums of real numbers in constraints, or
            leaves that depend on more than three free cells.
    """
    _products(instance)


def write_certificate(
    instance: Instance,
    z: NDArray[np.float64],
    path: Path,
    *,
    bound: float = -np.inf,
    minimised: bool = False,
) -> Path:
    """Prove that no point has an objective above that of z; the path of the proof.

    Args:
        instance: what was maximised.
        z: (n_features,) its best point.
        path: of the file to write.
        bound: an objective above that of z to be content with, where z is not proven to be best.
        minimised: whether the instance is what was to be minimised, times -1.

    Raises:
        UnsupportedError: see `check_certifiable`.
        SolverError: no proof of at most `MOST_NODES` nodes was found, or the file cannot be
            written.
    """
    products = _products(instance)
    value = instance.objective(z, float(instance.ensemble.predict(z[None])[0]))
    plain = Objective(instance, products, _widest_scopes(instance, products))
    target = max(bound, value + max(_GAP * abs(value), 4 * plain.rounding))
    objective = Objective(instance, products, _shifted(plain, target))
    target = max(target, value + 4 * objective.rounding)
    proof = _proof(objective, instance.side.rows, target - objective.rounding)
    # What another processor rounds differently is within the second of the two.
    proven = max(value, proof.largest + 2 * objective.rounding)
    scopes = [factor.scope for factor in objective.factors]
    cells = [(-1,) * (_WIDEST - len(scope.cells)) + scope.cells for scope in scopes]
    certificate = Certificate(
        z=z,
        value=np.array(value),
        bound=np.array(proven),
        minimised=np.array(minimised),
        scopes=np.array(cells, dtype=np.int64).reshape(-1, _WIDEST),
        shifts=np.concatenate([np.zeros(0), *(s for scope in scopes for s in scope.shifts)]),
        parents=np.array(proof.parents, dtype=np.int64),
        actions=np.array(proof.actions, dtype=np.int64),
        starts=np.cumsum([0, *map(len, proof.choices)]),
        choices=np.concatenate(proof.choices).astype(np.int64),
    )
    _store(instance, certificate, path)
    return path


def _products(instance: Instance) -> list[Product]:
    side = instance.side
    if side.limits or side.nearest or side.numbers:
        raise UnsupportedError(
            "No certificate can be written for distances to several points, nor for sums of real "
            "numbers in constraints: leave out the certificate, or state `allowed` values."
        )
    products = list(terms(instance))
    widest = max((len(product.numbers) for product in products), default=0)
    if widest > _WIDEST:
        raise UnsupportedError(
            f"No certificate can be written for leaves that depend on more than {_WIDEST} free "
            f"features; some depend on {widest}. Leave it out, or free fewer features."
        )
    return products


def _widest_scopes(instance: Instance, products: Sequence[Product]) -> list[Scope]:
    """The cells that products couple; pairs within triples are left to join them.

    Pair tables keep a scope of two: they tell all choices apart, and triples would be large.
    """
    coupled = {tuple(sorted(product.numbers)) for product in products}
    tables = {(pair.first, pair.second) for pair in instance.side.pairs}
    triples = [set(cells) for cells in coupled if len(cells) == _WIDEST]
    chosen = [
        cells
        for cells in coupled
        if len(cells) > 1 and (cells in tables or not any(set(cells) < each for each in triples))
    ]
    sizes = [len(domain) for domain in instance.domains]
    return [Scope(cells, tuple(np.zeros(sizes[c]) for c in cells)) for cells in sorted(chosen)]


def _shifted(objective: Objective, target: float) -> list[Scope]:
    """The scopes with the lambdas that the sweeps arrive at."""
    factors = _factors(objective)
    theta = factors.unary.copy()
    moved = np.zeros(int(factors.n_classes.sum()))
    before = np.inf
    for number in range(_MOST_SWEEPS):
        bound = sweep(factors, theta, moved, number % 2 == 1)
        if bound <= target:
            break
        if number % _SWEEPS_BETWEEN == _SWEEPS_BETWEEN - 1:
            if before - bound < _WORTHWHILE * (bound - target):
                break
            before = bound
    scopes = []
    for factor, first in zip(objective.factors, factors.first_class, strict=True):
        slots = first[_WIDEST - len(factor.classes) :]
        shifts = tuple(moved[at + own] for at, own in zip(slots, factor.classes, strict=True))
        scopes.append(Scope(factor.scope.cells, shifts))
    return scopes


def _factors(objective: Objective) -> Factors:
    """The objective in the words of the compiled code, as far as the sweeps need it."""
    t, n_factors = len(objective.theta), len(objective.factors)
    width = max(map(len, objective.theta))
    unary = np.zeros((t + 1, width))
    n_labels = np.ones(t + 1, dtype=np.int64)
    for cell, own in enumerate(objective.theta):
        unary[cell, : len(own)] = own
        n_labels[cell] = len(own)
    cells = np.full((n_factors, _WIDEST), t)
    n_classes = np.ones((n_factors, _WIDEST), dtype=np.int64)
    classes: list[NDArray[np.int64]] = []
    for f, factor in enumerate(objective.factors):
        first = _WIDEST - len(factor.classes)
        cells[f, first:] = factor.scope.cells
        n_classes[f, first:] = factor.table.shape
        # A pair's first slot is of the cell number t, which has one label.
        classes += [np.zeros(1, dtype=np.int64)] * first + list(factor.classes)
    tables = [factor.table.ravel() for factor in objective.factors]
    return Factors(
        constant=objective.constant,
        choice=np.zeros((t + 1, width), dtype=np.int64),
        n_labels=n_labels,
        unary=unary,
        group=np.zeros((t + 1, width), dtype=np.int64),
        cells=cells,
        n_classes=n_classes,
        classes=np.concatenate([np.zeros(0), *classes]).astype(numbering(width).dtype),
        first_label=_starts(np.array([len(own) for own in classes])),
        first_class=_starts(n_classes),
        present=np.zeros(0, dtype=np.int64),
        start=np.cumsum([0, *map(len, tables)]),
        tables=np.concatenate([np.zeros(0), *tables]),
        first=np.zeros(t + 2, dtype=np.int64),
        touching=np.zeros((0, 2), dtype=np.int64),
    )


def _starts(sizes: NDArray[np.int64]) -> NDArray[np.int64]:
    """(F, 3) where parts of these sizes begin, one after the other."""
    flat = sizes.ravel().astype(np.int64)
    return (np.cumsum(flat) - flat).reshape(-1, _WIDEST)


@dataclass
class _Proof:
    """The nodes of a certificate, and the largest bound of the closed ones."""

    parents: list[int] = field(default_factory=list)
    actions: list[int] = field(default_factory=list)
    choices: list[NDArray[np.int64]] = field(default_factory=list)
    largest: float = -np.inf


def _proof(objective: Objective, rows: tuple[Row, ...], target: float) -> _Proof:
    """Divide the box of all points until each part has a bound up to `target`, or is empty.

    Single points that are better than that are closed by their objective.
    """
    proof = _Proof()
    splitter = Splitter(objective, rows)
    nothing = np.zeros(0, dtype=np.int64)
    boxes: list[tuple[int, int, NDArray[np.int64], Box | None]] = [(-1, 0, nothing, None)]
    while boxes:
        if len(proof.parents) + len(boxes) > MOST_NODES:
            raise SolverError(
                f"No certificate of at most {MOST_NODES} nodes was found for this instance: free "
                "fewer features, or leave out the certificate."
            )
        parent, divided, choices, above = boxes.pop()
        node = len(proof.parents)
        proof.parents.append(parent)
        proof.choices.append(choices)
        box = objective.whole() if above is None else objective.restricted(above, divided, choices)
        bound = objective.bound(box)
        is_open = bound > target
        missed = splitter.missed(box) if is_open else []
        missed = [row for row in missed if cannot_hold(rows[row], box.choices)]
        if missed:
            proof.actions.append(CLOSED - 1 - missed[0])
        elif is_open and max(map(len, box.choices)) > 1:
            cell, parts = splitter.split(box, target)
            proof.actions.append(cell)
            boxes += [(node, cell, part, box) for part in parts]
        else:
            proof.actions.append(CLOSED)
            proof.largest = max(proof.largest, bound)
    return proof


def _store(instance: Instance, certificate: Certificate, path: Path) -> None:
    """The arrays of `storage.save` and those of the certificate in one file."""
    with replaced(path) as file, TemporaryDirectory() as folder:
        with np.load(save(instance, Path(folder))) as stored:
            arrays = dict(stored)
        np.savez_compressed(file, **arrays, **certificate._asdict())
