"""Choices that no optimum needs are taken from an instance before another engine states it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from solvers.trees.backends.contract import Task
from solvers.trees.errors import UnsupportedError
from solvers.trees.tables.proof import MOST_SWEEPS, tightened
from solvers.trees.tables.statement import as_problem, points_of


def narrowed(task: Task) -> Task:
    """The task with the choices that dominance and bounds leave, and the best point they met.

    The k best of these are the k best of all. What tables cannot express stays as it is.
    """
    instance = task.instance
    may_dominate = task.k == 1
    try:
        problem, rows = as_problem(instance, task.limits, may_dominate)
    except UnsupportedError:
        return task
    known = None if task.start is None else instance.choices(task.start)
    start = np.full(len(instance.free), -1) if known is None else known
    factors = problem.factors
    pool = tightened(factors, rows, start, task.k, may_dominate, MOST_SWEEPS).pool
    left = [
        np.sort(factors.choice[cell, :n]) for cell, n in enumerate(factors.n_labels[:-1].tolist())
    ]
    best = task.start
    if pool.values[0] > -np.inf:
        best = instance.point(points_of(instance, factors, pool.points[:1])[0])
    return replace(task, instance=instance.with_choices(left), start=best)
