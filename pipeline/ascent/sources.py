"""What decides a score beside the settings: files and functions, whose content may change."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from pipeline.configuration.settings import ExperimentConfig
from vqlso.objectives.python_callable import source_hash
from vqlso.objectives.text_score import IMAGE_ENCODER, TEXTS


def sources_of(config: ExperimentConfig) -> dict[str, str]:
    """Setting -> sixteen hexadecimal digits of what it names; settings that name nothing are out.

    Raises:
        ConfigError: a function that cannot be imported.
    """
    chosen = config.ascent
    given = {
        "ascent.picture": chosen.picture,
        "ascent.model": chosen.model,
        "ascent.discriminator": chosen.discriminator,
    }
    return {setting: _content(value) for setting, value in given.items() if value is not None}


def _content(value: str) -> str:
    path = Path(value).expanduser()
    if path.is_dir():
        return _of_files([path / IMAGE_ENCODER, path / TEXTS])
    if path.is_file():
        return _of_files([path])
    # A function without a file, such as a built-in one, changes with its package only.
    return source_hash(value) or ""


def _of_files(paths: Sequence[Path]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:16]
