"""What an inversion has found so far, read from its run folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.runs.folder import RunFolder

STARTS = "archive/starts.npz"


@dataclass(frozen=True)
class Found:
    """What was found for one target.

    Attributes:
        name: of the target.
        z: (*space.shape,), the best latent.
        curve: (n,) the criterion of the best of the first 1..n images, the starts before all.
        starts: how many of these were starts.
    """

    name: str
    z: NDArray[Any]
    curve: NDArray[np.float64]
    starts: int

    @property
    def criterion(self) -> float:
        """Of the best latent."""
        return float(self.curve[-1])

    @property
    def at_start(self) -> float:
        """Of the best start."""
        return float(self.curve[self.starts - 1])


def strip_file(found: Sequence[Found], place: int) -> str:
    """Where the target beside its result lies in the run folder."""
    return "strip.png" if len(found) == 1 else f"strips/{_stem(found, place)}.png"


def result_file(found: Sequence[Found], place: int) -> str:
    """Where the result lies in the run folder."""
    return "result.png" if len(found) == 1 else f"results/{_stem(found, place)}.png"


def _stem(found: Sequence[Found], place: int) -> str:
    """Numbered, since two targets may differ in their endings only."""
    return f"{place:03d}-{Path(found[place].name).stem.replace(' ', '-')}"


def found_in(folder: RunFolder) -> list[Found]:
    """What the run has found for each target, from its starts and its journal.

    Raises:
        RunFolderError: it has not scored its starts yet, or its files are damaged.
    """
    begun = folder.read_arrays(STARTS)
    names = [str(name) for name in begun["names"]]
    events = folder.journal.events("query")
    targets = np.array([event["id"] for event in events], dtype=np.int64) % len(names)
    # A failure has no score.
    scores = [-np.inf if event["score"] is None else event["score"] for event in events]
    found = []
    for target, name in enumerate(names):
        own = np.flatnonzero(targets == target)
        starts = begun["values"][target :: len(names)]
        values = np.concatenate([starts, [scores[row] for row in own]])
        best = int(values.argmax())
        z = begun["z"][target :: len(names)][best] if best < len(starts) else None
        if z is None:
            z = np.array(events[own[best - len(starts)]]["z"])
        found.append(Found(name, z, -np.maximum.accumulate(values), len(starts)))
    return found
