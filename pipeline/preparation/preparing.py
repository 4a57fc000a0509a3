"""Everything before the first query: data, scorers, generator and the scored training set."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.configuration.settings import ExperimentConfig
from pipeline.parts.generators import given_generator, quality, trained_generator
from pipeline.preparation.scorers import given_objective, prepare_scorers, with_degrees
from pipeline.preparation.sources import default_cache, load_data
from pipeline.preparation.starting_set import encoded_start, sampled_start
from pipeline.runs.folder import RunFolder
from pipeline.runs.shelf import Shelf
from vqlso.archive import Archive
from vqlso.contracts import EncodingGenerator, Generator, Objective
from vqlso.data.celeba import has_binary_labels
from vqlso.data.image_set import ImageSet
from vqlso.errors import DataError
from vqlso.objectives.degree import on_degree_scale
from vqlso.objectives.degree_classifier import DegreeClassifier
from vqlso.progress import Progress

QUALITY_IMAGES = 2000
PAPERS_RESTRICTION = 2.0  # paper 003, section 3


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
        archive: what the search starts from, scored as decoded; the loop moves it on.
        latents: (n, *shape) its latents as they were before the loop.
        judged: (n,) the judge's scores of the same images; NaN without a judge.
        facts: for `preparation.json`.
    """

    data: ImageSet
    training: NDArray[np.int64]
    target: NDArray[np.int64]
    generator: Generator
    objective: Objective
    judge: DegreeClassifier | None
    archive: Archive
    latents: NDArray[Any]
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
    given_generator_ = given_generator(config)
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
        generator, origin = given_generator_ or trained_generator(
            config.generator, data, restricted, shelf, progress
        )
    with _timed(seconds, "archive"):
        if isinstance(generator, EncodingGenerator):
            begun = encoded_start(data, restricted, generator, scorers, folder, progress)
        else:
            count, seed = config.generator.samples, config.seed
            begun = sampled_start(count, generator, scorers, folder, progress, seed=seed)
    return Preparation(
        data,
        begun.rows if len(begun.rows) else restricted,
        data.above(restrict),
        generator,
        scorers.objective,
        scorers.judge,
        begun.archive,
        begun.archive.latents(generator.version),
        begun.judged,
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
                "unscored": begun.failed,
                "fingerprint": data.fingerprint,
            },
            "generator": {
                "kind": config.generator.kind,
                "version": generator.version,
                "origin": origin,
                **quality(config.generator, generator, data.images[restricted[:QUALITY_IMAGES]]),
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
