"""What a score ascent climbs: a stored generator, a score, and who judges the outcome."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from pipeline.configuration.settings import ExperimentConfig
from pipeline.parts.generators import PACKAGED_DISCRIMINATOR, stored_generator
from pipeline.preparation.scorers import given_objective, prepare_scorers, with_degrees
from pipeline.preparation.sources import default_cache, load_data
from pipeline.runs.folder import RunFolder
from pipeline.runs.shelf import Shelf
from vqlso.contracts import Generator, Objective
from vqlso.data.celeba import has_binary_labels
from vqlso.data.image_set import ImageSet
from vqlso.errors import ConfigError
from vqlso.generators import load_discriminator
from vqlso.objectives.climbable import ClimbableDegree, Realness
from vqlso.objectives.degree_classifier import DegreeClassifier
from vqlso.objectives.text_score import text_score
from vqlso.problems.score_ascent import ScoreAscent
from vqlso.progress import Progress

# The images that an ascent should come near to: the best tenth of the data.
TARGET_SHARE = 0.1


@dataclass(frozen=True)
class Ascended:
    """What is climbed, and what is known beside it.

    Attributes:
        problem: the score behind the generator.
        objective: the score.
        origin: where the generator came from.
        judge: the scorer that is never asked; None where nobody else can judge the score.
        target: (m, 3, H, W) uint8, real images that score high; empty where there are none.
    """

    problem: ScoreAscent
    objective: Objective
    origin: str
    judge: DegreeClassifier | None
    target: NDArray[np.uint8]


class _ToBeTrained:
    """Stands for the classifier that the run will load or train."""

    name = "a degree classifier"

    def __call__(self, images: Tensor) -> NDArray[np.float64]:  # noqa: ARG002
        raise AssertionError("It is only asked for once it has been trained.")

    def value(self, images: Tensor) -> Tensor:  # noqa: ARG002
        raise AssertionError("It is only asked for once it has been trained.")


def planned_problem(config: ExperimentConfig) -> ScoreAscent:
    """The problem as far as it is known before anything is made.

    Raises:
        ConfigError: settings that do not fit together, or a score that cannot be imported.
        CheckpointError: a network's file is missing, damaged or of another kind.
    """
    generator, _ = stored_generator(config)
    score = _given_score(config)
    trained_on = generator.image_shape[-1]
    if _on_data(config) and config.data.size != trained_on:
        raise ConfigError(
            f"The generator makes images of {trained_on} pixels, but data.size is "
            f"{config.data.size}, and the scorer is trained on the data: set "
            f"data.size={trained_on}."
        )
    return ScoreAscent(generator, score or _ToBeTrained())


def ascended(config: ExperimentConfig, folder: RunFolder, progress: Progress) -> Ascended:
    """The problem with its scorer, which is trained where none is packaged, cached or given.

    Raises:
        VqlsoError: whatever data, scorers and generator raise.
    """
    generator, origin = stored_generator(config)
    score = _given_score(config)
    if score is not None and not _on_data(config):
        nothing = np.empty((0, *generator.image_shape), dtype=np.uint8)
        return Ascended(ScoreAscent(generator, score), score, origin, None, nothing)
    return _scored_by_data(config, generator, origin, score, folder, progress)


def _scored_by_data(
    config: ExperimentConfig,
    generator: Generator,
    origin: str,
    score: Objective | None,
    folder: RunFolder,
    progress: Progress,
) -> Ascended:
    cache = Path(config.cache).expanduser() if config.cache else default_cache()
    shelf = Shelf(folder.path / "networks", cache / "networks", config.train_from_scratch)
    data = load_data(config.data, cache / "images", progress)
    if has_binary_labels(data):
        data = with_degrees(data, config, shelf, progress)
    scorers = prepare_scorers(config, score, data, shelf, progress)
    asked = scorers.objective
    objective = ClimbableDegree(asked) if isinstance(asked, DegreeClassifier) else asked
    problem = ScoreAscent(generator, objective)
    return Ascended(problem, objective, origin, scorers.judge, _target(data))


def _target(data: ImageSet) -> NDArray[np.uint8]:
    rows = np.flatnonzero(data.labels >= np.quantile(data.labels, 1 - TARGET_SHARE))
    return np.asarray(data.images[rows])


def _on_data(config: ExperimentConfig) -> bool:
    """Whether scorer or judge are trained on the configured data."""
    return config.ascent.score == "objective" and config.objective.kind != "callable"


def _given_score(config: ExperimentConfig) -> Objective | None:
    return SCORES[config.ascent.score](config)


def _by_discriminator(config: ExperimentConfig) -> Objective:
    chosen = config.ascent.discriminator
    if chosen is None and config.generator.checkpoint is not None:
        raise ConfigError(
            "ascent.score=discriminator needs the network that generator.checkpoint was trained "
            "against: give ascent.discriminator=FILE."
        )
    path = PACKAGED_DISCRIMINATOR if chosen is None else Path(chosen).expanduser()
    return Realness(load_discriminator(path))


def _by_text(config: ExperimentConfig) -> Objective:
    chosen = config.ascent
    if chosen.text is None or chosen.model is None:
        raise ConfigError(
            "A text score needs both: ascent.text='a smiling face' and ascent.model=PATH or "
            "module:function, an image-text model. None is packaged."
        )
    return text_score(chosen.text, chosen.model)


# None where the data's own classifier is the score.
SCORES: dict[str, Callable[[ExperimentConfig], Objective | None]] = {
    "objective": lambda config: given_objective(config.objective),
    "discriminator": _by_discriminator,
    "text": _by_text,
}
