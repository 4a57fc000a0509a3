"""A mixed-integer linear programme as sparse arrays, whoever solves it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Programme:
    """max objective @ v + offset subject to row_lower <= A v <= row_upper, lower <= v <= upper.

    Attributes:
        objective, lower, upper: (columns,) float64.
        is_integer: (columns,) bool.
        offset: what every solution contributes.
        row_start, column, coefficient: A by rows (CSR): (rows + 1,), (nonzeros,), (nonzeros,).
        row_lower, row_upper: (rows,) float64.
    """

    objective: NDArray[np.float64]
    lower: NDArray[np.float64]
    upper: NDArray[np.float64]
    is_integer: NDArray[np.bool_]
    offset: float
    row_start: NDArray[np.int64]
    column: NDArray[np.int64]
    coefficient: NDArray[np.float64]
    row_lower: NDArray[np.float64]
    row_upper: NDArray[np.float64]

    @property
    def sizes(self) -> dict[str, int]:
        """Numbers of columns, integer columns, rows and nonzeros."""
        return {
            "columns": len(self.objective),
            "integers": int(self.is_integer.sum()),
            "rows": len(self.row_lower),
            "nonzeros": len(self.column),
        }


class ProgrammeBuilder:
    """Collects columns and rows.

    Args:
        offset: what every solution contributes.
    """

    def __init__(self, offset: float) -> None:
        self._offset = offset
        self._n_columns = 0
        self._objective: list[NDArray[np.float64]] = []
        self._bounds: list[tuple[int, float, float, bool]] = []
        self._columns: list[NDArray[np.int64]] = []
        self._coefficients: list[NDArray[np.float64]] = []
        self._lower: list[float] = []
        self._upper: list[float] = []

    def columns(
        self,
        objective: NDArray[np.float64],
        *,
        lower: float = 0.0,
        upper: float = 1.0,
        integer: bool = False,
    ) -> NDArray[np.int64]:
        """Add one column per objective coefficient; their numbers."""
        first = self._n_columns
        self._n_columns += len(objective)
        self._objective.append(objective)
        self._bounds.append((len(objective), lower, upper, integer))
        return np.arange(first, self._n_columns)

    def row(
        self,
        columns: NDArray[np.int64],
        coefficients: NDArray[np.float64],
        lower: float,
        upper: float,
    ) -> None:
        """Add lower <= coefficients @ v[columns] <= upper."""
        self._columns.append(columns)
        self._coefficients.append(coefficients)
        self._lower.append(lower)
        self._upper.append(upper)

    def build(self) -> Programme:
        """The programme of all that was added."""
        counts, lower, upper, integer = zip(*self._bounds, strict=True)
        return Programme(
            objective=np.concatenate(self._objective),
            lower=np.repeat(lower, counts),
            upper=np.repeat(upper, counts),
            is_integer=np.repeat(integer, counts),
            offset=self._offset,
            row_start=np.cumsum([0, *map(len, self._columns)]),
            column=np.concatenate(self._columns),
            coefficient=np.concatenate(self._coefficients),
            row_lower=np.array(self._lower),
            row_upper=np.array(self._upper),
        )
