"""Protocols between the parts of solvers. No implementation lives here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from vqlso.contracts import Surrogate

if TYPE_CHECKING:
    from pathlib import Path

    from solvers.trees import TreeEnsemble


@runtime_checkable
class TreeSurrogate(Surrogate, Protocol):
    """A surrogate whose prediction is a sum of trees over the cells of a code grid."""

    def ensemble(self) -> TreeEnsemble:
        """The fitted trees, over the flattened cells."""

    def importance(self, measure: str) -> NDArray[np.float64]:
        """(cells,) how much each flattened cell matters to the fit, by a named measure."""


@runtime_checkable
class SavedSurrogate(Protocol):
    """What a surrogate may offer beside `TreeSurrogate`: a file of its trees in every round."""

    def save(self, path: Path) -> None:
        """Write the fitted trees as text."""
