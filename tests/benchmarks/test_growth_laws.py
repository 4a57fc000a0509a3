"""Exponents and walls of growth, on laws that are known."""

from math import isinf, isnan

import pytest

from benchmarks.growth import MOST_MEMORY, Series, record, table, walls_of
from benchmarks.growth_axes import AXES, LIGHTGBM, QUICK, Axis, ImagePoint, Point
from benchmarks.growth_laws import CURE, WHY, exponent, reached


@pytest.mark.parametrize("power", [0.5, 1.0, 2.0, 3.0])
def test_a_power_law_has_its_exponent(power: float) -> None:
    values = [1, 2, 4, 8, 16]
    assert exponent(values, [3 * value**power for value in values]) == pytest.approx(power)


def test_what_is_fixed_at_the_lower_half_does_not_count() -> None:
    values = [1, 2, 4, 8, 16, 32]
    assert exponent(values, [64, 64, 64, 64, 256, 1024]) == pytest.approx(2)


def test_two_points_are_enough_and_one_is_not() -> None:
    assert exponent([2, 3], [4, 9]) == pytest.approx(2)
    assert isnan(exponent([2], [4]))
    assert isnan(exponent([1, 2], [0, 4]))


def test_where_a_law_reaches_its_limit() -> None:
    values = [1, 10, 100, 1000]
    assert reached(values, [2 * value for value in values], 2e6) == pytest.approx(1e6)
    assert isinf(reached(values, [5, 5, 5, 5], 6))
    assert isinf(reached(values, [8, 4, 2, 1], 6))


def _series(**changes: object) -> Series:
    points = [{"fit": 0.001 * rows, "memory": rows / 10} for rows in (1000, 2000, 4000)]
    made = Series("rows", 1000, "lightgbm", ("fit", "memory"), [1000, 2000, 4000], points)
    for name, value in changes.items():
        setattr(made, name, value)
    return made


def test_the_nearest_wall_comes_first() -> None:
    walls = walls_of([_series()])
    # 60 s at 60,000 rows, and 4 GiB at 40,960.
    assert [wall.quantity for wall in walls] == ["memory", "fit"]
    assert [wall.times for wall in walls] == pytest.approx([MOST_MEMORY / 100, 60])
    assert not any(wall.observed for wall in walls)


def test_a_point_over_the_limit_is_a_wall_that_was_seen() -> None:
    series = _series()
    series.end(8000, "more than 60 s in all")
    nearest = walls_of([series])[0]
    assert (nearest.observed, nearest.value, nearest.times) == (True, 8000, 8)
    assert "8,000: more than 60 s in all" in table([series])["rows"][0][3]


def test_far_walls_are_not_told() -> None:
    assert walls_of([_series(default=1)]) == []


def test_an_axis_changes_one_thing() -> None:
    axis = Axis("rows", "rows", (10, 20), Point(trees=5), (LIGHTGBM,))
    [(subject, points)] = list(axis.points())
    assert subject == LIGHTGBM
    assert points == [(n, Point(rows=n, trees=5, surrogate=LIGHTGBM)) for n in (10, 20)]
    images = Axis("image size", "size", (32, 64), ImagePoint(), ())
    assert list(images.points()) == [("vqvae", [(32, ImagePoint(32)), (64, ImagePoint(64))])]


@pytest.mark.parametrize("axis", [*AXES, *QUICK], ids=lambda axis: axis.name)
def test_every_exponent_is_explained(axis: Axis) -> None:
    assert {(axis.name, quantity) for quantity in axis.quantities} <= set(WHY)
    assert list(axis.values) == sorted(set(axis.values))
    assert axis.default in axis.values or axis in QUICK


def test_cures_are_of_walls_that_there_are() -> None:
    told = {(axis.name, quantity) for axis in AXES for quantity in axis.quantities}
    assert set(CURE) <= told


def test_a_record_holds_the_exponents() -> None:
    [series] = record([_series()])["series"]
    assert series["exponents"] == pytest.approx({"fit": 1.0, "memory": 1.0})
