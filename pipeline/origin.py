"""Whether a run was begun by this user: only then are functions imported without a question.

A run's configuration may name functions of any module. Who resumes the folder of somebody else
would import, and with it run, whatever module of that name lies in the current directory. Runs are
therefore marked by a key that never leaves the user's cache folder.
"""

from __future__ import annotations

import hmac
import os
import re
import secrets
import shlex
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pipeline.configuration.composition import saved
from pipeline.configuration.settings import ExperimentConfig
from pipeline.preparation.sources import default_cache
from pipeline.runs.folder import RunFolder
from vqlso.errors import RunFolderError

KEY = "origin.key"
FACT = "origin"
FILE = "environment.json"
LENGTH = 32  # bytes of the key
_FUNCTION = re.compile(r"[^\W\d][\w.]*:[^\W\d]\w*")


def mark_of(config: ExperimentConfig) -> str | None:
    """What only this user's runs of these functions have; None without any, or without a key."""
    functions = _functions(asdict(config))
    key = _key(default_cache() / KEY) if functions else None
    return None if key is None else hmac.new(key, repr(functions).encode(), "sha256").hexdigest()


def require_own(folder: RunFolder) -> None:
    """Make sure that resuming a run imports nothing that its user has not asked for before.

    Raises:
        RunFolderError: it names functions, and was begun elsewhere.
        ConfigError: its configuration cannot be used here.
    """
    config = saved(folder.config)
    functions = _functions(asdict(config))
    if not functions:
        return
    known = folder.read_json(FILE) if (folder.path / FILE).is_file() else {}
    own = mark_of(config)
    if own is None or not hmac.compare_digest(own.encode(), str(known.get(FACT)).encode()):
        raise RunFolderError(
            f"{folder.path} was not begun by you on this machine, and resuming it may import "
            f"{' and '.join(functions)} and run that code. If you trust it, "
            f"`vqlso resume --force {shlex.quote(str(folder.path))}`."
        )


def _functions(value: Any) -> list[str]:
    """All texts of the form module:function, whichever setting they are in."""
    if isinstance(value, Mapping):
        return [each for part in value.values() for each in _functions(part)]
    if isinstance(value, list | tuple):
        return [each for part in value for each in _functions(part)]
    return [value] if isinstance(value, str) and _FUNCTION.fullmatch(value) else []


def _key(path: Path) -> bytes | None:
    """The user's key, which is made where it is missing; None where it can be neither."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            key = path.read_bytes()
        else:
            key = secrets.token_bytes(LENGTH)
            with os.fdopen(descriptor, "wb") as file:
                file.write(key)
    except OSError:
        return None
    return key if len(key) == LENGTH else None
