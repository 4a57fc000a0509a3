"""What a score ascent has asked and heard so far, in its run folder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.runs.folder import RunFolder
from vqlso.archive import Archive
from vqlso.errors import ObjectiveError, RunFolderError
from vqlso.problems.image_score import ImageScore
from vqlso.problems.target_image import TargetImage
from vqlso.randomness import stream
from vqlso.records import Context, Proposal, Scores

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
    folder: RunFolder,
    problem: ImageScore | TargetImage,
    sources: Mapping[str, str],
    *,
    count: int,
    seed: int,
) -> tuple[Archive, float]:
    """So many scored samples, and the seconds that they took; scored once, whatever is resumed.

    Starts that the black box fails at are kept in the folder, with NaN, and not in the archive.

    Args:
        folder: of the run.
        problem: scores them.
        sources: what decides the score, by `sources_of`.
        count: of starts, >= 1.
        seed: of the samples.

    Raises:
        ObjectiveError: none of them can be scored.
        RunFolderError: the run was started with another generator, or with other sources.
    """
    version = problem.generator.version
    if not (folder.path / STARTS).is_file():
        began = perf_counter()
        samples = problem.space.sample(count, stream(seed, "ascent starts"))
        scores = _scored(problem, samples, seed)
        folder.write_arrays(
            STARTS,
            version=np.array(version),
            sources=np.array(json.dumps(dict(sources))),
            z=samples,
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
    _require_same(folder, json.loads(str(known["sources"])), sources)
    fine = np.isfinite(known["values"])
    archive = Archive(known["images"][fine], known["values"][fine], known["z"][fine], version)
    return archive, float(known["seconds"])


def _scored(problem: ImageScore | TargetImage, samples: NDArray[np.float64], seed: int) -> Scores:
    """Scores of latents, row by row; at least one of them is finite."""
    proposal = Proposal.unproven(
        samples, space=problem.space.name, version=problem.generator.version
    )
    scores = problem.evaluate(proposal, Context(seed=seed, round=0))
    if not scores.ok.any():
        raise ObjectiveError(
            f"None of {len(samples)} starts can be scored, the first one because of "
            f"'{scores.reason[0]}'. Mend the score, or try other starts by ascent.starts or seed."
        )
    return scores


def _require_same(folder: RunFolder, known: Mapping[str, str], sources: Mapping[str, str]) -> None:
    different = [setting for setting in sources if known.get(setting) != sources[setting]]
    if different:
        raise RunFolderError(
            f"{folder.path} was started with another content of {' and '.join(different)} than is "
            "here now, and two scores would be mixed into one result: bring it back, or start a "
            "new run with another out=DIR."
        )


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


def latents_in(folder: RunFolder) -> NDArray[np.float64]:
    """(n, *space.shape) the latents of what the run has scored, in the order of `asked_in`.

    Raises:
        RunFolderError: as `asked_in`.
    """
    queried = [event["z"] for event in folder.journal.events("query")]
    begun = np.asarray(folder.read_arrays(STARTS)["z"], dtype=np.float64)
    return np.concatenate([begun, np.array(queried, dtype=np.float64)]) if queried else begun


def best_latent(folder: RunFolder) -> NDArray[Any]:
    """(*space.shape,) the latent of the best score so far.

    Raises:
        RunFolderError: as `asked_in`.
    """
    best = int(np.nanargmax(asked_in(folder, images=False).scores))
    return np.asarray(latents_in(folder)[best])


def picture_file(group: str) -> str:
    """Where the picture of a group of images lies in the run folder."""
    return f"pictures/{group}.png"
