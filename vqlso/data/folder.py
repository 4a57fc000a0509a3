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


def image_folder(
    root: Path,
    scores_csv: Path,
    *,
    size: int = 64,
    crop: Crop = CENTRE_SQUARE,
    cache: Path,
    file_column: str = "file",
    score_column: str = "score",
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
        file_column: name of the column of paths.
        score_column: name of the column of finite numbers.
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
    def read(cls, path: Path, *, file_column: str, score_column: str) -> _Table:
        rows = _rows(path, required=(file_column, score_column))
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


def _rows(path: Path, required: Sequence[str]) -> dict[int, dict[str, str]]:
    """Cells by column name, by the number of the line; no row is short or long."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:  # spreadsheets write the mark
            reader = csv.reader(file)
            header = next(reader, [])
            cells = [(reader.line_num, row) for row in reader if row]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(
            f"The scores cannot be read from {path}: {error}. Give the path of a CSV file in UTF-8."
        ) from error
    missing = [name for name in required if name not in header]
    if missing:
        raise DataError(
            f"{path} has no column {' and no column '.join(missing)}; its columns are "
            f"{', '.join(header) or 'none'}. Name the columns so, in its first line."
        )
    if not cells:
        raise DataError(f"{path} lists no picture: add one line for each.")
    for line, row in cells:
        if len(row) != len(header):
            raise DataError(
                f"Line {line} of {path} has {len(row)} cells under a header of {len(header)}: "
                "correct this line."
            )
    return {line: dict(zip(header, row, strict=True)) for line, row in cells}


def _score(cell: str, where: str) -> float:
    try:
        score = float(cell)
    except ValueError:
        score = math.nan
    if not math.isfinite(score):
        raise DataError(f"{where} has the score '{cell}', not a finite number: correct this line.")
    return score
