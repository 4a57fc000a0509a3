"""Procedural textures with a class each: a second domain, with nothing to download."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vqlso.data.image_set import ImageSet
from vqlso.data.texture_patterns import BENDS, KINDS, TURN, Frame
from vqlso.errors import DataError
from vqlso.randomness import stream

__all__ = ["CLASSES", "TextureParameters", "procedural_textures", "render", "sample_parameters"]

# In the order of the labels.
CLASSES = tuple(KINDS)

# Part of every fingerprint: to be raised whenever a pixel or a distribution changes.
RENDERER_VERSION = 1

FRAME = 64.0
# What a kind is turned by at most, in turns: a wall that leans is no wall, and a board looks the
# same after a quarter turn.
_LEAN = {"bricks": 0.03, "checks": 0.125, "dots": 0.125, "cloth": 0.125}
_ANY_ANGLE = 0.25
# Periods of irregular kinds are long: few of them are to be seen at once.
_SCALES = {"cloth": (1.1, 1.6), "cells": (1.0, 1.5), "marble": (1.3, 2.2), "bricks": (0.7, 1.1)}
_ANY_SCALE = (0.8, 1.5)
_PERIOD = 14.0
# As many numbers as a texture is made of; drawn in one go, so that texture i is the same for any n.
_DRAWS = 9 + 2 * BENDS
# A block's intermediate arrays are to stay in the processor's second-level cache.
_BLOCK = 16


@dataclass(frozen=True)
class TextureParameters:
    """n textures; scalars are (n,) float64.

    Attributes:
        kind: (n,) int64, index into `CLASSES`.
        period: what repeats, in pixels of the 64-pixel frame.
        angle: in turns.
        phase: (n, 2) in periods.
        form: in [0, 1], what is particular to the kind.
        colour: (n, 3) sRGB in [0, 1] of the ground.
        other: (n, 3) of the pattern.
        contrast: in [0, 1], how much darker the one is than the other.
        noise: (n, 2 * BENDS) in [0, 1].
    """

    kind: NDArray[np.int64]
    period: NDArray[np.float64]
    angle: NDArray[np.float64]
    phase: NDArray[np.float64]
    form: NDArray[np.float64]
    colour: NDArray[np.float64]
    other: NDArray[np.float64]
    contrast: NDArray[np.float64]
    noise: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.kind)


def procedural_textures(n: int, seed: int, size: int = 64) -> ImageSet:
    """n textures, labelled with the index of their class in `CLASSES`.

    Texture i is the same whatever n, and of class i modulo the number of classes.

    Args:
        n: number of textures, >= 1.
        seed: >= 0.
        size: height and width in pixels, >= 16.

    Returns:
        images (n, 3, size, size) uint8 and labels (n,) float64.

    Raises:
        DataError: n or size is too small.
    """
    if n < 1:
        raise DataError(f"{n} procedural textures were asked for: ask for at least one.")
    parameters = sample_parameters(n, stream(seed, "procedural textures"))
    settings = f"procedural textures {RENDERER_VERSION} n={n} seed={seed} size={size}"
    return ImageSet(
        name="textures",
        images=render(parameters, size),
        labels=parameters.kind.astype(np.float64),
        people=np.arange(n, dtype=np.int64),
        fingerprint=hashlib.sha256(settings.encode()).hexdigest()[:16],
        label_origin="ground truth of the renderer",
    )


def sample_parameters(n: int, rng: np.random.Generator) -> TextureParameters:
    """n textures, the classes in turn, everything else drawn independently of each other."""
    drawn = rng.random((n, _DRAWS))
    kind = np.arange(n) % len(CLASSES)
    scales = np.array([_SCALES.get(name, _ANY_SCALE) for name in CLASSES])[kind]
    leans = np.array([_LEAN.get(name, _ANY_ANGLE) for name in CLASSES])[kind]
    colour, other, contrast = _colours(drawn[:, 5:9])
    return TextureParameters(
        kind=kind,
        period=_PERIOD * (scales[:, 0] + (scales[:, 1] - scales[:, 0]) * drawn[:, 0]),
        angle=leans * (2 * drawn[:, 1] - 1),
        phase=drawn[:, 2:4],
        form=drawn[:, 4],
        colour=colour,
        other=other,
        contrast=contrast,
        noise=drawn[:, 9:],
    )


def render(parameters: TextureParameters, size: int = 64) -> NDArray[np.uint8]:
    """(n, 3, size, size) uint8 pictures of these textures.

    Raises:
        DataError: size is below 16, where no pattern is left.
    """
    if size < 16:
        raise DataError(f"Textures of {size} pixels cannot be drawn: choose at least 16.")
    images = np.empty((len(parameters), 3, size * size), dtype=np.uint8)
    for index, name in enumerate(CLASSES):
        rows = np.flatnonzero(parameters.kind == index)
        for start in range(0, len(rows), _BLOCK):
            block = rows[start : start + _BLOCK]
            share = KINDS[name](_frame(parameters, block, size))[:, None]
            ground, pattern = _columns(parameters.colour[block]), _columns(parameters.other[block])
            images[block] = (255 * (ground + (pattern - ground) * share) + 0.5).astype(np.uint8)
    return images.reshape(-1, 3, size, size)


def _frame(parameters: TextureParameters, rows: NDArray[np.int64], size: int) -> Frame:
    def column(values: NDArray[np.float64]) -> NDArray[np.float32]:
        return values[rows, None].astype(np.float32)

    step = FRAME / size
    axis = ((np.arange(size) + 0.5) * step - FRAME / 2).astype(np.float32)
    x, y = np.tile(axis, size)[None], np.repeat(axis, size)[None]
    period, angle = column(parameters.period), TURN * column(parameters.angle)
    cosine, sine = np.cos(angle) / period, np.sin(angle) / period
    phase = parameters.phase[rows].astype(np.float32)
    return Frame(
        u=cosine * x + sine * y + phase[:, :1],
        v=cosine * y - sine * x + phase[:, 1:],
        pixel=np.float32(step) / period,
        form=column(parameters.form),
        noise=parameters.noise[rows].astype(np.float32),
    )


def _columns(colours: NDArray[np.float64]) -> NDArray[np.float32]:
    return colours[:, :, None].astype(np.float32)


def _colours(
    drawn: NDArray[np.floating[Any]],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """A light colour, a darker one of another hue, and how much darker, from (n, 4) in [0, 1]."""
    hue, turned, light, dark = drawn.T
    contrast = 0.35 + 0.5 * dark
    lightness = 0.75 + 0.25 * light
    bright = lightness[:, None] * _hued(hue, saturation=0.55)
    deep = (lightness * (1 - contrast))[:, None] * _hued(hue + 0.5 * turned, saturation=0.8)
    return deep, bright, contrast


def _hued(hue: NDArray[np.floating[Any]], saturation: float) -> NDArray[np.float64]:
    """(n,) hues in turns -> (n, 3) of full lightness."""
    thirds = np.array([0, 1, 2]) / 3
    full: NDArray[np.float64] = 0.5 + 0.5 * np.cos(2 * np.pi * (hue[:, None] - thirds))
    return 1 - saturation * (1 - full)
