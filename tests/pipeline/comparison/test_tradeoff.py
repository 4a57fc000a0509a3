"""Charts of score against distance, of comparisons written down by hand."""

from typing import Any

import pytest

from pipeline.comparison.figures import look, marker
from pipeline.comparison.methods import Arm, Cell, Comparison, Measure
from pipeline.comparison.pooled import Pooled
from pipeline.comparison.tradeoff import Point, points_of, tradeoffs
from pipeline.distances import RECONSTRUCTED
from pipeline.report.digits import Digits

METHODS = ("exact", "greedy", "random")


def images(**figures: Any) -> dict[str, Any]:
    """Distances of all methods and of a generator's reconstructions, in one network's features."""
    rest = {"n": 60, "frechet_by_degree": {}, "precision": 0.5, "recall": 0.5}
    figures = {"rank_deficient": False, **rest, **figures}
    named = {
        name: {**figures, "frechet": (50.0 + n, 48.0, 59.0), "kernel": (0.5, 0.4, 0.6)}
        for n, name in enumerate(METHODS)
    }
    return named | {RECONSTRUCTED: named["exact"] | {"frechet": (20.0, 19.0, 21.0)}}


def comparison(*entries: dict[str, Any], scored: tuple[str, ...] = METHODS) -> Comparison:
    measure = Measure("query_mean", "Mean", "Of all queries.", "score", Digits(1.0))
    cells = {
        ("query_mean", name): Cell(3, 1.5 + n, 0.25 * (n + 1))
        if name in scored
        else Cell(0, None, None)
        for n, name in enumerate(METHODS)
    }
    told = tuple({"network": f"network {n}", "images": each} for n, each in enumerate(entries))
    arms = tuple(Arm(name, {}) for name in METHODS)
    return Comparison(
        name="by hand",
        arms=arms,
        measures=(measure,),
        cells=cells,
        pairings=(),
        missing=(),
        smoke_test=False,
        mixed=(),
        distances=Pooled(entries=told, runs=dict.fromkeys(METHODS, 3)),
    )


def test_points_are_what_the_tables_have() -> None:
    one = comparison(images())
    assert points_of(one, images(), "frechet")[1] == Point("greedy", 1, 2.5, 0.5, (51, 48, 59))
    assert points_of(one, images(), "kernel")[2] == Point("random", 2, 3.5, 0.75, (0.5, 0.4, 0.6))


def test_a_method_without_score_or_distance_has_no_point_and_the_others_keep_their_looks() -> None:
    partly = images()
    del partly["exact"]
    found = points_of(comparison(partly, scored=("exact", "random")), partly, "frechet")
    assert [(each.arm, each.place) for each in found] == [("random", 2)]
    assert tradeoffs(comparison(partly, scored=("exact", "random"))) == {}


@pytest.mark.parametrize(
    ("rank_deficient", "axis"), [(False, "Fréchet distance"), (True, "kernel distance")]
)
def test_what_is_mostly_bias_is_no_axis(rank_deficient: bool, axis: str) -> None:
    (chart,) = tradeoffs(comparison(images(rank_deficient=rank_deficient))).values()
    assert f"against the {axis} of the queries" in chart.svg


def test_a_chart_for_each_network_that_has_two_methods() -> None:
    of_one = {name: figures for name, figures in images().items() if name not in METHODS[1:]}
    assert list(tradeoffs(comparison(images(), of_one, images()))) == ["tradeoff-0", "tradeoff-2"]


def test_without_distances_there_is_none() -> None:
    assert tradeoffs(comparison()) == {}


def test_looks_differ_among_32_methods() -> None:
    assert len({look(place) for place in range(32)}) == 32
    assert len({(look(place)[0], marker(place)) for place in range(32)}) == 32
