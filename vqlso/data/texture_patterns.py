"""How each kind of texture is drawn: the share of the second colour at every pixel.

Every pattern takes the pixels' coordinates in its own frame, turned and measured in periods, and
answers in [0, 1]. Edges are as wide as a pixel, so that nothing flickers with the scale.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.floating[Any]]

TURN = np.float32(2 * np.pi)
# Sines that bend the veins of marble.
BENDS = 5


@dataclass(frozen=True)
class Frame:
    """n images of P pixels.

    Attributes:
        u, v: (n, P) float32, coordinates in periods.
        pixel: (n, 1) length of a pixel in periods.
        form: (n, 1) in [0, 1], what is particular to the kind: widths, radii, bends.
        noise: (n, 2 * BENDS) in [0, 1], what makes irregular kinds irregular.
    """

    u: Field
    v: Field
    pixel: Field
    form: Field
    noise: Field

    def inside(self, depth: Field) -> Field:
        """1 where a signed depth in periods is positive, 0 outside, linear over one pixel."""
        share: Field = np.clip(depth / self.pixel + 0.5, 0, 1)
        return share


def stripes(frame: Frame) -> Field:
    """Straight bands; the form is their width."""
    distance = np.abs(_centred(frame.u))
    return frame.inside((0.15 + 0.2 * frame.form) - distance)


def dots(frame: Frame) -> Field:
    """Discs in staggered rows; the form is their radius."""
    row = np.floor(frame.v)
    across = _centred(frame.u + 0.5 * (row % 2))
    return frame.inside((0.22 + 0.18 * frame.form) - np.hypot(across, _centred(frame.v - 0.5)))


def checks(frame: Frame) -> Field:
    """A chequered board; the form stretches its fields."""
    across, along = _centred(frame.u), _centred(frame.v / (1 + frame.form))
    depth = np.minimum(_to_edge(across), _to_edge(along))
    white = (across >= 0) == (along >= 0)
    return np.where(white, frame.inside(depth), 1 - frame.inside(depth))


def waves(frame: Frame) -> Field:
    """Bands that swing from side to side without an edge; the form is how far they swing."""
    swing = (0.25 + 0.35 * frame.form) * np.sin(TURN * frame.v / 2)
    smooth: Field = 0.5 + 0.5 * np.sin(TURN * (frame.u + swing))
    return smooth


def marble(frame: Frame) -> Field:
    """Thin bent veins; the form is how strongly they are bent."""
    bent = frame.u / 2
    for bend in range(BENDS):
        direction = TURN * frame.noise[:, [bend]]
        wave = (np.cos(direction) * frame.u + np.sin(direction) * frame.v) * (0.3 + 0.2 * bend)
        phase = frame.noise[:, [BENDS + bend]]
        strength = (0.15 + 0.2 * frame.form) / (1 + 0.5 * bend)
        bent = bent + strength * np.sin(TURN * (wave + phase))
    vein: Field = (1 - np.abs(np.sin(TURN * bent))) ** 2
    return vein


def bricks(frame: Frame) -> Field:
    """Rows of bricks of two to one, each of its own tone, in mortar; the form is the joint."""
    row = np.floor(frame.v)
    along = frame.u / 2 + 0.5 * (row % 2)
    brick = np.floor(along)
    # Distances to the joints in periods; a brick is two periods long and one high.
    depth = np.minimum(1 - 2 * np.abs(along - brick - 0.5), 0.5 - np.abs(frame.v - row - 0.5))
    tone = 0.65 + 0.35 * _scattered(brick, row, frame.noise)[0]
    return tone * frame.inside(depth - (0.05 + 0.07 * frame.form))


def cells(frame: Frame) -> Field:
    """Cells around scattered points, with walls between; the form is how irregular they are."""
    column, row = np.floor(frame.u), np.floor(frame.v)
    nearest = np.full_like(frame.u, np.inf)
    second = nearest.copy()
    for right, down in product((-1, 0, 1), repeat=2):
        x, y = column + right, row + down
        first, other = _scattered(x, y, frame.noise)
        spread = 0.4 + 0.6 * frame.form
        across = x + 0.5 + spread * (first - 0.5) - frame.u
        along = y + 0.5 + spread * (other - 0.5) - frame.v
        distance = np.hypot(across, along)
        np.minimum(second, np.maximum(nearest, distance), out=second)
        np.minimum(nearest, distance, out=nearest)
    walls = frame.inside((second - nearest) / 2 - 0.05)
    lit: Field = walls * np.clip(1.1 - 0.7 * nearest, 0, 1)
    return lit


def cloth(frame: Frame) -> Field:
    """Plain weave: threads over and under each other; the form is how far they stand apart."""
    u, v = 2 * frame.u, 2 * frame.v
    across, along = _centred(u - 0.5), _centred(v - 0.5)
    over = (np.floor(u) + np.floor(v)) % 2 == 0
    # A thread is lit along its ridge and darkens where it dives below the other.
    side, dive = np.where(over, across, along), np.where(over, along, across)
    ridge = np.clip(1 - (2.2 + 1.2 * frame.form) ** 2 * side * side, 0, 1)
    brightness = np.where(over, np.float32(1), np.float32(0.6))
    lit: Field = ridge * (1 - 1.6 * dive * dive) * brightness
    return lit


KINDS: dict[str, Callable[[Frame], Field]] = {
    "stripes": stripes,
    "dots": dots,
    "checks": checks,
    "waves": waves,
    "marble": marble,
    "bricks": bricks,
    "cells": cells,
    "cloth": cloth,
}


def _centred(x: Field) -> Field:
    """How far x is from the nearest whole number, with its sign, in [-1/2, 1/2]."""
    offset: Field = x - np.rint(x)
    return offset


def _to_edge(centred: Field) -> Field:
    """How far from where a check begins or ends: at 0 and at 1/2."""
    distance: Field = np.minimum(np.abs(centred), 0.5 - np.abs(centred))
    return distance


def _scattered(x: Field, y: Field, noise: Field) -> tuple[Field, Field]:
    """Two numbers in [0, 1) for each pair of whole numbers, without any order to the eye."""
    mixed = np.sin(x * np.float32(12.99) + y * np.float32(78.23) + TURN * noise[:, [0]])
    first = (mixed * np.float32(437.58)) % 1
    return first, (mixed * np.float32(1731.7)) % 1
