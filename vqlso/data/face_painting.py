"""The parts of a face that a smile hardly moves: backdrop, hair, skin, nose, eyes, glasses."""

from __future__ import annotations

from typing import Any

import numpy as np

from vqlso.data.face_drawing import Canvas, Field, colour, ellipse, segment, soft_line, spot, union
from vqlso.data.face_parameters import FaceParameters
from vqlso.data.face_smile import Smile

_EYE_Y = -5.0
_NOSE_Y = -0.5


_SCLERA = colour(0.95, 0.94, 0.92)
_WHITE = colour(1.0, 1.0, 1.0)
_DARK = colour(0.09, 0.06, 0.06)
_SHADOW = colour(0.78, 0.66, 0.62)
_LASHES = colour(0.16, 0.10, 0.09)


def paint_backdrop(canvas: Canvas, face: FaceParameters) -> None:
    """A calm gradient: whatever varies here, the codebook must spend entries on."""
    across = np.clip(0.5 + (canvas.x * 0.4 + canvas.y) / 70, 0, 1)
    canvas.pixels[...] = face.background
    canvas.paint(across, face.background_end)


def paint_behind_face(canvas: Canvas, face: FaceParameters) -> None:
    """Hair at the back, neck, shoulders and ears."""
    canvas.paint(canvas.coverage(_hair_outline(canvas, face)), face.hair * np.float32(0.72))
    with canvas.window(14, 32, -32, 32) as part:
        side = np.abs(part.x)
        neck = part.coverage(np.maximum(side - face.face_width * 0.62, 18 - part.y))
        part.paint(neck, face.skin * _SHADOW)
        shoulders = 26.5 + 0.012 * np.square(side - 12)
        part.paint(part.coverage(np.maximum(shoulders - part.y, 11 - side)), face.clothes)
    with canvas.window(-12, 12, -32, 32) as part:
        side = np.abs(part.x)
        short = np.clip((10 - face.hair_end) / 6, 0, 1)
        ear = part.coverage(ellipse(side - face.face_width, part.y + 1, 2.6, 5.0))
        part.paint(ear * short, face.skin * colour(0.92, 0.82, 0.80))


def paint_skin(canvas: Canvas, face: FaceParameters, smile: Smile) -> None:
    """The face's oval, round in the light, with a soft edge in shadow."""
    distance = _face_outline(canvas, face, smile)
    round_x = canvas.x / face.face_width
    round_y = canvas.y / face.face_height
    rim = np.square(np.clip(round_x * round_x + 0.8 * round_y * round_y, 0, 1.4))
    skin = face.skin * (1 - rim[:, None] * (1 - _SHADOW) * np.float32(0.85))
    canvas.paint(canvas.coverage(distance), skin)
    with canvas.window(-28, -2, -20, 20) as part:
        part.shade(1 + 0.06 * spot(part.x, part.y + 12, 15, 9))
    with canvas.window(16, 32, -14, 14) as part:
        part.shade(1 + 0.05 * spot(part.x, part.y - 23 - smile.jaw_drop, 8, 5))


def paint_beard(canvas: Canvas, face: FaceParameters) -> None:
    """Beard along the jaw and moustache, before the lips are laid over them."""
    with canvas.window(0, 32, -28, 28) as part:
        hollow = ellipse(part.x, part.y - 3, face.face_width * 0.78, 18.5)
        jaw = np.clip(0.5 + hollow / 4, 0, 1) * np.clip((part.y - 3) / 9, 0, 1)
        chin = spot(part.x, part.y - 25, 9, 9)
        inside = np.clip(0.5 - _jaw_outline(part, face) / 2, 0, 1)
        part.paint(face.beard * np.maximum(jaw, chin) * inside, face.hair)
        # As wide as the mouth, so that nobody is given a toothbrush moustache.
        arch = part.y - face.mouth_y + 4.3 - 0.022 * part.x * part.x
        ends = np.clip((13.5 - np.abs(part.x)) / 4, 0, 1)
        part.paint(face.moustache * ends * soft_line(arch, 2.8), face.hair)


def paint_nose(canvas: Canvas, face: FaceParameters) -> None:
    """A bridge lit from the side, a bright tip, wings and nostrils."""
    with canvas.window(-12, 14, -12, 12) as part:
        tip = part.y - _NOSE_Y - face.nose_length
        side = np.abs(part.x)
        lit = part.x * np.sign(face.light_x + np.float32(1e-6))
        part.shade(1 - 0.13 * spot(lit + 3.0, part.y + 1.0, 2.6, 8.5))
        part.shade(1 + 0.09 * spot(part.x, part.y + 1.5, 2.0, 9.0))
        part.shade(1 - 0.16 * spot(part.x, tip - 2.6, face.nose_width + 1.5, 2.4))
        part.shade(1 + 0.13 * spot(part.x, tip + 0.6, 3.2, 2.8))
        wing = ellipse(side - face.nose_width, tip - 0.3, 1.6, 1.9)
        part.shade(1 - 0.13 * soft_line(wing, 1.3) * (side > face.nose_width))
        nostril = part.coverage(ellipse(side - face.nose_width * 0.52, tip - 1.7, 1.2, 0.7))
        part.paint(0.55 * nostril, face.skin * colour(0.40, 0.27, 0.25))


def paint_eyes(canvas: Canvas, face: FaceParameters, smile: Smile) -> None:
    """Both eyes at once: x is mirrored, only the gaze knows left from right."""
    with canvas.window(-16, 4, -22, 22) as part:
        outward = np.abs(part.x) - face.eye_spacing
        y = part.y - _EYE_Y - face.eye_tilt * outward
        part.shade(1 - 0.13 * spot(outward + 0.5, y + 1.5, 8.0, 6.0))
        across = outward / face.eye_width
        bulge = 1 - across * across
        upper = y + face.eye_height * (1 - 0.45 * smile.squint) * bulge
        lower = y - face.eye_height * (0.72 - 0.72 * smile.squint) * bulge
        opening = part.strip(-upper, lower)
        part.paint(opening, _SCLERA)
        _paint_iris(part, face, outward, y, opening)
        lid = part.coverage(np.maximum(np.abs(upper + 0.35) - 0.55, np.abs(across * 5) - 5.4))
        part.paint(0.9 * lid, _LASHES)
        within = np.clip(1.15 - across * across, 0, 1)
        part.shade(1 - 0.22 * soft_line(upper + 2.0, 1.1) * within)
        bag = 0.10 + 0.10 * face.age + 0.16 * smile.cheek
        part.shade(1 - bag * soft_line(lower - 1.2, 1.3) * within)


def _paint_iris(
    part: Canvas, face: FaceParameters, outward: Field, y: Field, opening: Field
) -> None:
    aside = outward - face.gaze * np.sign(part.x)
    radius = 0.44 * face.eye_width + 0.25
    iris = part.coverage(ellipse(aside, y + 0.2, radius, radius)) * opening
    part.paint(iris, face.iris)
    pupil = part.coverage(ellipse(aside, y + 0.2, 0.5 * radius, 0.5 * radius)) * opening
    part.paint(pupil, _DARK)
    glint = part.coverage(ellipse(aside * np.sign(part.x) + 0.8, y + 1.0, 0.6, 0.6)) * opening
    part.paint(0.85 * glint, _WHITE)


def paint_brows(canvas: Canvas, face: FaceParameters) -> None:
    """Two arcs, thick inside and thin outside."""
    with canvas.window(-22, 0, -24, 24) as part:
        along = (np.abs(part.x) - face.eye_spacing) / 6.5
        middle = face.brow_height - face.brow_arch * (1 - np.square(along - 0.25))
        thickness = face.brow_thickness * (1 - 0.35 * along)
        across = np.abs(part.y - middle) - thickness
        brow = part.coverage(np.maximum(across, (np.abs(along) - 1) * 6.5))
        part.paint(0.8 * brow, face.hair * np.float32(0.75))


def paint_front_hair(canvas: Canvas, face: FaceParameters) -> None:
    """Hair over the forehead and down the temples, with a highlight across."""
    aside = (canvas.x - face.parting) / face.face_width
    line = face.hairline + face.hair_drop * aside * aside
    temple = np.abs(canvas.x) - face.face_width + 2.8 * (1 - _hair_taper(canvas, face))
    beside = np.maximum(-temple, canvas.y - face.hair_end)
    behind = union(canvas.y - line, beside, rounding=4.0)
    outline = _hair_outline(canvas, face)
    shadow = np.clip(1 - behind / 4, 0, 1) * np.clip(0.5 - outline / 3, 0, 1)
    canvas.shade(1 - 0.14 * shadow)
    crown = ellipse(canvas.x - 0.5 * face.parting, canvas.y + 2, face.face_width * 0.8, 23.0)
    gloss = 1 + face.hair_gloss * soft_line(crown, 4.5) * np.clip(-canvas.y / 12, 0, 1)
    hair = canvas.coverage(np.maximum(behind, outline))
    canvas.paint(hair, face.hair * gloss[:, None])


def paint_glasses(canvas: Canvas, face: FaceParameters) -> None:
    """Rims, bridge and arms; invisible on faces that wear none."""
    with canvas.window(-16, 6, -28, 28) as part:
        side, y = np.abs(part.x), part.y - _EYE_Y - 0.6
        half_width = face.eye_width + 2.2
        lens = ellipse(side - face.eye_spacing - 0.3, y, half_width, face.lens_height)
        part.paint(0.10 * face.glasses * part.coverage(lens), _WHITE)
        inner, outer = face.eye_spacing - half_width, face.eye_spacing + half_width
        bridge = segment(side, y, (np.float32(0), np.float32(-1.2)), (inner + 0.6, -0.8))
        arm = segment(side, y, (outer, np.float32(-1.5)), (face.face_width, np.float32(-2.5)))
        wire = np.minimum(np.abs(lens) - 0.1, np.minimum(bridge, arm))
        part.paint(0.92 * face.glasses * part.coverage(wire - 0.55), face.frame)


def light(canvas: Canvas, face: FaceParameters) -> None:
    """A plain gradient over the whole picture, warm on its bright side."""
    slope = (face.light_x * canvas.x + face.light_y * canvas.y) / 28
    tint = 1 + face.warmth[:, None] * colour(0.035, 0.0, -0.045)
    canvas.shade((1 + slope)[:, None] * tint)


def _jaw_width(y: Field, face: FaceParameters) -> Field:
    """Half width of the face at each height: full above the nose, narrower below it."""
    below = np.clip(y / face.face_height, 0, 1)
    narrowing: Any = 0.18 - 0.13 * face.jaw
    out: Field = face.face_width * (1 - narrowing * below * (2 - below))
    return out


def _jaw_outline(canvas: Canvas, face: FaceParameters) -> Field:
    return ellipse(canvas.x, canvas.y, _jaw_width(canvas.y, face), face.face_height)


def _face_outline(canvas: Canvas, face: FaceParameters, smile: Smile) -> Field:
    drop = 1 + smile.jaw_drop / 30 * (canvas.y > 0)
    return ellipse(canvas.x, canvas.y / drop, _jaw_width(canvas.y, face), face.face_height)


def _hair_outline(canvas: Canvas, face: FaceParameters) -> Field:
    """An oval around the skull, hanging straight down and tapering to where the hair ends."""
    radius = face.face_width + face.hair_volume
    skull = ellipse(canvas.x, canvas.y + 3, radius, face.face_height - 3 + face.hair_volume)
    hanging = np.abs(canvas.x) - radius + (face.hair_volume + 2.0) * _hair_taper(canvas, face)
    return np.maximum(np.where(canvas.y < -3, skull, hanging), canvas.y - face.hair_end)


def _hair_taper(canvas: Canvas, face: FaceParameters) -> Field:
    """0 where the hair is full, rising to 1 where it ends."""
    out: Field = np.square(np.clip(1 - (face.hair_end - canvas.y) / 12, 0, 1))
    return out
