"""CelebA (Liu et al. 2015) with CelebA-Dialog's smiling degrees (Jiang et al. 2021).

Files are expected under the names that the data sets use, either all in one folder or in
CelebA's own `Anno/` and `Img/`:

- `img_align_celeba/000001.jpg ...`: aligned faces, 178x218 or half of it;
- `combined_annotation.txt`: one header line, then a file and its degrees 0-5 of bangs,
  eyeglasses, no beard, smiling and young;
- `list_attr_celeba.txt`: the count, the 40 names, then a file and 40 values of -1 or 1;
- `identity_CelebA.txt`: a file and a person's number.

Both are for non-commercial research only and may not be passed on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vqlso.data.cache import decoded, fingerprint
from vqlso.data.crop import CENTRE, Crop
from vqlso.data.image_set import ImageSet
from vqlso.data.splits import UNKNOWN_PEOPLE
from vqlso.errors import DataError
from vqlso.progress import SILENT, Progress

PICTURES = "img_align_celeba"
DEGREES = "combined_annotation.txt"
ATTRIBUTES = "list_attr_celeba.txt"
IDENTITIES = "identity_CelebA.txt"

DEGREE_LABELS = "CelebA-Dialog smiling degree"
BINARY_LABELS = "binary Smiling attribute"


def celeba(
    root: Path,
    *,
    size: int = 64,
    crop: Crop = CENTRE,
    cache: Path,
    max_bad_share: float = 0.01,
    limit: int | None = None,
    progress: Progress = SILENT,
) -> ImageSet:
    """Aligned faces with their smiling degree in [0, 5].

    Where CelebA-Dialog's degrees are missing, labels are the binary attribute, 0 or 1, and
    `has_binary_labels` is true of the result: they are not degrees until a calibrated scorer
    has turned them into such.

    Args:
        root: folder of the files above.
        size: edge of the square images, pixels.
        crop: chooses the square; the default suits aligned pictures.
        cache: folder of the decoded images.
        max_bad_share: share of the pictures, in [0, 1], that may be missing or damaged.
        limit: only the first so many pictures that are annotated.
        progress: shows a bar while pictures are decoded.

    Raises:
        DataError: files are missing or malformed, or too many pictures are unusable.
    """
    root = Path(root)
    folder = _find(root, PICTURES)
    if folder is None:
        raise DataError(
            f"There is no folder {PICTURES} in {root}: unpack CelebA's aligned pictures there."
        )
    smiling, origin = _smiling(root)
    names = list(smiling)[:limit]
    people, note = _people(root, names)
    label_origin = f"{origin}; {note}" if note else origin
    pictures = decoded(
        folder,
        names,
        size=size,
        crop=crop,
        cache=Path(cache),
        max_bad_share=max_bad_share,
        progress=progress,
    )
    labels = np.array([smiling[name] for name in names], dtype=np.float64)[pictures.rows]
    people = people[pictures.rows]
    return ImageSet(
        name="celeba",
        images=pictures.images,
        labels=labels,
        people=people,
        fingerprint=fingerprint(pictures.key, labels, people, label_origin),
        label_origin=label_origin,
        skipped=tuple(pictures.skipped),
    )


def has_binary_labels(images: ImageSet) -> bool:
    """Whether the labels are 0 or 1 for want of smiling degrees."""
    return images.label_origin.startswith(BINARY_LABELS)


def smiling_degrees(path: Path) -> dict[str, float]:
    """Smiling degree in {0, ..., 5} by file, from CelebA-Dialog's annotation.

    Raises:
        DataError: the header does not name a column "Smiling", or a line is malformed.
    """
    return _column(path, header_line=0, column="Smiling", allowed=range(6))


def smiling_attribute(path: Path) -> dict[str, float]:
    """Smiling as 0 or 1 by file, from CelebA's list of attributes.

    Raises:
        DataError: the header does not name a column "Smiling", or a line is malformed.
    """
    signs = _column(path, header_line=1, column="Smiling", allowed=(-1, 1))
    return {name: (sign + 1) / 2 for name, sign in signs.items()}


def _smiling(root: Path) -> tuple[dict[str, float], str]:
    if (path := _find(root, DEGREES)) is not None:
        return smiling_degrees(path), DEGREE_LABELS
    if (path := _find(root, ATTRIBUTES)) is not None:
        return smiling_attribute(path), BINARY_LABELS
    raise DataError(
        f"{root} holds neither {DEGREES} (CelebA-Dialog) nor {ATTRIBUTES} (CelebA): "
        "put one of them beside the pictures."
    )


def _people(root: Path, names: Sequence[str]) -> tuple[NDArray[np.int64], str]:
    path = _find(root, IDENTITIES)
    if path is None:
        return np.arange(len(names), dtype=np.int64), UNKNOWN_PEOPLE
    identities: dict[str, int] = {}
    for number, fields in _lines(path, skip=0):
        if len(fields) != 2 or not fields[1].isdecimal():
            raise _malformed(path, number, "a file and a person's number")
        identities[fields[0]] = int(fields[1])
    unknown = [name for name in names if name not in identities]
    if unknown:
        raise DataError(
            f"{path} has no line for {len(unknown)} of {len(names)} annotated pictures, such as "
            f"{unknown[0]}: complete it, or remove it to count each image as its own person."
        )
    return np.array([identities[name] for name in names], dtype=np.int64), ""


def _column(
    path: Path, *, header_line: int, column: str, allowed: Sequence[int]
) -> dict[str, float]:
    """One named column by file. Columns are counted from the right: CelebA's header has no
    name for the file column, CelebA-Dialog's has one."""
    lines = _lines(path, skip=header_line)
    header = next(lines, (0, []))[1]
    if column.lower() not in (name.lower() for name in header):
        raise DataError(
            f"Line {header_line + 1} of {path} should name the columns, among them {column}; "
            f"it reads '{' '.join(header)[:80]}'. Restore the original file."
        )
    position = [name.lower() for name in header].index(column.lower()) - len(header)
    values: dict[str, float] = {}
    spelled: Mapping[str, float] = {str(value): float(value) for value in allowed}
    for number, fields in lines:
        if len(fields) <= -position or fields[position] not in spelled:
            raise _malformed(path, number, f"a {column} value among {', '.join(spelled)}")
        values[fields[0]] = spelled[fields[position]]
    if not values:
        raise DataError(f"{path} annotates no picture: restore the original file.")
    return values


def _lines(path: Path, skip: int) -> Iterator[tuple[int, list[str]]]:
    """(line number from 1, fields) of every line that is not blank."""
    with path.open(encoding="utf-8", errors="replace") as file:
        for number, line in enumerate(file, start=1):
            if number > skip and line.strip():
                yield number, line.split()


def _malformed(path: Path, number: int, expected: str) -> DataError:
    return DataError(f"Line {number} of {path} lacks {expected}: restore the original file.")


def _find(root: Path, name: str) -> Path | None:
    places = (root / name, root / "Anno" / name, root / "Img" / name)
    return next((path for path in places if path.exists()), None)
