"""Procedural faces: the embedded data set, with nothing to download and the truth known."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

from vqlso.data import face_painting, face_smile
from vqlso.data.face_drawing import FRAME, Canvas, Field
from vqlso.data.face_parameters import FaceParameters, sample_parameters
from vqlso.data.face_smile import Smile
from vqlso.data.image_set import ImageSet
from vqlso.errors import DataError
from vqlso.randomness import stream

__all__ = ["FaceParameters", "procedural_faces", "render", "sample_parameters"]

# Part of every fingerprint: to be raised whenever a pixel or a distribution changes.
RENDERER_VERSION = 1

# A block's intermediate arrays (16 KiB a face) are to stay in the processor's second-level cache.
_BLOCK = 16


def procedural_faces(n: int, seed: int, size: int = 64) -> ImageSet:
    """n people, one picture each, labelled with the degree of smile they were drawn with.

    Face i is the same whatever n.

    Args:
        n: number of faces, >= 1.
        seed: >= 0.
        size: height and width in pixels, >= 8.

    Returns:
        images (n, 3, size, size) uint8 and labels (n,) float64 in [0, 5].

    Raises:
        DataError: n or size is too small.
    """
    if n < 1:
        raise DataError(f"{n} procedural faces were asked for: ask for at least one.")
    parameters = sample_parameters(n, stream(seed, "procedural faces"))
    settings = f"procedural faces {RENDERER_VERSION} n={n} seed={seed} size={size}"
    return ImageSet(
        name="faces",
        images=render(parameters, size),
        labels=parameters.degree.astype(np.float64),
        people=np.arange(n, dtype=np.int64),
        fingerprint=hashlib.sha256(settings.encode()).hexdigest()[:16],
        label_origin="ground truth of the renderer",
    )


def render(parameters: FaceParameters, size: int = 64, block: int = _BLOCK) -> NDArray[np.uint8]:
    """(n, 3, size, size) uint8 pictures of these faces; the block size changes no pixel.

    Degrees outside [0, 5] are drawn as the nearest end.

    Raises:
        DataError: size is below 8, where nothing of a face is left.
    """
    if size < 8:
        raise DataError(f"Faces of {size} pixels cannot be drawn: choose a size of at least 8.")
    images = np.empty((len(parameters), 3, size, size), dtype=np.uint8)
    for start in range(0, len(images), block):
        images[start : start + block] = _render(parameters.columns(start, start + block), size)
    return images


def _render(face: FaceParameters, size: int) -> NDArray[np.uint8]:
    frame, head, features = _canvases(face, size)
    smile = Smile.of(face.degree)
    face_painting.paint_backdrop(frame, face)
    face_painting.paint_behind_face(head, face)
    face_painting.paint_skin(head, face, smile)
    face_smile.paint_cheeks(features, face, smile)
    face_painting.paint_beard(features, face)
    face_painting.paint_nose(features, face)
    face_smile.paint_mouth(features, face, smile)
    face_painting.paint_eyes(features, face, smile)
    face_painting.paint_brows(features, face)
    face_painting.paint_front_hair(head, face)
    face_painting.paint_glasses(features, face)
    face_painting.light(frame, face)
    out = np.clip(frame.pixels, 0, 1) * 255 + 0.5
    return out.astype(np.uint8).reshape(-1, 3, size, size)


def _canvases(face: FaceParameters, size: int) -> tuple[Canvas, Canvas, Canvas]:
    """One set of pixels under three coordinate systems: picture, head, and features of the head."""
    step = FRAME / size
    axis = ((np.arange(size) + 0.5) * step - FRAME / 2).astype(np.float32)
    picture_x, picture_y = np.tile(axis, size)[None], np.repeat(axis, size)[None]
    pixels = np.empty((len(face), 3, size * size), dtype=np.float32)

    x, y = picture_x - face.shift_x, picture_y - face.shift_y
    scale = 1 + face.half_roll * face.half_roll
    cosine, sine = (2 - scale) / scale, 2 * face.half_roll / scale
    head_x, head_y = cosine * x + sine * y, cosine * y - sine * x
    features_x = _turned(head_x, face.yaw)

    def canvas(x: Field, y: Field) -> Canvas:
        return Canvas(pixels, x, y, pixels_per_unit=1 / step, shape=(size, size))

    return canvas(picture_x, picture_y), canvas(head_x, head_y), canvas(features_x, head_y)


def _turned(x: Field, yaw: Field) -> Field:
    """The features' own x: a turned head shifts them and narrows the half that turns away."""
    shifted = x - 2.2 * yaw
    out: Field = shifted + 0.006 * yaw * shifted * shifted
    return out
