"""What every benchmark can be told."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from benchmarks.recording import RESULTS


def frame_options(description: str | None, rounds: int = 5) -> argparse.ArgumentParser:
    """A parser of `--rounds` and `--results`, for a benchmark to add its own options to."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=rounds, help="that count")
    parser.add_argument(
        "--results", type=Path, default=RESULTS, metavar="DIR", help="where the JSON file goes"
    )
    return parser


def whole_numbers(text: str) -> list[int]:
    """ "1,2" -> [1, 2]."""
    return [int(part) for part in text.split(",")]


def settings_of(options: argparse.Namespace) -> dict[str, Any]:
    """What was asked, but for paths, which are each machine's own."""
    return {name: value for name, value in vars(options).items() if not isinstance(value, Path)}


def command_of(name: str) -> str:
    """What to type to run this benchmark as it was run."""
    given = " ".join(sys.argv[1:])
    return f"make bench-{name}" + (f" ARGS='{given}'" if given else "")
