"""Who is drawn: the parameters of procedural faces, and how they are distributed.

Lengths are pixels of the 64-pixel frame, measured from its centre, x to the right and y down,
whatever the size that is rendered. Colours are sRGB in [0, 1].
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

# More than are used, so that a new nuisance drawn last leaves the others as they were.
_DRAWS = 96
# Share of faces below each degree 0..5; linear between.
_DEGREE_SHARE = (0.0, 0.50, 0.70, 0.86, 0.96, 1.0)

Colour = tuple[float, float, float]
Column = NDArray[np.floating[Any]]

_SKIN: Sequence[Colour] = (
    (0.98, 0.86, 0.77),
    (0.95, 0.79, 0.67),
    (0.89, 0.70, 0.55),
    (0.78, 0.58, 0.43),
    (0.62, 0.43, 0.31),
    (0.45, 0.30, 0.22),
)
_HAIR: Sequence[Colour] = (
    (0.10, 0.08, 0.08),
    (0.18, 0.12, 0.09),
    (0.30, 0.19, 0.12),
    (0.44, 0.28, 0.16),
    (0.55, 0.29, 0.15),
    (0.72, 0.53, 0.30),
    (0.86, 0.71, 0.45),
)
_GREY_HAIR: Colour = (0.60, 0.58, 0.57)
_IRIS: Sequence[Colour] = (
    (0.28, 0.17, 0.10),
    (0.38, 0.24, 0.13),
    (0.42, 0.38, 0.20),
    (0.30, 0.45, 0.33),
    (0.30, 0.47, 0.62),
    (0.42, 0.50, 0.55),
)
_LIP: Sequence[Colour] = (
    (0.80, 0.50, 0.45),
    (0.78, 0.42, 0.41),
    (0.74, 0.30, 0.33),
    (0.66, 0.26, 0.32),
)
_BACKGROUND: Sequence[Colour] = (
    (0.72, 0.76, 0.80),
    (0.62, 0.70, 0.70),
    (0.80, 0.76, 0.70),
    (0.66, 0.64, 0.70),
    (0.55, 0.60, 0.66),
)
_CLOTHES: Sequence[Colour] = (
    (0.25, 0.30, 0.42),
    (0.50, 0.28, 0.30),
    (0.30, 0.40, 0.36),
    (0.70, 0.68, 0.66),
    (0.22, 0.22, 0.25),
)
_FRAME: Sequence[Colour] = (
    (0.10, 0.10, 0.12),
    (0.30, 0.18, 0.12),
    (0.45, 0.43, 0.42),
)


@dataclass(frozen=True)
class FaceParameters:
    """n faces; scalars are (n,) float64, colours (n, 3) float64.

    Attributes:
        degree: smile degree in [0, 5]; everything else is a nuisance independent of it.
        shift_x, shift_y: position of the head.
        half_roll: tan(roll / 2), from which the rotation follows without trigonometry.
        yaw: turn of the head in [-1, 1]; moves the features against the head's outline.
        face_width, face_height: half axes of the face.
        jaw: 0 pointed .. 1 square.
        skin, hair, iris, lip, clothes, frame: albedos; `frame` is the spectacles'.
        hairline: y of the hairline's middle; hair_drop: how far it falls towards the temples.
        parting: x where the hairline is highest.
        hair_volume: thickness of the hair around the head; hair_end: y where it ends.
        hair_gloss: strength of the highlight.
        eye_spacing, eye_width, eye_height, eye_tilt, gaze: of both eyes.
        brow_height, brow_thickness, brow_arch: of both brows.
        nose_length, nose_width: the tip's y and the wings' x.
        glasses: 1 worn, 0 not; lens_height: half height of a lens.
        beard, moustache: density in [0, 1].
        mouth_y, mouth_width: where the mouth is, and its width relative to the average.
        lip_fullness: thickness relative to the average.
        rest_lift: how far the resting mouth's corners stand above its middle.
        asymmetry: share by which the right corner is lifted more than the left.
        teeth: height of the upper row.
        blush: rosiness of the cheeks at rest.
        age: strength of folds in [0, 1].
        light_x, light_y: where the light comes from, times its strength.
        warmth: tint of the light in [-1, 1], blue to orange.
        background, background_end: colours of the backdrop's two sides.
    """

    degree: Column
    shift_x: Column
    shift_y: Column
    half_roll: Column
    yaw: Column
    face_width: Column
    face_height: Column
    jaw: Column
    skin: Column
    hair: Column
    hairline: Column
    hair_drop: Column
    parting: Column
    hair_volume: Column
    hair_end: Column
    hair_gloss: Column
    eye_spacing: Column
    eye_width: Column
    eye_height: Column
    eye_tilt: Column
    gaze: Column
    iris: Column
    brow_height: Column
    brow_thickness: Column
    brow_arch: Column
    nose_length: Column
    nose_width: Column
    glasses: Column
    lens_height: Column
    frame: Column
    beard: Column
    moustache: Column
    mouth_y: Column
    mouth_width: Column
    lip_fullness: Column
    rest_lift: Column
    asymmetry: Column
    teeth: Column
    lip: Column
    blush: Column
    age: Column
    light_x: Column
    light_y: Column
    warmth: Column
    background: Column
    background_end: Column
    clothes: Column

    def __len__(self) -> int:
        return len(self.degree)

    def columns(self, start: int, stop: int) -> FaceParameters:
        """Faces start..stop-1 as float32, scalars (b, 1) and colours (b, 3, 1).

        A trailing axis of one lets every parameter broadcast over a row of pixels.
        """
        return replace(
            self,
            **{
                field.name: getattr(self, field.name)[start:stop, ..., None].astype(np.float32)
                for field in fields(self)
            },
        )


class _Draws:
    """One uniform column after the other, a row per face, so that faces never share numbers."""

    def __init__(self, n: int, rng: np.random.Generator) -> None:
        self._columns: Iterator[NDArray[np.float64]] = iter(rng.random((n, _DRAWS)).T)

    def uniform(self, low: float, high: float) -> NDArray[np.float64]:
        return low + (high - low) * next(self._columns)

    def bell(self, low: float, high: float) -> NDArray[np.float64]:
        """Triangular, most often in the middle."""
        return low + (high - low) * (next(self._columns) + next(self._columns)) / 2

    def chance(self, share: float) -> NDArray[np.float64]:
        """1 with this probability, else 0."""
        return (next(self._columns) < share).astype(np.float64)

    def between(self, palette: Sequence[Colour]) -> NDArray[np.float64]:
        """(n, 3) any colour on the line through the palette."""
        return _along(palette, next(self._columns))

    def degree(self) -> NDArray[np.float64]:
        out: NDArray[np.float64] = np.interp(next(self._columns), _DEGREE_SHARE, np.arange(6.0))
        return out


def _along(palette: Sequence[Colour], position: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n, 3) colours at these positions in [0, 1] on the line through the palette."""
    knots = np.linspace(0, 1, len(palette))
    return np.stack([np.interp(position, knots, c) for c in np.array(palette).T], axis=1)


def sample_parameters(n: int, rng: np.random.Generator) -> FaceParameters:
    """Draw n faces; the first rows are the same for every n.

    The degrees are skewed like those of CelebA-Dialog (Jiang et al. 2021, "Talk-to-Edit"):
    70 % are <= 2 and 4 % are > 4.
    """
    draws = _Draws(n, rng)
    degree = draws.degree()
    tone = draws.uniform(0.0, 1.0)
    skin = _along(_SKIN, tone)
    # Dark skin mostly goes with dark hair and eyes.
    hair = _along(_HAIR, draws.uniform(0.0, 1.0) * (1 - 0.8 * tone))
    grey = 0.9 * draws.chance(0.08)[:, None]
    iris = _along(_IRIS, draws.uniform(0.0, 1.0) * (1 - 0.8 * tone))
    long_hair = draws.chance(0.5)
    bald = draws.chance(0.06) * (1 - long_hair)
    fringe = draws.chance(0.3) * (1 - bald)
    beard = draws.uniform(0.15, 0.9) * draws.chance(0.4) * (1 - long_hair)
    make_up = draws.uniform(0.45, 0.95) * long_hair + draws.uniform(0.2, 0.5) * (1 - long_hair)
    background = draws.between(_BACKGROUND) * draws.uniform(0.75, 1.1)[:, None]
    return FaceParameters(
        degree=degree,
        shift_x=draws.bell(-2.0, 2.0),
        shift_y=draws.bell(-1.5, 1.5),
        half_roll=draws.bell(-0.055, 0.055),
        yaw=draws.bell(-1.0, 1.0),
        face_width=draws.bell(20.5, 24.0),
        face_height=draws.bell(28.0, 30.5),
        jaw=draws.uniform(0.0, 1.0),
        skin=skin,
        hair=hair * (1 - grey) + np.array(_GREY_HAIR) * grey,
        hairline=draws.uniform(-21.0, -16.5) + 4.0 * fringe - 22.0 * bald,
        hair_drop=draws.uniform(5.0, 13.0) * (1 - 0.75 * fringe),
        parting=draws.uniform(-9.0, 9.0),
        hair_volume=draws.uniform(1.8, 5.0) * (1 - bald) - 1.5 * bald,
        hair_end=draws.uniform(-5.0, 3.0) + long_hair * draws.uniform(14.0, 45.0) - 10.0 * bald,
        hair_gloss=draws.uniform(0.1, 0.35),
        eye_spacing=draws.bell(9.8, 11.8),
        eye_width=draws.bell(4.5, 5.8),
        eye_height=draws.bell(2.1, 3.2),
        eye_tilt=draws.bell(-0.14, 0.06),
        gaze=draws.bell(-1.2, 1.2),
        iris=iris,
        brow_height=draws.bell(-13.6, -11.0),
        brow_thickness=draws.uniform(0.7, 1.5),
        brow_arch=draws.uniform(0.4, 2.0),
        nose_length=draws.bell(5.0, 7.5),
        nose_width=draws.bell(3.2, 4.8),
        glasses=draws.chance(0.15),
        lens_height=draws.uniform(4.2, 6.0),
        frame=draws.between(_FRAME),
        beard=beard,
        moustache=beard * draws.uniform(0.8, 1.0),
        mouth_y=draws.bell(14.0, 15.6),
        mouth_width=draws.bell(0.9, 1.1),
        lip_fullness=draws.uniform(0.7, 1.3),
        rest_lift=draws.bell(-1.0, 0.7),
        asymmetry=draws.bell(-0.18, 0.18),
        teeth=draws.bell(3.4, 4.6),
        lip=skin * (1 - make_up)[:, None] + draws.between(_LIP) * make_up[:, None],
        blush=draws.uniform(0.0, 0.25),
        age=draws.uniform(0.0, 1.0) ** 2,
        light_x=draws.bell(-0.22, 0.22),
        light_y=draws.bell(-0.16, 0.04),
        warmth=draws.bell(-1.0, 1.0),
        background=background,
        background_end=background * draws.uniform(0.82, 0.96)[:, None],
        clothes=draws.between(_CLOTHES),
    )
