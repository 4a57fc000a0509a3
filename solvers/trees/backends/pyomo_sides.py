"""Terms and constraints in the words of the Pyomo model."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyomo.environ as pyo
from numpy.typing import NDArray

from solvers.trees.reduced import ReducedEnsemble
from solvers.trees.side_model import DataDistance


def add_sides(model: pyo.ConcreteModel, reduced: ReducedEnsemble) -> Any:
    """Add all of `reduced.side` to a model with x[cell, label]; what it adds to the objective."""
    _add_numbers(model, reduced)
    _add_rows(model, reduced)
    numbers = pyo.quicksum(
        number.slope * model.number[cell] for cell, number in reduced.side.numbers.items()
    )
    _add_limits(model, reduced)
    return numbers + _pairs(model, reduced) + _nearest(model, reduced)


def _add_numbers(model: pyo.ConcreteModel, reduced: ReducedEnsemble) -> None:
    numbers = reduced.side.numbers
    model.number = pyo.Var(list(numbers), domain=pyo.Reals)
    model.number_above = pyo.ConstraintList(doc="a number is not below its label's interval")
    model.number_below = pyo.ConstraintList(doc="nor above it")
    for cell, number in numbers.items():
        if number.is_whole:
            model.number[cell].domain = pyo.Integers
        model.number_above.add(model.number[cell] >= _sum(model, cell, number.lower))
        model.number_below.add(model.number[cell] <= _sum(model, cell, number.upper))


def _add_rows(model: pyo.ConcreteModel, reduced: ReducedEnsemble) -> None:
    model.linear = pyo.ConstraintList(doc="linear constraints")
    for row in reduced.side.rows:
        body = pyo.quicksum(_sum(model, cell, weight) for cell, weight in row.weights.items())
        body += pyo.quicksum(slope * model.number[cell] for cell, slope in row.slopes.items())
        bounds = [None if np.isinf(bound) else bound for bound in (row.lower, row.upper)]
        if isinstance(body, int | float):
            holds = row.lower <= body <= row.upper
            model.linear.add(pyo.Constraint.Feasible if holds else pyo.Constraint.Infeasible)
        else:
            model.linear.add((bounds[0], body, bounds[1]))


def _pairs(model: pyo.ConcreteModel, reduced: ReducedEnsemble) -> Any:
    """Products of the x of two cells, as the marginals that they have in common."""
    pairs = dict(enumerate(reduced.side.pairs))
    combinations = [
        (p, a, b)
        for p, pair in pairs.items()
        for a in range(pair.values.shape[0])
        for b in range(pair.values.shape[1])
    ]
    model.joint = pyo.Var(combinations, domain=pyo.NonNegativeReals)
    model.marginal = pyo.ConstraintList(doc="marginals of a pair are those of its cells")
    for p, pair in pairs.items():
        rows, columns = (range(n) for n in pair.values.shape)
        for a in rows:
            total = pyo.quicksum(model.joint[p, a, b] for b in columns)
            model.marginal.add(total == model.x[pair.first, a])
        for b in columns:
            total = pyo.quicksum(model.joint[p, a, b] for a in rows)
            model.marginal.add(total == model.x[pair.second, b])
    return pyo.quicksum(
        float(pairs[p].values[a, b]) * model.joint[p, a, b] for p, a, b in combinations
    )


def _add_limits(model: pyo.ConcreteModel, reduced: ReducedEnsemble) -> None:
    limits = dict(enumerate(reduced.side.limits))
    points = [(i, n) for i, limit in limits.items() for n in range(len(limit.distance.fixed))]
    model.near = pyo.Var(points, domain=pyo.Binary)
    model.some_point = pyo.ConstraintList(doc="one of the points is the near one")
    model.radius = pyo.ConstraintList(doc="the near point is within the radius")
    for i, limit in limits.items():
        expressions, farthest = _distances(model, reduced, limit.distance)
        model.some_point.add(pyo.quicksum(model.near[i, n] for n in range(len(expressions))) == 1)
        for n, (distance, most) in enumerate(zip(expressions, farthest, strict=True)):
            model.radius.add(distance <= limit.radius + most * (1 - model.near[i, n]))


def _nearest(model: pyo.ConcreteModel, reduced: ReducedEnsemble) -> Any:
    """The weighted distances to the nearest point; one column each."""
    parts = dict(enumerate(reduced.side.nearest))
    points = [(i, n) for i, part in parts.items() for n in range(len(part.distance.fixed))]
    model.distance = pyo.Var(list(parts), domain=pyo.NonNegativeReals)
    model.nearest = pyo.Var(points, domain=pyo.Binary)
    model.one_nearest = pyo.ConstraintList(doc="one of the points is the nearest")
    model.distance_bound = pyo.ConstraintList(
        doc="seeking distance: below every distance; seeking nearness: above the nearest"
    )
    for i, part in parts.items():
        expressions, farthest = _distances(model, reduced, part.distance)
        if part.weight > 0:
            for distance in expressions:
                model.distance_bound.add(model.distance[i] <= distance)
            continue
        some = pyo.quicksum(model.nearest[i, n] for n in range(len(expressions)))
        model.one_nearest.add(some == 1)
        for n, (distance, most) in enumerate(zip(expressions, farthest, strict=True)):
            model.distance_bound.add(
                model.distance[i] >= distance - most * (1 - model.nearest[i, n])
            )
    return pyo.quicksum(part.weight * model.distance[i] for i, part in parts.items())


def _distances(
    model: pyo.ConcreteModel, reduced: ReducedEnsemble, distance: DataDistance
) -> tuple[list[Any], list[float]]:
    """The distance to each point, and the largest that it can be."""
    cells = [distance.of(cell) for cell in range(len(reduced.unary))]
    expressions, farthest = [], []
    for n, fixed in enumerate(distance.fixed.tolist()):
        terms = (_sum(model, cell, part[n]) for cell, part in enumerate(cells))
        expressions.append(fixed + pyo.quicksum(terms))
        farthest.append(fixed + sum(float(part[n].max()) for part in cells))
    return expressions, farthest


def _sum(model: pyo.ConcreteModel, cell: int, weights: NDArray[np.float64]) -> Any:
    """The weight of the label that a cell has."""
    return pyo.quicksum(
        weight * model.x[cell, label] for label, weight in enumerate(weights.tolist()) if weight
    )
