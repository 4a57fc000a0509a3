"""When an engine stops without a proof."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral, Real

from vqlso.errors import SolverError


@dataclass(frozen=True)
class Limits:
    """When a backend stops without a proof.

    Attributes:
        nodes: of the branch-and-bound tree; repeatable, unlike a time.
        seconds: of wall-clock time.
        megabytes: of memory that the backend takes on top of what the process holds already:
            what its arrays hold by count, or by how much the process has grown.

    Raises:
        SolverError: a limit that is no number, or not above zero; `nodes` may be 0.
    """

    nodes: int | None = None
    seconds: float | None = None
    megabytes: float | None = None

    def __post_init__(self) -> None:
        if self.nodes is not None and not (isinstance(self.nodes, Integral) and self.nodes >= 0):
            raise SolverError(f"A node limit is a whole number >= 0 or None; got {self.nodes!r}.")
        for name in ("seconds", "megabytes"):
            value = getattr(self, name)
            if value is not None and not (isinstance(value, Real) and float(value) > 0):
                raise SolverError(f"A limit of {name} is a number > 0 or None; got {value!r}.")


UNLIMITED = Limits()
