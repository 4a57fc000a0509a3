"""Linear constraints in a form that solvers of linear programmes take well.

Their tolerances are absolute, so that a row of tiny coefficients would always hold, and a number
that is counted in millions would be off by much.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from solvers.trees.domains import Domain
from solvers.trees.errors import InfeasibleError
from solvers.trees.side_model import NumberCell, Row


def number_cell(domain: Domain, slope: float) -> NumberCell:
    """The numbers of a bounded domain, continuous ones as a share of its range."""
    origin = float(domain.lower.min())
    width = float(domain.upper.max()) - origin
    unit = width if width > 0 and not domain.is_whole else 1.0
    lower, upper = ((ends - origin) / unit for ends in (domain.lower, domain.upper))
    return NumberCell(lower, upper, slope * unit, domain.is_whole, origin, unit)


def standard_rows(rows: Sequence[Row], numbers: Mapping[int, NumberCell]) -> tuple[Row, ...]:
    """Rows over features' own numbers, as rows over shares; those that always hold are gone.

    Raises:
        InfeasibleError: a row holds nowhere, whatever the free cells are.
    """
    standard = (_standard(row, numbers) for row in rows)
    return tuple(row for row in standard if row is not None)


def _standard(row: Row, numbers: Mapping[int, NumberCell]) -> Row | None:
    constant = sum(float(weights.min()) for weights in row.weights.values())
    constant += sum(slope * numbers[cell].origin for cell, slope in row.slopes.items())
    weights = {cell: weights - weights.min() for cell, weights in row.weights.items()}
    slopes = {cell: slope * numbers[cell].unit for cell, slope in row.slopes.items()}
    parts = [float(weight.max()) for weight in weights.values()]
    parts += [abs(slope) * float(numbers[cell].upper.max()) for cell, slope in slopes.items()]
    # Large parts are left as they are: small ones beside them may still decide.
    largest = max(parts, default=0.0)
    size = min(1.0, largest) or 1.0
    standard = Row(
        row.name,
        {cell: weight / size for cell, weight in weights.items() if weight.any()},
        {cell: slope / size for cell, slope in slopes.items() if slope},
        (row.lower - constant) / size,
        (row.upper - constant) / size,
    )
    if largest and np.isfinite([row.lower, row.upper]).any():
        return standard
    if not standard.holds(np.zeros(1)).all():
        why = (
            "What its free features may take, or are allowed, makes no difference to it."
            if row.weights or row.slopes
            else "No free feature has a part in it."
        )
        raise InfeasibleError(f"No point satisfies the constraint: {row.name}. {why}")
    return None
