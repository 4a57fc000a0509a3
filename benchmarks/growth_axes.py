"""What grows in `benchmarks.growth`: points around a default, one axis at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

GRID_BOOSTING, LIGHTGBM = "grid_boosting", "lightgbm"


@dataclass(frozen=True)
class Point:
    """One query's fit and solve.

    Attributes:
        rows: that the surrogate is fitted to.
        categories: K, codes of a cell.
        grid: cells an edge.
        trees, depth: of the surrogate.
        t: free cells.
        surrogate: `GRID_BOOSTING`, which grows depth 2 only, or `LIGHTGBM`.
    """

    rows: int = 10_000
    categories: int = 256
    grid: int = 8
    trees: int = 800
    depth: int = 2
    t: int = 8
    surrogate: str = GRID_BOOSTING


@dataclass(frozen=True)
class ImagePoint:
    """Training and encoding by a VQ-VAE of half the paper's width, as the demo has it.

    Attributes:
        size: H = W in pixels.
        batch: images a step.
        steps: that are timed.
    """

    size: int = 64
    batch: int = 128
    steps: int = 10


AnyPoint = Point | ImagePoint


@dataclass(frozen=True)
class Axis:
    """What is varied, and over which values.

    Attributes:
        name: for tables.
        field: of the point.
        values: ascending.
        base: the point that everything else is taken from.
        surrogates: measured; empty for images.
        alone: whether the solve is what the axis is about, so that fits are not told.
    """

    name: str
    field: str
    values: tuple[int, ...]
    base: AnyPoint = Point()
    surrogates: tuple[str, ...] = (GRID_BOOSTING, LIGHTGBM)
    alone: bool = False

    @property
    def quantities(self) -> tuple[str, ...]:
        """What is told of its points."""
        if isinstance(self.base, ImagePoint):
            return ("train", "encode", "memory")
        return ("solve",) if self.alone else ("fit", "solve", "memory")

    @property
    def default(self) -> int:
        """Where the other axes hold this one."""
        return int(getattr(type(self.base)(), self.field))

    def points(self) -> Iterator[tuple[str, list[tuple[int, AnyPoint]]]]:
        """The values with their points, surrogate by surrogate."""
        if isinstance(self.base, ImagePoint):
            yield "vqvae", [(value, replace(self.base, size=value)) for value in self.values]
            return
        for surrogate in self.surrogates:
            yield (
                surrogate,
                [
                    (value, replace(self.base, surrogate=surrogate, **{self.field: value}))
                    for value in self.values
                ],
            )


AXES = (
    Axis("free cells", "t", (4, 8, 16, 32, 64), surrogates=(GRID_BOOSTING,), alone=True),
    Axis("codes", "categories", (256, 512, 1024)),
    Axis("grid", "grid", (8, 16, 32)),
    Axis("trees", "trees", (100, 200, 400, 800, 1600, 3000)),
    Axis(
        "trees, all cells free",
        "trees",
        (100, 200, 400, 800, 1600, 3000),
        Point(t=64),
        (GRID_BOOSTING,),
        alone=True,
    ),
    Axis("depth", "depth", (2, 3), surrogates=(LIGHTGBM,)),
    Axis("rows", "rows", (1000, 3000, 10_000, 30_000, 100_000, 300_000, 1_000_000)),
    Axis("image size", "size", (32, 64, 96, 128), ImagePoint(), ()),
)
# The plumbing alone.
QUICK = (
    Axis("free cells", "t", (2, 4), Point(rows=400, trees=20), (GRID_BOOSTING,), alone=True),
    Axis("rows", "rows", (300, 400, 1000), Point(trees=20)),
    Axis("image size", "size", (16, 32), ImagePoint(batch=8, steps=1), ()),
)
