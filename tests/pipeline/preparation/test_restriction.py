"""Where the training set is cut off when nobody says so."""

import numpy as np
import pytest

from pipeline.preparation.preparing import restriction


@pytest.mark.parametrize(
    ("given", "labels", "value", "reason"),
    [
        (None, [0, 1, 3, 5], 2.0, "paper"),
        (None, [0.0, 1.5, 4.2], 2.0, "paper"),
        (3.5, [0, 100], 3.5, "configured"),
        (2.0, [-20, 30], 2.0, "configured"),
        (None, [-20, 0, 30], 0.0, "median"),
        (None, [1e9, 1e9 + 1, 1e9 + 2, 1e9 + 3], 1e9 + 1.5, "median"),
        (None, [0.1, 0.2, 0.9], 0.2, "median"),
    ],
)
def test_degrees_are_cut_at_two_and_other_scales_in_the_middle(
    given: float | None, labels: list[float], value: float, reason: str
) -> None:
    found, why = restriction(given, np.array(labels, dtype=float))
    assert found == value
    assert reason in why
