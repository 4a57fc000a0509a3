"""The scored latents that a search starts from: of the training images, or of own samples."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.preparation.scorers import Scorers
from pipeline.runs.folder import RunFolder
from pipeline.scoring import scores_of
from vqlso.archive import Archive
from vqlso.contracts import EncodingGenerator, Generator
from vqlso.data.image_set import ImageSet
from vqlso.errors import DataError, ObjectiveError
from vqlso.images import to_bytes, to_unit
from vqlso.progress import Progress
from vqlso.randomness import stream

FILE = "archive/initial.npz"
CHUNK = 1024

Drawn = Callable[[slice], NDArray[np.uint8]]  # these rows of the images that are scored


@dataclass(frozen=True)
class StartingSet:
    """What the black box could score of the images that a run starts from.

    Attributes:
        rows: of the data's images; empty where the generator's own samples were scored.
        archive: the images with their latents and scores.
        judged: (len(archive),) the judge's scores; NaN without a judge.
        failed: how many images the black box could not score.
    """

    rows: NDArray[np.int64]
    archive: Archive
    judged: NDArray[np.float64]
    failed: int


def encoded_start(
    data: ImageSet,
    rows: NDArray[np.int64],
    generator: EncodingGenerator,
    scorers: Scorers,
    folder: RunFolder,
    progress: Progress,
) -> StartingSet:
    """The training set with f(d(e(x))) as scores: one black box for data and queries alike.

    Raises:
        DataError: the folder belongs to a run on other images.
        ObjectiveError: the black box could score no image.
    """
    latents = np.concatenate(
        [
            generator.encode(to_unit(data.images[rows[start : start + CHUNK]]))
            for start in range(0, len(rows), CHUNK)
        ]
    )

    def drawn(chunk: slice) -> NDArray[np.uint8]:
        return to_bytes(generator.decode(latents[chunk], generator.space.name))

    known = _scored_once(drawn, rows, data.fingerprint, scorers, folder, progress)
    if known["fingerprint"] != data.fingerprint or not np.array_equal(known["rows"], rows):
        raise DataError(
            f"{folder.path} was run on {len(known['rows'])} other training images than the "
            f"{len(rows)} that are here now: the data has changed. Start a new run."
        )
    usable = np.isfinite(known["scores"])
    archive = Archive(
        data.images[rows[usable]], known["scores"][usable], latents[usable], generator.version
    )
    return StartingSet(rows[usable], archive, known["judged"][usable], int((~usable).sum()))


def sampled_start(
    count: int,
    generator: Generator,
    scorers: Scorers,
    folder: RunFolder,
    progress: Progress,
    *,
    seed: int,
) -> StartingSet:
    """Samples of a generator that cannot encode images, with their scores.

    Raises:
        DataError: the folder belongs to a run with another generator.
        ObjectiveError: the black box could score no image.
    """
    space = generator.space
    latents = space.sample(count, stream(seed, "starting samples"))
    images = np.concatenate(
        [
            to_bytes(generator.decode(latents[start : start + CHUNK], space.name))
            for start in range(0, count, CHUNK)
        ]
    )
    rows = np.arange(count)
    known = _scored_once(images.__getitem__, rows, generator.version, scorers, folder, progress)
    if known["fingerprint"] != generator.version or len(known["rows"]) != count:
        raise DataError(
            f"{folder.path} was started from {len(known['rows'])} samples of generator "
            f"{known['fingerprint']}, not from {count} of {generator.version}. Start a new run."
        )
    usable = np.isfinite(known["scores"])
    archive = Archive(images[usable], known["scores"][usable], latents[usable], generator.version)
    nothing = np.empty(0, dtype=np.int64)
    return StartingSet(nothing, archive, known["judged"][usable], int((~usable).sum()))


def _scored_once(
    drawn: Drawn,
    rows: NDArray[np.int64],
    fingerprint: str,
    scorers: Scorers,
    folder: RunFolder,
    progress: Progress,
) -> dict[str, NDArray[Any]]:
    """What the run's first start has scored; it is kept, since scores may be costly."""
    if not (folder.path / FILE).is_file():
        scores, judged = _scores(drawn, len(rows), scorers, folder, progress)
        folder.write_arrays(
            FILE, scores=scores, judged=judged, rows=rows, fingerprint=np.array(fingerprint)
        )
    return folder.read_arrays(FILE)


def _scores(
    drawn: Drawn,
    count: int,
    scorers: Scorers,
    folder: RunFolder,
    progress: Progress,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(count,) scores of the images by the black box, NaN where it fails, and the judge's."""
    scores, judged, reason = np.empty(count), np.empty(count), ""
    with progress.task("scoring the training set", count) as advance:
        for start in range(0, count, CHUNK):
            chunk = slice(start, min(start + CHUNK, count))
            unit = to_unit(drawn(chunk))
            scores[chunk], failure = scores_of(scorers.objective, unit)
            judged[chunk] = scorers.judge(unit) if scorers.judge else np.nan
            reason = failure or reason
            advance(len(unit))
    if np.isnan(scores).all():
        raise ObjectiveError(
            f"The objective '{scorers.objective.name}' failed on all {len(scores)} training "
            f"images, lastly with '{reason}'. Mend it, then `vqlso resume {folder.path}`, with "
            "--force if that changes its source."
        )
    return scores, judged
