"""How long a person waits: for a session, for the next images, for a session opened again.

    python -m benchmarks.evolution_times

Sessions of 28 images with the packaged generators, five picks each of six times.
"""

from __future__ import annotations

import io
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import TypeVar

import numpy as np
from PIL import Image

from benchmarks.extra_tables import printed, titled
from benchmarks.recording import Recording
from pipeline.evolution.session import EvolutionSession, EvolutionSettings
from pipeline.runs.folder import RunFolder
from vqlso.data.faces import procedural_faces
from vqlso.hardware import limit_threads

T = TypeVar("T")

STEPS = 6
GENERATORS = ("stylegan2", "vqvae")
PHOTO_SEED = 99


@dataclass(frozen=True)
class Waits:
    """Seconds by the clock.

    Attributes:
        label: which session.
        begun, opened: until the first images are there.
        picks: until the next images are there, each time.
    """

    label: str
    begun: float
    picks: tuple[float, ...]
    opened: float


def photo() -> bytes:
    """A procedural face as a PNG."""
    buffer = io.BytesIO()
    face = procedural_faces(1, PHOTO_SEED).images[0]
    Image.fromarray(np.ascontiguousarray(face.transpose(1, 2, 0))).save(buffer, "PNG")
    return buffer.getvalue()


def waits(folder: Path) -> Iterator[Waits]:
    """Sessions that begin at random, and from a photo."""
    for generator in GENERATORS:
        for given in (None, photo()):
            label = f"{generator}, {'random start' if given is None else 'from a photo'}"
            settings = EvolutionSettings(
                generator, "random" if given is None else "photo", photo=given
            )
            path = folder / label.replace(", ", "-").replace(" ", "-")
            session, begun = _clocked(lambda p=path, s=settings: _created(p, s))
            counts = np.bincount([1, 3, 3, 8, 20], minlength=settings.population).tolist()
            picks = tuple(_clocked(lambda s=session, c=counts: s.pick(c))[1] for _ in range(STEPS))
            _, opened = _clocked(lambda p=path: EvolutionSession.open(RunFolder(p)))
            yield Waits(label, begun, picks, opened)


def _created(path: Path, settings: EvolutionSettings) -> EvolutionSession:
    return EvolutionSession.create(RunFolder(path), settings)


def _clocked(call: Callable[[], T]) -> tuple[T, float]:
    began = perf_counter()
    return call(), perf_counter() - began


def main() -> None:
    """Measure, write and print."""
    limit_threads(1)  # the figures of a person on any machine, however busy the other cores are
    heads = ["session", "begun, s", "next images, s: median (worst)", "opened again, s"]
    rows = []
    with Recording("evolution_times", "python -m benchmarks.evolution_times") as recording:
        with tempfile.TemporaryDirectory() as folder:
            for each in waits(Path(folder)):
                nexts = f"{median(each.picks):.2f} ({max(each.picks):.2f})"
                rows.append([each.label, f"{each.begun:.1f}", nexts, f"{each.opened:.1f}"])
        recording.extra = {"tables": [titled("Waiting", heads, rows)]}
    print(printed(recording.extra["tables"]), file=sys.stderr)


if __name__ == "__main__":
    main()
