"""Packages of the extras, imported where they are used."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from vqlso.errors import MissingExtraError


def extra_package(module: str, extra: str) -> Any:
    """A module of an optional package.

    Args:
        module: its dotted name, such as "botorch.models".
        extra: the extra that installs it.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise MissingExtraError(
            f"The package '{error.name}' is not installed: pip install '.[{extra}]' in the "
            "project's clone."
        ) from error
