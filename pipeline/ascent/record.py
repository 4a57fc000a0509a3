"""What a score ascent has asked and heard so far, in its run folder."""

from __future__ import annotations

from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.run_folder import RunFolder
from solvers.inversion import scored_starts
from vqlso.archive import Archive
from vqlso.errors import RunFolderError
from vqlso.problems import ImageScore
from vqlso.randomness import stream
from vqlso.target_problem import TargetImage

STARTS = "archive/starts.npz"
EVALUATION = "evaluation.npz"


@dataclass(frozen=True)
class Asked:
    """Every scored image in order, the starts before all.

    Attributes:
        scores: (n,) float64; NaN where the black box failed.
        images: (n, 3, H, W) uint8; none of them where only scores were wanted.
        starts: how many of these were starts.
    """

    scores: NDArray[np.float64]
    images: NDArray[np.uint8]
    starts: int

    @property
    def course(self) -> NDArray[np.float64]:
        """(n,) the best of the first 1..n."""
        known = np.where(np.isfinite(self.scores), self.scores, -np.inf)
        return np.asarray(np.maximum.accumulate(known))


def scored_start(
    folder: RunFolder, problem: ImageScore | TargetImage, count: int, seed: int
) -> tuple[Archive, float]:
    """So many scored samples, and the seconds that they took; scored once, whatever is resumed.

    Raises:
        SolverError: a start that cannot be scored.
        RunFolderError: the run was started with another generator.
    """
    version = problem.generator.version
    if not (folder.path / STARTS).is_file():
        began = perf_counter()
        samples = problem.space.sample(count, stream(seed, "ascent starts"))
        first, scores = scored_starts(problem, samples, seed=seed)
        folder.write_arrays(
            STARTS,
            version=np.array(version),
            z=first.z,
            values=scores.values,
            images=scores.images,
            seconds=np.array(perf_counter() - began),
        )
    known = folder.read_arrays(STARTS)
    if str(known["version"]) != version:
        raise RunFolderError(
            f"{folder.path} was started with generator {known['version']}, not with {version}. "
            "Start a new run with another out=DIR."
        )
    archive = Archive(known["images"], known["values"], known["z"], version)
    return archive, float(known["seconds"])


def asked_in(folder: RunFolder, *, images: bool = True) -> Asked:
    """What the run has scored.

    Args:
        folder: of the run.
        images: whether the images are wanted too.

    Raises:
        RunFolderError: it has not scored its starts yet, or its files are damaged.
    """
    begun = folder.read_arrays(STARTS)
    events = folder.journal.events("query")
    queried = np.array([event["score"] for event in events], dtype=np.float64)
    scores = np.concatenate([begun["values"], queried])
    pictures = begun["images"] if images else begun["images"][:0]
    if images and events:
        answered = np.stack([folder.read_image(event["id"]) for event in events])
        pictures = np.concatenate([pictures, answered])
    return Asked(scores, pictures, len(begun["z"]))


def best_latent(folder: RunFolder) -> NDArray[Any]:
    """(*space.shape,) the latent of the best score so far.

    Raises:
        RunFolderError: as `asked_in`.
    """
    begun, asked = folder.read_arrays(STARTS), asked_in(folder, images=False)
    best = int(np.nanargmax(asked.scores))
    if best < asked.starts:
        return np.asarray(begun["z"][best])
    return np.array(folder.journal.events("query")[best - asked.starts]["z"])


def picture_file(group: str) -> str:
    """Where the picture of a group of images lies in the run folder."""
    return f"pictures/{group}.png"
