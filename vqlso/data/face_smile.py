"""Everything a smile moves: mouth, teeth, cheeks, folds, and how far the eyes narrow.

The levels mean what they mean in CelebA-Dialog: 0 not smiling; 1 small smile, no teeth;
2 small, some teeth; 3 a full row of teeth; 4 big, mouth slightly open; 5 mouth fully open.
A smile is a row of key poses, one a level; between levels all of it moves linearly.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vqlso.data.face_drawing import Canvas, Field, colour, segment, soft_line, spot
from vqlso.data.face_parameters import FaceParameters

_LEVELS = np.arange(6.0)
_KEY_POSES = {
    "half_width": (9.0, 10.2, 11.1, 11.9, 12.4, 12.6),
    "lift": (0.0, 1.6, 2.6, 3.6, 4.2, 4.5),
    "opening": (0.0, 0.0, 1.5, 3.8, 6.2, 9.8),
    "parted": (0.55, 0.55, 0.62, 0.93, 0.98, 1.00),
    "thinning": (1.0, 0.92, 0.86, 0.80, 0.78, 0.78),
    "cheek_raise": (0.0, 0.7, 1.3, 2.1, 2.7, 3.2),
    "cheek": (0.0, 0.2, 0.4, 0.65, 0.85, 1.0),
    "squint": (0.0, 0.08, 0.18, 0.32, 0.44, 0.55),
    "jaw_drop": (0.0, 0.0, 0.2, 0.6, 1.4, 3.0),
}
_TOOTH = colour(0.97, 0.95, 0.90)
_DEPTH = colour(0.30, 0.08, 0.09)
_GLOSS = colour(1.0, 1.0, 1.0)
_TONGUE = colour(0.78, 0.36, 0.38)


@dataclass(frozen=True)
class Smile:
    """The pose of b faces, (b, 1) float32 each, lengths in pixels of the 64-pixel frame.

    Attributes:
        half_width: from the middle of the mouth to a corner.
        lift: how far the corners stand above the middle, without the person's resting shape.
        opening: gap between the lips in the middle.
        parted: share of the width over which the lips are apart.
        thinning: thickness of the stretched lips relative to rest.
        cheek_raise: how far the cheeks move up; cheek: how round and rosy they are, 0..1.
        squint: share by which the eyes narrow.
        jaw_drop: how far the chin moves down.
    """

    half_width: Field
    lift: Field
    opening: Field
    parted: Field
    thinning: Field
    cheek_raise: Field
    cheek: Field
    squint: Field
    jaw_drop: Field

    @classmethod
    def of(cls, degree: Field) -> Smile:
        """The pose at these degrees in [0, 5], (b, 1)."""
        return cls(
            **{
                name: np.interp(degree, _LEVELS, poses).astype(np.float32)
                for name, poses in _KEY_POSES.items()
            }
        )


def paint_cheeks(canvas: Canvas, face: FaceParameters, smile: Smile) -> None:
    """Rosier, rounder, higher cheeks, and the folds from the nose to outside the mouth."""
    with canvas.window(-8, 24, -30, 30) as part:
        side = np.abs(part.x)
        y = part.y + smile.cheek_raise
        rosy = face.skin * colour(1.02, 0.72, 0.70)
        part.paint(spot(side - 13.5, y - 8.5, 9.0, 7.5) * (face.blush + 0.32 * smile.cheek), rosy)
        part.shade(1 + 0.13 * smile.cheek * spot(side - 13, y - 6.5, 6.0, 4.5))
        part.shade(1 - 0.10 * smile.cheek * spot(side - 14.5, y - 14.5, 6.0, 3.0))
        corner = (smile.half_width * face.mouth_width + 2.0, face.mouth_y - smile.lift * 0.6 - 2)
        fold = segment(side, part.y, (face.nose_width + 1.6, face.nose_length), corner)
        part.shade(1 - (0.06 * face.age + 0.12 * smile.cheek) * soft_line(fold, 2.0))


def paint_mouth(canvas: Canvas, face: FaceParameters, smile: Smile) -> None:
    """Lips, and between them teeth, the dark of the mouth and the tongue."""
    with canvas.window(4, 32, -22, 22) as part:
        _Mouth(part, face, smile).paint()


class _Mouth:
    """The mouth's outlines over x: four heights from the upper lip's edge to the lower lip's."""

    def __init__(self, canvas: Canvas, face: FaceParameters, smile: Smile) -> None:
        self._canvas, self._face, self._smile = canvas, face, smile
        half_width = smile.half_width * face.mouth_width
        self._across = canvas.x / half_width
        bulge = 1 - self._across * self._across
        lift = (smile.lift + face.rest_lift) * (1 + face.asymmetry * self._across)
        corner = face.mouth_y - 0.55 * lift
        thickness = face.lip_fullness * smile.thinning
        bow = 1 - 0.28 * spot(canvas.x, canvas.y - face.mouth_y, 2.4, 40.0)
        open_part = np.square(self._across / smile.parted)
        # A plain parabola would make an open mouth a V.
        apart = np.maximum(1 - open_part, 0) * (1 + 0.6 * open_part)
        narrower = 1 - np.square(self._across / 0.9)

        # The upper lip gives a fifth of the gap, the jaw the rest.
        self._upper_inner = corner + lift * bulge - 0.2 * smile.opening * bulge
        self._lower_inner = self._upper_inner + smile.opening * apart
        self._upper_outer = self._upper_inner - 2.4 * thickness * bulge * bow
        self._lower_outer = self._lower_inner + 2.9 * thickness * narrower
        self._inside_corners = canvas.coverage(np.abs(canvas.x) - half_width)

    def paint(self) -> None:
        self._shadow_below()
        self._lips()
        self._interior()
        self._teeth()
        self._corners()

    def _between(self, top: Field, bottom: Field) -> Field:
        return self._canvas.strip(top - self._canvas.y, self._canvas.y - bottom)

    def _shadow_below(self) -> None:
        y = self._canvas.y - self._lower_outer - 1.6
        self._canvas.shade(1 - 0.16 * spot(self._canvas.x, y, 8.0, 2.6))

    def _lips(self) -> None:
        canvas, lip = self._canvas, self._face.lip
        upper = self._between(self._upper_outer, self._lower_inner)
        lower = self._between(self._lower_inner - 0.5, self._lower_outer)
        canvas.paint(upper, lip * np.float32(0.84))
        canvas.paint(lower, lip)
        gloss = spot(canvas.x, canvas.y - self._lower_inner - 1.2, 5.0, 1.4)
        canvas.paint(0.22 * gloss * lower, _GLOSS)

    def _interior(self) -> None:
        canvas = self._canvas
        opening = self._between(self._upper_inner, self._lower_inner)
        line = self._between(self._upper_inner - 0.25, self._lower_inner + 0.25)
        canvas.paint(line * self._inside_corners, _DEPTH)
        tongue = spot(canvas.x, canvas.y - self._lower_inner - 0.8, 9.0, 5.2)
        show = np.clip((self._smile.opening - 4.5) / 3.0, 0, 1)
        canvas.paint(opening * np.clip(1.6 * tongue, 0, 1) * show, _TONGUE)

    def _teeth(self) -> None:
        edge = self._upper_inner + self._face.teeth * (1 - 0.35 * np.square(self._across))
        row = self._between(self._upper_inner, np.minimum(edge, self._lower_inner))
        shade = 1 - 0.3 * np.square(self._across)
        self._canvas.paint(row * self._inside_corners, _TOOTH * shade[:, None])

    def _corners(self) -> None:
        canvas, smile = self._canvas, self._smile
        end = smile.half_width * self._face.mouth_width
        pit = spot(np.abs(canvas.x) - end - 0.3, canvas.y - self._upper_inner, 2.0, 1.8)
        canvas.shade(1 - (0.14 + 0.08 * smile.cheek) * pit)
