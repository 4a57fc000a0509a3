"""How many of the best points can be asked for at once."""

from __future__ import annotations

from math import prod

from solvers.trees.backends.memory import available_megabytes
from solvers.trees.instance import Instance
from solvers.trees.limits import Limits
from vqlso.errors import SolverError

# Bytes a solution beside its numbers: a `Solution`, its array and its floats.
_OBJECTS = 300
# How often a point is held while it is solved for: over the free features, and over all.
_COPIES_FREE, _COPIES = 4, 3
# So much memory, in MB, is there without asking.
_LITTLE = 100.0


def affordable(k: int, instance: Instance, limits: Limits) -> int:
    """k, or the number of all points where that is smaller.

    Raises:
        SolverError: k is below 1, or so many solutions do not fit into memory.
    """
    if k < 1:
        raise SolverError(f"At least one solution must be asked for; got k={k}.")
    if k == 1:
        return 1
    held = min(int(k), prod(map(len, instance.domains)))
    numbers = _COPIES_FREE * len(instance.free) + _COPIES * len(instance.reference)
    megabytes = held * (8 * numbers + _OBJECTS) / (1 << 20)
    room = limits.megabytes
    if room is None:
        room = _LITTLE if megabytes <= _LITTLE else available_megabytes()
    if megabytes > room:
        raise SolverError(
            f"k={k} asks for {held} solutions, which take about {megabytes:.0f} MB of memory; "
            f"there is room for {room:.0f} MB: ask for fewer."
        )
    return held
