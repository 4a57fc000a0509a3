"""What `vqlso apply-edit` leaves: pictures, a strip and latents, in a folder of their own."""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

from pipeline import pictures
from pipeline.editing.applying import Directions, Subject
from pipeline.editing.record import STRIP
from vqlso.errors import DataError
from vqlso.files import write_whole
from vqlso.images import to_bytes

LATENTS = "latents.safetensors"
FOLDER = "edited"


def results_folder(given: Path | None) -> Path:
    """Where the results go, without touching those of another time.

    Args:
        given: the folder that was asked for; None for `edited`, `edited-2`, ..., the first that
            holds no results.

    Raises:
        DataError: the folder that was asked for holds results.
    """
    if given is None:
        names = (FOLDER if number == 1 else f"{FOLDER}-{number}" for number in count(1))
        return next(path for path in map(Path, names) if not _holds_results(path))
    if _holds_results(given):
        raise DataError(
            f"{given} holds the results of an earlier run or edit, which are not overwritten: "
            "choose another --out, or leave it out for a new folder."
        )
    return given


def write_edits(
    folder: Path, subject: Subject, edited: NDArray[np.float64], directions: Directions
) -> dict[str, Any]:
    """Pictures of all edits, a strip of a row for each face, and the latents.

    Args:
        folder: made where it is missing; see `results_folder`.
        subject: what was edited.
        edited: (n, k, *shape).
        directions: of the edits.

    Returns:
        The files that were written, and how near a photo was met.

    Raises:
        DataError: the folder cannot be written.
    """
    n, k = edited.shape[:2]
    generator, space = directions.generator, directions.space.name
    originals = to_bytes(generator.decode(subject.latents, space))
    images = to_bytes(generator.decode(edited.reshape(-1, *edited.shape[2:]), space))
    before = [originals[:, None]]
    if subject.photo is not None:
        before.insert(0, subject.photo[None, None])
    rows = np.concatenate([*before, images.reshape(n, k, *images.shape[1:])], axis=1)
    strip = pictures.grid(rows.reshape(-1, *images.shape[1:]), columns=rows.shape[1])
    names = ["edited.png"] if n * k == 1 else [f"edited-{row + 1:02d}.png" for row in range(n * k)]
    files = {
        name: pictures.png(pictures.enlarged(image, 1))
        for name, image in zip(names, images, strict=True)
    }
    header = {
        "space": space,
        "generator": generator.version,
        "attributes": json.dumps([each.attribute for each in directions.all]),
    }
    arrays = {"original": subject.latents, "edited": np.ascontiguousarray(edited)}
    _write(folder, {STRIP: pictures.png(strip), LATENTS: save(arrays, header), **files})
    return {
        "attributes": [each.attribute for each in directions.all],
        "criterion": subject.criterion,
        "strip": str(folder / STRIP),
        "edited": [str(folder / name) for name in names],
        "latents": str(folder / LATENTS),
    }


def _holds_results(folder: Path) -> bool:
    return any((folder / name).exists() for name in (STRIP, LATENTS))


def _write(folder: Path, files: Mapping[str, bytes]) -> None:
    try:
        for name, content in files.items():
            write_whole(folder / name, content)
    except OSError as error:
        raise DataError(
            f"{folder} cannot be written ({error.strerror}): choose another --out."
        ) from error
