"""Progress bars with an ETA, on the terminal's error stream so that `--json` stays clean."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as Bars

from vqlso.progress import Advance


class ConsoleProgress:
    """One bar a task, nested tasks below each other; a finished inner bar disappears.

    Args:
        console: where the bars are drawn.
    """

    def __init__(self, console: Console) -> None:
        self._bars = Bars(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("ETA"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
        )
        self._depth = 0

    @contextmanager
    def task(self, description: str, total: int) -> Iterator[Advance]:
        """Show a task while it runs."""
        if self._depth == 0:
            self._bars.start()
        self._depth += 1
        bar = self._bars.add_task(description, total=total)
        try:
            yield lambda steps: self._bars.advance(bar, steps)
        finally:
            self._bars.remove_task(bar)
            self._depth -= 1
            if self._depth == 0:
                self._bars.stop()
