"""Which constraints and restrictions to allowed values contradict one another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from solvers.trees.backends.contract import Backend, InfeasibleError, Task
from solvers.trees.constraints import Constraint
from solvers.trees.instance import Instance
from vqlso.errors import SolverError

_Allowed = Mapping[int, Sequence[float]]
# So many allowed values are spelt out in a message.
_MOST_VALUES = 6


def conflict(instance: Instance, engine: Backend) -> str:
    """A message that names a smallest set of demands that no point satisfies.

    One demand after the other is left out; those that are not missed stay out (the deletion
    filter of Chinneck and Dravnieks, ORSA Journal on Computing 3(2), 1991).
    """
    kept, allowed = list(instance.constraints), dict(instance.allowed)
    for constraint in instance.constraints:
        others = [other for other in kept if other is not constraint]
        if _is_infeasible(instance, others, allowed, engine):
            kept = others
    for feature in instance.allowed:
        fewer = {other: values for other, values in allowed.items() if other != feature}
        if _is_infeasible(instance, kept, fewer, engine):
            allowed = fewer
    names = [constraint.name for constraint in kept]
    names += [_restriction(feature, values) for feature, values in allowed.items()]
    if len(names) == 1:
        return f"No point satisfies the constraint: {names[0]}."
    return (
        f"No point satisfies all constraints: {'; '.join(names)}. Each of these {len(names)} alone "
        "can be left out to make them satisfiable."
    )


def _restriction(feature: int, values: Sequence[float]) -> str:
    shown = ", ".join(f"{value:g}" for value in values[:_MOST_VALUES])
    more = ", ..." if len(values) > _MOST_VALUES else ""
    return f"feature {feature} is allowed only {shown}{more}"


def _is_infeasible(
    instance: Instance, constraints: Sequence[Constraint], allowed: _Allowed, engine: Backend
) -> bool:
    # What the trees predict decides nothing here, and without them every solve is quick.
    trees = replace(instance.ensemble, roots=np.empty(0, dtype=np.int64))
    try:
        smaller = Instance.checked(
            trees, instance.free, instance.reference, allowed=allowed, constraints=constraints
        )
        engine.solve(Task(smaller))
    except InfeasibleError:
        return True
    except SolverError:
        # Without its allowed values, a continuous feature is beyond some constraints and engines.
        return False
    return False
