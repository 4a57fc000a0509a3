"""What commands have in common: failures as one paragraph, and output that suits the terminal."""

from __future__ import annotations

import errno
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from vqlso.errors import VqlsoError

INTERRUPTED = 130
SMOKE_TEST = "A smoke test (size=tiny): these figures mean nothing."


class _PlainFlags:
    """Flags are listed without a value, since they take none."""

    def get_params(self, ctx: Any) -> list[Any]:
        params: list[Any] = super().get_params(ctx)  # type: ignore[misc]
        for param in params:
            if getattr(param, "is_flag", False):
                param.metavar = ""
        return params


class Command(_PlainFlags, TyperCommand):
    """A command whose help says of flags what they do, not that they are Boolean."""


class Group(_PlainFlags, TyperGroup):
    """Likewise of commands."""


DebugOption = Annotated[bool, typer.Option("--debug", help="Show tracebacks.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the summary as JSON only.")]
QuietOption = Annotated[bool, typer.Option("--quiet", help="No progress bars.")]


@contextmanager
def one_paragraph(debug: bool) -> Iterator[None]:
    """Turn known failures into one paragraph on the error stream.

    Args:
        debug: let them pass with their tracebacks instead.

    Raises:
        typer.Exit: with the failure's exit code.
    """
    try:
        yield
    except VqlsoError as error:
        if debug:
            raise
        complain(str(error))
        raise typer.Exit(error.exit_code) from error
    except (MemoryError, OSError, RuntimeError) as error:
        if debug or not _lacks_resources(error):
            raise
        complain(
            f"This machine ran out of memory or of open files ({error or type(error).__name__}). "
            "What was finished is kept: free some, or choose smaller images, networks or batches, "
            "then give the same command again."
        )
        raise typer.Exit(VqlsoError.exit_code) from error
    except KeyboardInterrupt as error:
        complain(str(error) or "Interrupted before anything was made.")
        raise typer.Exit(INTERRUPTED) from error


def _lacks_resources(error: Exception) -> bool:
    """Memory and descriptors; PyTorch and safetensors tell of memory in words alone."""
    if isinstance(error, RuntimeError):
        told = str(error)
        words = ("annot allocate memory", "can't allocate memory", "Too many open files")
        return any(each in told for each in words)
    scarce = (errno.ENOMEM, errno.EMFILE, errno.ENFILE)
    return isinstance(error, MemoryError) or getattr(error, "errno", None) in scarce


def complain(message: str) -> None:
    """One paragraph on the error stream."""
    typer.secho(f"vqlso: {message}", err=True, fg=typer.colors.RED)


def console() -> Any:
    """Of the output stream; rich is imported when something is drawn."""
    from rich.console import Console

    return Console()


def progress(silent: bool) -> Any:
    """Bars on the error stream, where somebody sees them."""
    if silent or not sys.stderr.isatty():
        from vqlso.progress import SILENT

        return SILENT
    from rich.console import Console

    from pipeline.commands.console import ConsoleProgress

    return ConsoleProgress(Console(stderr=True))
