"""Which constraints contradict one another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from solvers.trees.backends.contract import Backend, InfeasibleError, Task
from solvers.trees.constraints import Constraint
from solvers.trees.instance import Instance


def conflict(instance: Instance, engine: Backend) -> str:
    """A message that names a smallest set of constraints that no point satisfies.

    One constraint after the other is left out; those that are not missed stay out (the deletion
    filter of Chinneck and Dravnieks, ORSA Journal on Computing 3(2), 1991).
    """
    kept = list(instance.constraints)
    for constraint in instance.constraints:
        others = [other for other in kept if other is not constraint]
        if _is_infeasible(instance, others, engine):
            kept = others
    names = "; ".join(constraint.name for constraint in kept)
    if len(kept) == 1:
        return f"No point satisfies the constraint: {names}."
    return (
        f"No point satisfies all constraints: {names}. Each of these {len(kept)} alone can be "
        "left out to make them satisfiable."
    )


def _is_infeasible(instance: Instance, constraints: Sequence[Constraint], engine: Backend) -> bool:
    # What the trees predict decides nothing here, and without them every solve is quick.
    smaller = Instance.checked(
        replace(instance.ensemble, roots=np.empty(0, dtype=np.int64)),
        instance.free,
        instance.reference,
        allowed=instance.allowed,
        constraints=constraints,
    )
    try:
        engine.solve(Task(smaller))
    except InfeasibleError:
        return True
    return False
