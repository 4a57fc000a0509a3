"""Single points of growth, small enough to be measured here."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.growth import measured
from benchmarks.growth_axes import GRID_BOOSTING, LIGHTGBM, Axis, ImagePoint, Point
from benchmarks.growth_point import image_point, query_point

SMALL = Point(rows=400, categories=8, grid=2, trees=10, t=2)


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    """Codes whose first cell decides the score."""
    rng = np.random.default_rng(0)
    codes = rng.integers(SMALL.categories, size=(SMALL.rows, SMALL.grid**2))
    path = tmp_path / "rows.npz"
    np.savez(path, codes=codes.astype(np.uint16), scores=codes[:, 0] + rng.normal(size=len(codes)))
    return path


class Prepared:
    """The same file for every point."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def of(self, point: Point) -> Path:
        return self.path


@pytest.mark.parametrize("surrogate", [GRID_BOOSTING, LIGHTGBM])
def test_a_query_is_fitted_and_proven(rows: Path, surrogate: str) -> None:
    told = query_point(Point(400, 8, 2, 10, 2, 2, surrogate), rows, seconds=20.0)
    assert told["proven"]
    assert told["fit"] > 0
    assert told["solve"] > 0
    assert told["peak"] >= told["before"] > 0
    assert told["memory"] >= 0


def test_rows_of_another_point_are_refused(rows: Path) -> None:
    with pytest.raises(ValueError, match="holds"):
        query_point(Point(rows=401, categories=8, grid=2, trees=10, t=2), rows, seconds=20.0)


def test_images_are_trained_on_and_encoded() -> None:
    told = image_point(ImagePoint(size=16, batch=4, steps=1))
    assert told["train"] > 0
    assert told["encode"] > 0


def test_every_point_has_a_process_and_a_limit(rows: Path) -> None:
    axis = Axis("free cells", "t", (1, 2), SMALL, (GRID_BOOSTING,), alone=True)
    [series] = measured(axis, Prepared(rows), 100.0)  # type: ignore[arg-type]
    assert series.values == [1, 2]
    assert not series.ended
    [cut] = measured(axis, Prepared(rows), 0.01)  # type: ignore[arg-type]
    assert cut.values == []
    assert cut.ended_at == 1
