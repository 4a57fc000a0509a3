"""Which method is ahead on every axis, on figures made up by hand."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from benchmarks.dominance import AXES, differences, dominates, reached, tables
from pipeline.comparison.methods import Arm

SEEDS = (0, 1, 2)


def summary(degree: float, judged: float, untrained: float, trained: float) -> dict[str, Any]:
    distances = [{"images": {"queries": {"frechet": [x, 0.0, 99.0]}}} for x in (untrained, trained)]
    return {"query_mean": degree, "judge": {"query_mean": judged}, "distances": distances}


def arm(label: str, *axes: float, wobble: float = 0.01) -> Arm:
    """Figures of each seed: the given ones and a little more with each seed."""
    runs = {
        seed: SimpleNamespace(summary=summary(*(value + wobble * seed * seed for value in axes)))
        for seed in SEEDS
    }
    return Arm(label, cast(Any, runs))


FIRST = arm("first", 1.0, 1.0, 5.0, 50.0, wobble=0.0)


@pytest.mark.parametrize(
    ("axes", "wobble", "expected"),
    [
        ((2.0, 2.0, 4.0, 40.0), 0.01, True),
        ((2.0, 2.0, 4.0, 60.0), 0.01, False),  # farther in one network
        ((0.5, 2.0, 4.0, 40.0), 0.01, False),  # the queried scorer sees no gain
        ((2.0, 2.0, 4.0, 40.0), 1.0, False),  # the same means, but seeds differ more than arms
    ],
)
def test_ahead_on_every_axis_and_clear_of_zero(
    axes: tuple[float, ...], wobble: float, expected: bool
) -> None:
    ours, theirs = (reached(each, AXES) for each in (arm("other", *axes, wobble=wobble), FIRST))
    assert dominates(differences(ours, theirs), AXES) is expected


def test_the_tables_say_what_was_reached_and_by_how_much() -> None:
    arms = [FIRST, arm("other", 2.0, 2.0, 4.0, 40.0, wobble=0.0)]
    reached_table, difference_table = tables(arms, AXES).split("\n\n")
    assert reached_table.splitlines()[2] == "| first | 3 | 1.00 | 1.00 | 5.00 | 50.0 |"
    assert difference_table.splitlines()[2:] == [
        "| other | 3 | +1 ± 0 | +1 ± 0 | -1 ± 0 | -10 ± 0 | yes |"
    ]
