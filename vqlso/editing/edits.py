"""Edits of latents: along one direction, along several at once or in turn, and conditional ones.

A latent has the shape (*shape) of its space, and an edit vector d the same. Adding d raises the
attribute that d was found for, subtracting it lowers it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vqlso.errors import LatentSpaceError

Vector = NDArray[np.float64]

# What is left of a direction behind a projection, relative to it, is rounding below this.
NOTHING_LEFT = 1e-6


@dataclass(frozen=True)
class LevelEdit:
    """An edit towards a level of an attribute.

    Attributes:
        d: (*shape), the edit vector.
        target: the level in [0, 1] that is aimed at.
        levels: (n, *shape) latents -> (n,) levels, such as `Direction.levels`.
    """

    d: Vector
    target: float
    levels: Callable[[Vector], Vector]


def moved(latents: Vector, d: Vector, strengths: Sequence[float] | Vector) -> Vector:
    """Every latent by every strength.

    Args:
        latents: (n, *shape).
        d: (*shape).
        strengths: (k,), factors of d; 0 leaves a latent as it is.

    Returns:
        (n, k, *shape).
    """
    steps = np.multiply.outer(np.asarray(strengths, dtype=np.float64), d)
    return np.asarray(latents[:, None] + steps[None])


def towards(latents: Vector, d: Vector, levels: Vector, target: float) -> Vector:
    """w + (target - level) d, the edit that is evaluated (Zhuang et al. 2021).

    Args:
        latents: (n, *shape).
        d: (*shape).
        levels: (n,), the attribute's levels before.
        target: the level that is aimed at.
    """
    return np.asarray(latents + np.multiply.outer(target - levels, d))


def edited_together(
    latents: Vector, directions: Sequence[Vector], strengths: Sequence[float]
) -> Vector:
    """(n, *shape) latents moved along several directions at once."""
    total = sum(
        (strength * d for strength, d in zip(strengths, directions, strict=True)),
        start=np.zeros(latents.shape[1:]),
    )
    return np.asarray(latents + total)


def edited_in_turn(latents: Vector, edits: Sequence[LevelEdit]) -> Vector:
    """(n, *shape) latents moved towards one level after the other.

    Each edit starts from the level that the ones before it have left.
    """
    for edit in edits:
        latents = towards(latents, edit.d, edit.levels(latents), edit.target)
    return latents


def conditional(d: Vector, keep: Sequence[Vector]) -> Vector:
    """d without its part along the directions of attributes to keep (Shen et al. 2020, 3.2).

    The result is at a right angle to all of them, and shorter.

    Raises:
        LatentSpaceError: nothing of d is left.
    """
    if not keep:
        return d
    kept = np.stack([each.ravel() for each in keep], axis=1)
    part = kept @ np.linalg.lstsq(kept, d.ravel(), rcond=None)[0]
    rest = d - part.reshape(d.shape)
    if np.linalg.norm(rest) <= NOTHING_LEFT * np.linalg.norm(d):
        raise LatentSpaceError(
            "The direction lies within those of the attributes to keep: nothing of it is left to "
            "edit with. Keep fewer attributes."
        )
    return np.asarray(rest)
