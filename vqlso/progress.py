"""How long work tells how far it is, without knowing who shows it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

Advance = Callable[[int], None]


class Progress(Protocol):
    """Something that shows the progress of named tasks."""

    @contextmanager
    def task(self, description: str, total: int) -> Iterator[Advance]:
        """Show a task of `total` steps; call the yielded function with the steps done."""


class Silent:
    """Shows nothing: the default of every library call."""

    @contextmanager
    def task(self, description: str, total: int) -> Iterator[Advance]:  # noqa: ARG002
        """Accept the steps and drop them."""
        yield lambda _steps: None


SILENT = Silent()
