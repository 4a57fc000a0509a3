"""Picks that were not sent yet, in a file beside the journal: no browser has to live for them."""

from __future__ import annotations

import json
from typing import Any

from pipeline.evolution.settings import MOST_IMAGES
from pipeline.runs.folder import RunFolder
from vqlso.errors import DataError, RunFolderError

FILE = "picks.json"
MOST_CLICKS = 10_000  # on one image: more is no person


def kept_draft(folder: RunFolder, content: bytes) -> None:
    """Write the picks in place of earlier ones.

    Args:
        folder: of the session.
        content: JSON of "shown", the revision of the images, and "counts", a number for each.

    Raises:
        DataError: these are no picks.
        RunFolderError: the folder cannot be written.
    """
    try:
        draft = json.loads(content)
    except (ValueError, RecursionError):
        draft = None
    if not _is_draft(draft):
        raise DataError("These are no picks: a revision and a count for each image are.")
    folder.write_json(FILE, {"shown": draft["shown"], "counts": draft["counts"]})


def draft_of(folder: RunFolder, revision: str, images: int) -> list[int] | None:
    """The counts that were kept for the images on show; None where there are none.

    Args:
        folder: of the session.
        revision: of the images on show.
        images: how many these are.
    """
    try:
        draft = folder.read_json(FILE)
    except RunFolderError:
        return None
    if not _is_draft(draft) or draft["shown"] != revision or len(draft["counts"]) != images:
        return None
    counts: list[int] = draft["counts"]
    return counts


def _is_draft(told: Any) -> bool:
    if not isinstance(told, dict) or not isinstance(told.get("shown"), str):
        return False
    counts = told.get("counts")
    return (
        len(told["shown"]) <= 16
        and isinstance(counts, list)
        and len(counts) <= MOST_IMAGES
        and all(type(count) is int and 0 <= count <= MOST_CLICKS for count in counts)
    )
