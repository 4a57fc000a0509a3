"""A session as one file: written to be taken elsewhere, and read as a stranger's.

Of what comes in, only files by known names are taken, each of a bounded size; settings are JSON,
the configuration is made from them anew, and weights do not travel.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, BadZipFile, ZipFile, ZipInfo
from zlib import error as DeflateError

from PIL import Image

from pipeline.evolution.beginning import FILE as START
from pipeline.evolution.generators import FACTS
from pipeline.evolution.photos import EDGE
from pipeline.evolution.record import PHOTO, TARGET
from pipeline.evolution.settings import MOST_SEED, EvolutionSettings
from pipeline.runs.folder import RunFolder
from vqlso.errors import DataError

ABOUT = "session.json"
FORMAT = 1
_JOURNAL = "journal.jsonl"
_IMAGE = re.compile(r"archive/\d{6,9}-query\.png")

MIB = 2**20
MOST_FILES = 20_000
LARGEST = {_JOURNAL: 256 * MIB, START: 64 * MIB}
LARGEST_OTHER = 16 * MIB
LARGEST_SUM = 512 * MIB


def packed(folder: RunFolder, settings: EvolutionSettings) -> bytes:
    """The session as a zip file's content.

    Raises:
        RunFolderError: a file of the folder is damaged.
    """
    facts = folder.read_json(FACTS)["generator"]
    about = {
        "format": FORMAT,
        "generator": facts,
        "start": settings.start,
        "population": settings.population,
        "picks": settings.picks,
        "space": settings.space,
        "truncation": settings.truncation,
        "seed": settings.seed,
    }
    buffer = io.BytesIO()
    with ZipFile(buffer, "w", ZIP_DEFLATED) as archive:
        archive.writestr(ABOUT, json.dumps(about, indent=2))
        for name in _names(folder):
            archive.write(folder.path / name, name)
    return buffer.getvalue()


def unpacked(data: bytes) -> tuple[dict[str, Any], dict[str, bytes]]:
    """What a zip file tells about its session, and its files by name.

    Raises:
        DataError: it is no session, or damaged, or holds what no session holds.
    """
    try:
        with ZipFile(io.BytesIO(data)) as archive:
            files = dict(_read(archive))
        about = json.loads(files.pop(ABOUT))
    except (BadZipFile, DeflateError, NotImplementedError, RuntimeError, EOFError) as error:
        raise DataError(
            "This file is no saved session, or it was damaged on its way: choose the .zip that was "
            "downloaded from a session."
        ) from error
    except (KeyError, ValueError, RecursionError) as error:
        raise _refused(f"its {ABOUT} is missing or damaged") from error
    if not isinstance(about, dict) or about.get("format") != FORMAT:
        raise _refused("it is of another version of vqlso")
    if missing := {_JOURNAL, START} - set(files):
        raise _refused(f"{' and '.join(sorted(missing))} are missing")
    return about, files


def settings_from(
    about: dict[str, Any], files: dict[str, bytes], generator: str
) -> EvolutionSettings:
    """The settings that a zip file tells.

    Args:
        about: what `unpacked` read.
        files: likewise.
        generator: name or path that stands for the session's generator here.

    Raises:
        DataError: they are missing or of the wrong type.
        ConfigError: no session can have them.
    """
    kinds: dict[str, type | tuple[type, ...]] = {
        "start": str,
        "population": int,
        "picks": int,
        "space": (str, type(None)),
        "truncation": (int, float),
        "seed": int,
    }
    for name, kind in kinds.items():
        # To Python true is an integer; a configuration that says so cannot be read again.
        if not isinstance(about.get(name, ...), kind) or isinstance(about[name], bool):
            raise _refused(f"{ABOUT} does not tell its {name}")
        # JSON knows integers of thousands of digits, and Python's reader NaN as well.
        if isinstance(about[name], int | float) and not abs(about[name]) <= MOST_SEED:
            raise _refused(f"the {name} in its {ABOUT} is no number that a session has")
    return EvolutionSettings(
        generator=generator,
        photo=files.get(PHOTO),
        target=files.get(TARGET),
        **{name: about[name] for name in kinds},
    )


def require_pictures(files: Mapping[str, bytes], image_shape: tuple[int, ...]) -> None:
    """Refuse pictures that no session with this generator has, by their headers alone.

    A small file may claim any number of pixels, which only its decoding would make.

    Args:
        files: what `unpacked` read.
        image_shape: (3, H, W) of the generator.

    Raises:
        DataError: a file is no picture, or one of another size.
    """
    shown = (image_shape[2], image_shape[1])
    for name, content in files.items():
        if name.endswith(".png"):
            _require_size(name, content, (EDGE, EDGE) if name in (PHOTO, TARGET) else shown)


def _names(folder: RunFolder) -> Iterator[str]:
    """The files that travel, in the order of their names."""
    images = (f"archive/{path.name}" for path in (folder.path / "archive").iterdir())
    chosen = [name for name in images if _IMAGE.fullmatch(name)]
    optional = [name for name in (PHOTO, TARGET) if (folder.path / name).is_file()]
    yield from sorted([_JOURNAL, START, *optional, *chosen])


def _read(archive: ZipFile) -> Iterator[tuple[str, bytes]]:
    entries = archive.infolist()
    names = [entry.filename for entry in entries]
    if len(names) > MOST_FILES or len(set(names)) < len(names):
        raise _refused("it holds too many files, or one of them twice")
    total = 0
    for entry in entries:
        content = _content(archive, entry)
        total += len(content)
        if total > LARGEST_SUM:
            raise _refused(f"it holds more than {LARGEST_SUM // MIB} MB")
        yield entry.filename, content


def _content(archive: ZipFile, entry: ZipInfo) -> bytes:
    name = entry.filename
    if name not in (ABOUT, _JOURNAL, START, PHOTO, TARGET) and not _IMAGE.fullmatch(name):
        raise _refused(f"it holds '{Path(name).name[:60]}', which is no part of a session")
    most = LARGEST.get(name, LARGEST_OTHER)
    with archive.open(entry) as file:
        content = file.read(most + 1)  # whatever the header promises
    if len(content) > most:
        raise _refused(f"its {name} is larger than {most // MIB} MB")
    return content


def _require_size(name: str, content: bytes, size: tuple[int, int]) -> None:
    try:
        with Image.open(io.BytesIO(content), formats=("PNG",)) as picture:
            told = picture.size
    except Exception as error:  # Pillow meets damage with errors of many kinds
        raise _refused(f"its {name} is no picture") from error
    if told != size:
        raise _refused(f"its {name} has {told[0]} x {told[1]} pixels, not {size[0]} x {size[1]}")


def _refused(why: str) -> DataError:
    return DataError(
        f"This session cannot be loaded: {why}. Choose a .zip as it was downloaded from a session."
    )
