"""Any folder of pictures with a CSV of scores."""

from __future__ import annotations

import csv
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vqlso.data.cache import decoded, fingerprint
from vqlso.data.crop import CENTRE_SQUARE, Crop
from vqlso.data.image_set import ImageSet
from vqlso.data.splits import UNKNOWN_PEOPLE
from vqlso.errors import DataError
from vqlso.progress import SILENT, Progress

PERSON_COLUMN = "person"
# What columns are called where nobody says so, the best name first.
FILE_COLUMNS = ("file", "filename", "file_name", "path", "image", "picture", "photo")
SCORE_COLUMNS = ("score", "scores", "label", "rating", "degree", "value", "target")


def image_folder(
    root: Path,
    scores_csv: Path,
    *,
    size: int = 64,
    crop: Crop = CENTRE_SQUARE,
    cache: Path,
    file_column: str | None = None,
    score_column: str | None = None,
    max_bad_share: float = 0.01,
    progress: Progress = SILENT,
) -> ImageSet:
    """The pictures that a CSV file lists, with their scores.

    The CSV has a header. A column `person`, where present, says who is shown (any text), so
    that splits can keep people apart; else each image counts as a person of its own.

    Args:
        root: folder of the pictures, in any format that Pillow reads.
        scores_csv: UTF-8, separated by commas; paths in it are relative to `root`.
        size: edge of the square images, pixels.
        crop: chooses the square; by default the largest in the middle.
        cache: folder of the decoded images.
        file_column: name of the column of paths; None takes the one that is called "file", or
            the only one with another usual name (`FILE_COLUMNS`).
        score_column: name of the column of finite numbers; None likewise, from "score" on.
        max_bad_share: share of the pictures, in [0, 1], that may be missing, damaged or
            smaller than `size`.
        progress: shows a bar while pictures are decoded.

    Raises:
        DataError: the folder, the CSV or a column is missing, a score is not a number, a file
            is listed twice, or too many pictures are unusable.
    """
    root, scores_csv = Path(root), Path(scores_csv)
    if not root.is_dir():
        raise DataError(f"There is no folder of pictures at {root}: check the path.")
    table = _Table.read(scores_csv, file_column=file_column, score_column=score_column)
    pictures = decoded(
        root,
        table.files,
        size=size,
        crop=crop,
        cache=Path(cache),
        max_bad_share=max_bad_share,
        progress=progress,
    )
    labels, people = table.scores[pictures.rows], table.people[pictures.rows]
    return ImageSet(
        name=root.name,
        images=pictures.images,
        labels=labels,
        people=people,
        fingerprint=fingerprint(pictures.key, labels, people, table.origin),
        label_origin=table.origin,
        skipped=tuple(pictures.skipped),
    )


@dataclass(frozen=True)
class _Table:
    """The CSV's columns: files, (n,) float64 scores, (n,) int64 people, and their origin."""

    files: list[str]
    scores: NDArray[np.float64]
    people: NDArray[np.int64]
    origin: str

    @classmethod
    def read(cls, path: Path, *, file_column: str | None, score_column: str | None) -> _Table:
        header, rows = _rows(path)
        file_column = _column(path, header, file_column, FILE_COLUMNS, "data.file_column")
        score_column = _column(path, header, score_column, SCORE_COLUMNS, "data.score_column")
        files = [row[file_column] for row in rows.values()]
        repeated = [file for file, times in Counter(files).items() if times > 1]
        if repeated:
            raise DataError(f"{path} lists {repeated[0]} more than once: keep one line of it.")
        scores = [_score(row[score_column], f"Line {line} of {path}") for line, row in rows.items()]
        origin = f"column {score_column} of {path.name}"
        if PERSON_COLUMN in next(iter(rows.values())):
            names = [row[PERSON_COLUMN] for row in rows.values()]
            nameless = [line for line, name in zip(rows, names, strict=True) if not name]
            if nameless:
                raise DataError(f"Line {nameless[0]} of {path} names no {PERSON_COLUMN}: add one.")
            people = np.unique(names, return_inverse=True)[1].astype(np.int64)
        else:
            people = np.arange(len(files), dtype=np.int64)
            origin += f"; {UNKNOWN_PEOPLE}"
        return cls(files, np.array(scores, dtype=np.float64), people, origin)


def _column(
    path: Path, header: Sequence[str], given: str | None, usual: Sequence[str], setting: str
) -> str:
    """The name of a column as the header spells it."""
    if given is not None:
        if given in header:
            return given
        found, remedy = f"no column {given}", f"Correct {setting}"
    else:
        known = [name for name in header if name.strip().lower() in usual]
        best = [name for name in known if name.strip().lower() == usual[0]] or known
        if len(best) == 1:
            return best[0]
        what = "several columns" if best else "no column"
        found, remedy = f"{what} called one of {', '.join(usual)}", f"Name it by {setting}=COLUMN"
    raise DataError(f"{path} has {found}; its columns are {', '.join(header) or 'none'}. {remedy}.")


def _rows(path: Path) -> tuple[list[str], dict[int, dict[str, str]]]:
    """The header, and cells by column name, by the number of the line; none is short or long."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:  # spreadsheets write the mark
            reader = csv.reader(file)
            header = next(reader, [])
            cells = [(reader.line_num, row) for row in reader if row]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(
            f"The scores cannot be read from {path}: {error}. Give the path of a CSV file in UTF-8."
        ) from error
    if header and not cells:
        raise DataError(f"{path} lists no picture: add one line for each.")
    for line, row in cells:
        if len(row) != len(header):
            raise DataError(
                f"Line {line} of {path} has {len(row)} cells under a header of {len(header)}: "
                "correct this line."
            )
    return header, {line: dict(zip(header, row, strict=True)) for line, row in cells}


def _score(cell: str, where: str) -> float:
    try:
        score = float(cell)
    except ValueError:
        score = math.nan
    if not math.isfinite(score):
        raise DataError(f"{where} has the score '{cell}', not a finite number: correct this line.")
    return score
