"""How well a surrogate predicts rows that it was not fitted to."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vqlso.contracts import Surrogate
from vqlso.randomness import stream

SHARE = 0.2


def held_out_r2(
    surrogate: Surrogate,
    z: NDArray[np.int64],
    y: NDArray[np.float64],
    *,
    learnt_from: NDArray[np.int64] | None = None,
    updates: int = 1,
) -> float:
    """R^2 on a fifth of the rows.

    Args:
        surrogate: fitted here.
        z: (n, ...) codes.
        y: (n,) scores.
        learnt_from: codes of the same rows to fit to, if not z.
        updates: how often it is fitted.
    """
    learnt_from = z if learnt_from is None else learnt_from
    order = stream(0, "held out").permutation(len(z))
    unseen, seen = np.split(order, [round(SHARE * len(order))])
    for _ in range(updates):
        surrogate.fit(learnt_from[seen], y[seen])
    left = y[unseen] - surrogate.predict(z[unseen])
    return float(1 - np.mean(left**2) / np.var(y[unseen]))
