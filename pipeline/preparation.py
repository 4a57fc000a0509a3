"""Everything before the first query: data, scorers, generator and the scored training set."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from pipeline.configuration import ExperimentConfig, GeneratorConfig
from pipeline.run_folder import RunFolder
from pipeline.scorers import Scorers, given_objective, prepare_scorers, with_degrees
from pipeline.scoring import scores_of
from pipeline.shelf import Shelf
from pipeline.sources import default_cache, load_data
from vqlso.archive import Archive
from vqlso.contracts import Objective
from vqlso.data.celeba import has_binary_labels
from vqlso.data.image_set import ImageSet
from vqlso.errors import ConfigError, DataError, ObjectiveError
from vqlso.generators.quantizer import CodebookSettings, CodebookUpdate
from vqlso.generators.vqvae import VQVAE, VQVAESettings
from vqlso.images import to_bytes, to_unit
from vqlso.objectives.degree import on_degree_scale
from vqlso.objectives.degree_classifier import DegreeClassifier
from vqlso.progress import Progress
from vqlso.training.fitting import Decay, Optimisation
from vqlso.training.vqvae import RECIPE_VERSION, VQVAETraining, reconstruction_quality, train_vqvae

QUALITY_IMAGES = 2000
PAPERS_RESTRICTION = 2.0  # paper 003, section 3
CHUNK = 1024


@dataclass(frozen=True)
class Preparation:
    """What a run starts from, and the facts about it.

    Attributes:
        data: all images, with their labels.
        training: rows of the restricted training set that the black box could score.
        target: rows of the unseen images above the restriction.
        generator: the generator before any retraining.
        objective: the queried black box.
        judge: the second scorer; None for an objective that nobody else can judge.
        archive: the training set, scored on its reconstructions; the loop moves it on.
        codes: (n, h, w) the training set's codes as they were before the loop.
        judged: (n,) the judge's scores of the same reconstructions; NaN without a judge.
        facts: for `preparation.json`.
    """

    data: ImageSet
    training: NDArray[np.int64]
    target: NDArray[np.int64]
    generator: VQVAE
    objective: Objective
    judge: DegreeClassifier | None
    archive: Archive
    codes: NDArray[np.int64]
    judged: NDArray[np.float64]
    facts: dict[str, Any]


def prepare(config: ExperimentConfig, folder: RunFolder, progress: Progress) -> Preparation:
    """Load or make everything a run needs; an interrupted preparation continues.

    What is given is loaded before anything is trained, so that a mistake shows at once.

    Raises:
        DataError, CheckpointError, ConfigError: naming what is wrong and the remedy.
        ObjectiveError: the black box could score no training image.
    """
    cache = Path(config.cache).expanduser() if config.cache else default_cache()
    shelf = Shelf(folder.path / "networks", cache / "networks", config.train_from_scratch)
    seconds: dict[str, float] = {}
    given = given_objective(config.objective)
    given_generator = _given_generator(config)
    with _timed(seconds, "data"):
        data = load_data(config.data, cache / "images", progress)
        if has_binary_labels(data):
            data = with_degrees(data, config, shelf, progress)
    restrict, reason = restriction(config.data.restrict, data.labels)
    restricted = data.at_most(restrict)
    _require_both_sides(data, restricted, restrict)
    with _timed(seconds, "scorers"):
        scorers = prepare_scorers(config, given, data, shelf, progress)
    with _timed(seconds, "generator"):
        generator, origin = given_generator or _trained_generator(
            config.generator, data, restricted, shelf, progress
        )
    with _timed(seconds, "archive"):
        scored = _scored_training_set(data, restricted, generator, scorers, folder, progress)
    return Preparation(
        data,
        scored.rows,
        data.above(restrict),
        generator,
        scorers.objective,
        scorers.judge,
        scored.archive,
        scored.archive.latents(generator.version),
        scored.judged,
        {
            "data": {
                "name": data.name,
                "label_origin": data.label_origin,
                "images": len(data),
                "training": len(restricted),
                "target": len(data) - len(restricted),
                "restrict": restrict,
                "restrict_reason": reason,
                "skipped": list(data.skipped),
                "unscored": len(restricted) - len(scored.rows),
                "fingerprint": data.fingerprint,
            },
            "generator": {
                "version": generator.version,
                "origin": origin,
                "categories": generator.settings.categories,
                **reconstruction_quality(generator, data.images[restricted[:QUALITY_IMAGES]]),
            },
            "scorers": scorers.facts,
            "seconds": seconds,
        },
    )


def restriction(given: float | None, labels: NDArray[np.float64]) -> tuple[float, str]:
    """Up to which label images are trained on, and why there.

    Args:
        given: the configured value, if there is one.
        labels: (n,) of all images.
    """
    if given is not None:
        return given, "as configured"
    if on_degree_scale(labels):
        return PAPERS_RESTRICTION, "the paper's, for degrees from 0 to 5"
    return float(np.median(labels)), "the median of all labels"


def vqvae_recipe(config: GeneratorConfig, image_size: int) -> tuple[VQVAESettings, VQVAETraining]:
    """The configured architecture for images of this size, and how it is trained."""
    settings = VQVAESettings(
        image_size=image_size,
        width=config.width,
        categories=config.categories,
        dimension=config.dimension,
        residual_blocks=config.residual_blocks,
        codebook=CodebookSettings(
            update=cast(CodebookUpdate, config.codebook.update),
            data_init=config.codebook.data_init,
            revival=config.codebook.revival,
        ),
    )
    optimisation = Optimisation(config.learning_rate, cast(Decay, config.decay))
    return settings, VQVAETraining(config.epochs, config.batch_size, optimisation)


def _given_generator(config: ExperimentConfig) -> tuple[VQVAE, str] | None:
    path = config.generator.checkpoint
    if path is None:
        return None
    generator = VQVAE.load(Path(path).expanduser())
    size = generator.settings.image_size
    if size != config.data.size:
        raise ConfigError(
            f"generator.checkpoint={path} makes images of {size} pixels, but data.size is "
            f"{config.data.size}: set data.size={size}."
        )
    return generator, Path(path).name


def _trained_generator(
    config: GeneratorConfig,
    data: ImageSet,
    training: NDArray[np.int64],
    shelf: Shelf,
    progress: Progress,
) -> tuple[VQVAE, str]:
    settings, how = vqvae_recipe(config, data.images.shape[-1])
    recipe = {
        "version": RECIPE_VERSION,
        "data": data.fingerprint,
        "training_images": len(training),
        "settings": asdict(settings),
        "training": asdict(how),
        "seed": config.seed,
    }
    return shelf.find_or_train(
        "generator",
        VQVAE,
        recipe,
        lambda checkpointing: train_vqvae(
            data.images[training],
            settings,
            how,
            seed=config.seed,
            checkpointing=checkpointing,
            progress=progress,
        )[0],
    )


@dataclass(frozen=True)
class _Scored:
    """The training images that the black box could score."""

    rows: NDArray[np.int64]
    archive: Archive
    judged: NDArray[np.float64]


def _scored_training_set(
    data: ImageSet,
    rows: NDArray[np.int64],
    generator: VQVAE,
    scorers: Scorers,
    folder: RunFolder,
    progress: Progress,
) -> _Scored:
    """The training set with f(d(e(x))) as scores: one black box for data and queries alike."""
    codes = np.concatenate(
        [
            generator.encode(to_unit(data.images[rows[start : start + CHUNK]]))
            for start in range(0, len(rows), CHUNK)
        ]
    )
    if not (folder.path / "archive/initial.npz").is_file():
        scores, judged = _scores(codes, generator, scorers, folder, progress)
        folder.write_arrays(
            "archive/initial.npz",
            scores=scores,
            judged=judged,
            rows=rows,
            fingerprint=np.array(data.fingerprint),
        )
    known = folder.read_arrays("archive/initial.npz")
    if known["fingerprint"] != data.fingerprint or not np.array_equal(known["rows"], rows):
        raise DataError(
            f"{folder.path} was run on {len(known['rows'])} other training images than the "
            f"{len(rows)} that are here now: the data has changed. Start a new run."
        )
    usable = np.isfinite(known["scores"])
    archive = Archive(
        data.images[rows[usable]], known["scores"][usable], codes[usable], generator.version
    )
    return _Scored(rows[usable], archive, known["judged"][usable])


def _scores(
    codes: NDArray[np.int64],
    generator: VQVAE,
    scorers: Scorers,
    folder: RunFolder,
    progress: Progress,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(n,) scores of the reconstructions by the black box, NaN where it fails, and the judge's."""
    scores, judged, reason = np.empty(len(codes)), np.empty(len(codes)), ""
    with progress.task("scoring the training set", len(codes)) as advance:
        for start in range(0, len(codes), CHUNK):
            chunk = slice(start, start + CHUNK)
            unit = to_unit(to_bytes(generator.decode(codes[chunk])))
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


def _require_both_sides(data: ImageSet, training: NDArray[np.int64], restrict: float) -> None:
    if not len(training) or len(training) == len(data):
        which = "no" if not len(training) else "every"
        raise DataError(
            f"data.restrict={restrict} leaves {which} image of '{data.name}' in the training set: "
            f"labels run from {data.labels.min():g} to {data.labels.max():g}. "
            "Choose a value between them, so that something is left to be reached."
        )


@contextmanager
def _timed(seconds: dict[str, float], stage: str) -> Iterator[None]:
    started = perf_counter()
    yield
    seconds[stage] = perf_counter() - started
