"""Anti-aliased drawing on many small pictures at once.

A shape is a signed distance in pixels of the 64-pixel frame, negative inside. Only correctly
rounded operations (+ - * / sqrt) touch pixels, so that the bytes agree between machines and
do not depend on how many pictures share an array.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.floating[Any]]
FRAME = 64


def colour(red: float, green: float, blue: float) -> Field:
    """(1, 3, 1) one sRGB colour or tint for all pictures."""
    return np.array([red, green, blue], dtype=np.float32)[None, :, None]


@dataclass(frozen=True)
class Canvas:
    """b pictures under paint; the pixels of each lie in one row, so that rows broadcast fast.

    Attributes:
        pixels: (b, 3, P) float32 sRGB, changed in place.
        x, y: (b, P) float32 coordinates of the pixels in the picture's own system.
        pixels_per_unit: rendered pixels per pixel of the 64-pixel frame.
        shape: (rows, columns), rows * columns = P.
    """

    pixels: Field
    x: Field
    y: Field
    pixels_per_unit: float
    shape: tuple[int, int]

    def coverage(self, distance: Field) -> Field:
        """(b, P) share of each pixel that lies inside: a ramp of one pixel over the edge."""
        out: Field = np.clip(0.5 - distance * np.float32(self.pixels_per_unit), 0.0, 1.0)
        return out

    def strip(self, first: Field, second: Field) -> Field:
        """(b, P) share between two facing edges, right also where they are under a pixel apart."""
        return np.maximum(self.coverage(first) + self.coverage(second) - 1, 0)

    def paint(self, coverage: Field, colour: NDArray[Any]) -> None:
        """Lay a colour, (b, 3, 1) or (b, 3, P), over the pixels with this opacity, (b, P)."""
        change = colour - self.pixels
        change *= coverage[:, None]
        self.pixels[...] += change

    def shade(self, factor: Field) -> None:
        """Multiply the pixels by (b, P), or by (b, 3, P) for a tint."""
        self.pixels[...] *= factor if factor.ndim == 3 else factor[:, None]

    def window(self, top: float, bottom: float, left: float, right: float) -> Window:
        """A copy of a rectangle, given in units from the frame's centre, to be pasted back."""
        rows, columns = self.shape
        bounds = [(edge + FRAME / 2) * self.pixels_per_unit for edge in (top, bottom, left, right)]
        first_row, last_row, first, last = (round(bound) for bound in bounds)
        area = (
            slice(max(first_row, 0), min(last_row, rows)),
            slice(max(first, 0), min(last, columns)),
        )
        return Window(self, area)


class Window:
    """Context manager that paints on a small part of a canvas at the cost of that part."""

    def __init__(self, canvas: Canvas, area: tuple[slice, slice]) -> None:
        self._canvas = canvas
        self._area = area

    def __enter__(self) -> Canvas:
        rows, columns = self._area
        self._part = Canvas(
            pixels=self._cut(self._canvas.pixels),
            x=self._cut(self._canvas.x),
            y=self._cut(self._canvas.y),
            pixels_per_unit=self._canvas.pixels_per_unit,
            shape=(rows.stop - rows.start, columns.stop - columns.start),
        )
        return self._part

    def __exit__(self, *_: object) -> None:
        whole = self._whole(self._canvas.pixels)
        target = whole[(..., *self._area)]
        target[...] = self._part.pixels.reshape(target.shape)

    def _whole(self, plane: Field) -> Field:
        return plane.reshape(*plane.shape[:-1], *self._canvas.shape)

    def _cut(self, plane: Field) -> Field:
        part = self._whole(plane)[(..., *self._area)]
        return part.reshape(*plane.shape[:-1], -1)


def ellipse(x: Field, y: Field, half_width: Any, half_height: Any) -> Field:
    """Distance to an ellipse around the origin, to first order: (|p/r| - 1) / |grad |p/r||."""
    a, b = x / half_width, y / half_height
    level = np.sqrt(a * a + b * b) + np.float32(1e-6)
    slope = np.sqrt((a / half_width) ** 2 + (b / half_height) ** 2) + np.float32(1e-6)
    out: Field = level * (level - 1) / slope
    return out


def segment(x: Field, y: Field, start: tuple[Any, Any], end: tuple[Any, Any]) -> Field:
    """Distance to the line between two points."""
    run, rise = end[0] - start[0], end[1] - start[1]
    along = ((x - start[0]) * run + (y - start[1]) * rise) / (run * run + rise * rise)
    along = np.clip(along, 0.0, 1.0)
    dx, dy = x - start[0] - along * run, y - start[1] - along * rise
    out: Field = np.sqrt(dx * dx + dy * dy)
    return out


def union(first: Field, second: Field, rounding: float) -> Field:
    """Distance to either of two shapes, with the corner between them filled in."""
    gap = first - second
    out: Field = (first + second - np.sqrt(gap * gap + rounding * rounding)) / 2
    return out


def spot(x: Field, y: Field, half_width: Any, half_height: Any) -> Field:
    """A soft blob around the origin: 1 in its middle, 0 outside the ellipse, smooth between."""
    a, b = x / half_width, y / half_height
    fall = np.maximum(1 - a * a - b * b, 0)
    out: Field = fall * fall
    return out


def soft_line(distance: Field, width: Any) -> Field:
    """A soft stroke along distance 0: 1 on it, 0 beyond `width`."""
    a = distance / width
    fall = np.maximum(1 - a * a, 0)
    out: Field = fall * fall
    return out
