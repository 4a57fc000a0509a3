"""The queried black box and its judge: loaded, imported, or trained on the data in use."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from pipeline.configuration.settings import ExperimentConfig, ObjectiveConfig
from pipeline.preparation.sources import given_path
from pipeline.runs.shelf import Shelf
from vqlso.contracts import Objective
from vqlso.data.cache import fingerprint
from vqlso.data.image_set import ImageSet
from vqlso.data.splits import split_people
from vqlso.errors import ConfigError
from vqlso.images import to_unit
from vqlso.objectives.celeba_dialog import CelebADialogObjective
from vqlso.objectives.degree_classifier import DegreeClassifier
from vqlso.objectives.isolated import IsolatedObjective
from vqlso.objectives.python_callable import PythonObjective, source_hash, unimported_source_hash
from vqlso.objectives.retried import RetriedObjective
from vqlso.progress import Progress
from vqlso.training.scorer import RECIPE_VERSION, ScorerTraining, scorer_quality, train_scorer

Role = Literal["scorer", "judge", "labeller"]

# People of the queried scorer, of the judge, and of neither: those measure both.
PEOPLE_SHARES = (0.45, 0.45, 0.1)
LABELLER_SHARES = (0.9, 0.1)
CHUNK = 1024


@dataclass(frozen=True)
class Scorers:
    """Both scorers, and the facts about them.

    Attributes:
        objective: the queried black box.
        judge: trained on other people by another architecture, and never queried; None for a
            function of the user's own.
        facts: by "queried" and "judge".
    """

    objective: Objective
    judge: DegreeClassifier | None
    facts: dict[str, Any]


def given_objective(config: ObjectiveConfig) -> Objective | None:
    """The objective that needs no training, so that what is wrong with it shows at once.

    Raises:
        ConfigError: a function that cannot be imported, an unknown attribute or kind.
        CheckpointError: weights that are missing, damaged or of another architecture.
    """
    if config.kind not in OBJECTIVES:
        raise ConfigError(f"There is no objective.kind '{config.kind}'.")
    load = OBJECTIVES[config.kind]
    return load(config) if load else None


def given_source(config: ObjectiveConfig) -> str | None:
    """A hash of what a given objective is made of; None where it cannot be known.

    Of a function it is the file that defines it, not what this imports.
    """
    if config.kind == "callable" and config.target:
        return (unimported_source_hash if config.isolate else source_hash)(config.target)
    if config.kind == "celeba_dialog" and config.checkpoint:
        content = Path(config.checkpoint).expanduser().read_bytes()
        return hashlib.sha256(content).hexdigest()[:16]
    return None


def prepare_scorers(
    config: ExperimentConfig,
    given: Objective | None,
    data: ImageSet,
    shelf: Shelf,
    progress: Progress,
) -> Scorers:
    """The queried scorer, which is trained where none is given, and the judge.

    A function of the user's own has no judge: a smile scorer can say nothing of what it measures.
    """
    if given is not None and config.objective.kind == "callable":
        return Scorers(given, None, {"queried": _named(given, "yours"), "judge": None})
    queried_people, judge_people, held_out = split_people(
        data.people, PEOPLE_SHARES, config.objective.seed
    )

    def trained(
        role: Role, architecture: str, people: NDArray[np.int64]
    ) -> tuple[DegreeClassifier, dict[str, Any]]:
        return _classifier(role, architecture, people, held_out, config, data, shelf, progress)

    judge, judge_facts = trained("judge", "plain", judge_people)
    if given is not None:
        origin = Path(str(config.objective.checkpoint)).name
        return Scorers(given, judge, {"queried": _named(given, origin), "judge": judge_facts})
    objective, facts = trained("scorer", "residual", queried_people)
    return Scorers(objective, judge, {"queried": facts, "judge": judge_facts})


def with_degrees(
    data: ImageSet, config: ExperimentConfig, shelf: Shelf, progress: Progress
) -> ImageSet:
    """Degrees for a binary attribute: five times the calibrated probability of a scorer.

    The labeller has its own people for the calibration: on people that it was trained on, it is
    surer than it should be.
    """
    scaled = replace(data, labels=5 * data.labels)
    people, held_out = split_people(data.people, LABELLER_SHARES, config.objective.seed)
    labeller, _ = _classifier(
        "labeller", "residual", people, held_out, config, scaled, shelf, progress
    )
    starts = range(0, len(data), CHUNK)
    degrees = np.concatenate(
        [labeller(to_unit(data.images[start : start + CHUNK])) for start in starts]
    )
    origin = f"5 x calibrated probability of a scorer trained on the {data.label_origin}"
    return replace(
        data,
        labels=degrees,
        label_origin=origin,
        fingerprint=fingerprint(data.fingerprint, degrees, data.people, origin),
    )


def _classifier(
    role: Role,
    architecture: str,
    rows: NDArray[np.int64],
    held_out: NDArray[np.int64],
    config: ExperimentConfig,
    data: ImageSet,
    shelf: Shelf,
    progress: Progress,
) -> tuple[DegreeClassifier, dict[str, Any]]:
    training = ScorerTraining(epochs=config.objective.epochs)
    recipe = {
        "version": RECIPE_VERSION,
        "data": data.fingerprint,
        "architecture": architecture,
        "role": role,
        "training": asdict(training),
        "people": LABELLER_SHARES if role == "labeller" else PEOPLE_SHARES,
        "seed": config.objective.seed,
    }
    classifier, origin = shelf.find_or_train(
        role,
        DegreeClassifier,
        recipe,
        lambda checkpointing: train_scorer(
            data,
            rows,
            held_out,
            architecture,
            training,
            seed=config.objective.seed,
            checkpointing=checkpointing,
            progress=progress,
        ),
    )
    quality = scorer_quality(classifier, data.images[held_out], data.labels[held_out])
    return classifier, _named(classifier, origin) | quality


def _named(objective: Objective, origin: str) -> dict[str, str]:
    return {"name": objective.name, "origin": origin}


def _celeba_dialog(config: ObjectiveConfig) -> Objective:
    path = given_path(config.checkpoint, "objective.checkpoint")
    return CelebADialogObjective(path, config.attribute)


def _callable(config: ObjectiveConfig) -> Objective:
    if config.target is None:
        raise ConfigError("objective=callable needs objective.target=module:function.")
    objective: Objective = (
        IsolatedObjective(config.target, config.timeout)
        if config.isolate
        else PythonObjective(config.target)
    )
    return RetriedObjective(objective, config.retries, config.failures_count)


OBJECTIVES: dict[str, Callable[[ObjectiveConfig], Objective] | None] = {
    "classifier": None,
    "celeba_dialog": _celeba_dialog,
    "callable": _callable,
}
