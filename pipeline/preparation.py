"""Everything before the first query: data, scorers, generator and the scored training set."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from time import perf_counter
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from pipeline.configuration import DataConfig, ExperimentConfig, GeneratorConfig, nearest
from pipeline.run_folder import RunFolder
from pipeline.shelf import Shelf
from vqlso.archive import Archive
from vqlso.contracts import Objective
from vqlso.data.celeba import celeba, has_binary_labels
from vqlso.data.crop import CENTRE, CENTRE_SQUARE, Crop, DetectorCrop
from vqlso.data.faces import procedural_faces
from vqlso.data.folder import image_folder
from vqlso.data.image_set import ImageSet
from vqlso.data.splits import split_people
from vqlso.errors import ConfigError, DataError
from vqlso.generators.quantizer import CodebookSettings
from vqlso.generators.vqvae import VQVAE, VQVAESettings
from vqlso.images import to_bytes, to_unit
from vqlso.objectives.celeba_dialog import CelebADialogObjective
from vqlso.objectives.degree_classifier import DegreeClassifier
from vqlso.objectives.python_callable import PythonObjective
from vqlso.progress import Progress
from vqlso.training.fitting import Optimisation
from vqlso.training.scorer import ScorerTraining, scorer_quality, train_scorer
from vqlso.training.vqvae import VQVAETraining, reconstruction_quality, train_vqvae

# People of the queried scorer, of the judge, and of neither: those measure both.
PEOPLE_SHARES = (0.45, 0.45, 0.1)
QUALITY_IMAGES = 2000
CHUNK = 1024


@dataclass
class Preparation:
    """What a run starts from, and the facts about it.

    Attributes:
        data: all images, with their labels.
        training: rows of the restricted training set.
        generator: the generator before any retraining.
        objective: the queried black box.
        judge: the second scorer; None where the data has no labels to train one.
        archive: the restricted training set, scored on its reconstructions.
        judged: (n,) the judge's scores of the same reconstructions; empty without a judge.
        facts: for `preparation.json`.
    """

    data: ImageSet
    training: NDArray[np.int64]
    generator: VQVAE
    objective: Objective
    judge: DegreeClassifier | None
    archive: Archive
    judged: NDArray[np.float64]
    facts: dict[str, Any] = field(default_factory=dict)


def default_cache() -> Path:
    """The user's cache folder, moved by VQLSO_CACHE or XDG_CACHE_HOME."""
    if "VQLSO_CACHE" in os.environ:
        return Path(os.environ["VQLSO_CACHE"])
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "vqlso"


def prepare(config: ExperimentConfig, folder: RunFolder, progress: Progress) -> Preparation:
    """Load or make everything a run needs; an interrupted preparation continues.

    Raises:
        DataError, CheckpointError, ConfigError: naming what is wrong and the remedy.
    """
    cache = Path(config.cache) if config.cache else default_cache()
    shelf = Shelf(folder.path / "networks", cache / "networks", config.train_from_scratch)
    seconds: dict[str, float] = {}
    with _timed(seconds, "data"):
        data = load_data(config.data, cache / "images", progress)
        if has_binary_labels(data):
            data = _with_degrees(data, config, shelf, progress)
    training = data.at_most(config.data.restrict)
    _require_both_sides(data, training, config.data.restrict)
    with _timed(seconds, "scorers"):
        objective, judge, scorers = _scorers(config, data, shelf, progress)
    with _timed(seconds, "generator"):
        generator, origin = _generator(config.generator, data, training, shelf, progress)
    with _timed(seconds, "archive"):
        archive, judged = _archive(data, training, generator, objective, judge, folder, progress)
    return Preparation(
        data,
        training,
        generator,
        objective,
        judge,
        archive,
        judged,
        {
            "data": {
                "name": data.name,
                "label_origin": data.label_origin,
                "images": len(data),
                "training": len(training),
                "target": len(data) - len(training),
                "restrict": config.data.restrict,
                "skipped": list(data.skipped),
                "fingerprint": data.fingerprint,
            },
            "generator": {
                "version": generator.version,
                "origin": origin,
                "categories": generator.settings.categories,
                **reconstruction_quality(generator, data.images[training[:QUALITY_IMAGES]]),
            },
            "scorers": scorers,
            "seconds": seconds,
        },
    )


def load_data(config: DataConfig, cache: Path, progress: Progress) -> ImageSet:
    """The configured image set.

    Raises:
        DataError: it is missing or damaged.
        ConfigError: an unknown kind, or a path that was not given.
    """
    if config.kind == "faces":
        return procedural_faces(config.count, config.seed, config.size)
    if config.kind == "celeba":
        return celeba(
            _path(config.root, "data.root"),
            size=config.size,
            crop=_crop(config.crop, CENTRE),
            cache=cache,
            max_bad_share=config.max_bad_share,
            limit=config.limit,
            progress=progress,
        )
    if config.kind == "folder":
        return image_folder(
            _path(config.root, "data.root"),
            _path(config.scores, "data.scores"),
            size=config.size,
            crop=_crop(config.crop, CENTRE_SQUARE),
            cache=cache,
            max_bad_share=config.max_bad_share,
            progress=progress,
        )
    known = ("faces", "celeba", "folder")
    raise ConfigError(f"There is no data.kind '{config.kind}'{nearest(config.kind, known)}")


def _scorers(
    config: ExperimentConfig, data: ImageSet, shelf: Shelf, progress: Progress
) -> tuple[Objective, DegreeClassifier, dict[str, Any]]:
    queried_people, judge_people, held_out = split_people(
        data.people, PEOPLE_SHARES, config.objective.seed
    )
    judge, judge_facts = _classifier(
        "judge", "plain", judge_people, held_out, config, data, shelf, progress
    )
    kind = config.objective.kind
    if kind == "classifier":
        objective, facts = _classifier(
            "scorer", "residual", queried_people, held_out, config, data, shelf, progress
        )
        return objective, judge, {"queried": facts, "judge": judge_facts}
    if kind == "celeba_dialog":
        path = _path(config.objective.checkpoint, "objective.checkpoint")
        dialog = CelebADialogObjective(path, config.objective.attribute)
        return dialog, judge, {"queried": _named(dialog, str(path)), "judge": judge_facts}
    if kind == "callable":
        if config.objective.target is None:
            raise ConfigError("objective=callable needs objective.target=module:function.")
        function = PythonObjective(config.objective.target)
        return function, judge, {"queried": _named(function, "yours"), "judge": judge_facts}
    raise ConfigError(
        f"There is no objective.kind '{kind}'"
        f"{nearest(kind, ('classifier', 'celeba_dialog', 'callable'))}"
    )


def _named(objective: Objective, origin: str) -> dict[str, str]:
    return {"name": objective.name, "origin": origin}


def _classifier(
    role: Literal["scorer", "judge", "labeller"],
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
        "data": data.fingerprint,
        "architecture": architecture,
        "role": role,
        "training": asdict(training),
        "people": PEOPLE_SHARES,
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


def _with_degrees(
    data: ImageSet, config: ExperimentConfig, shelf: Shelf, progress: Progress
) -> ImageSet:
    """Degrees for a binary attribute: five times the calibrated probability of a scorer."""
    scaled = replace(data, labels=5 * data.labels)
    _, held_out = split_people(data.people, (0.9, 0.1), config.objective.seed)
    everyone = np.arange(len(data))
    labeller, _ = _classifier(
        "labeller", "residual", everyone, held_out, config, scaled, shelf, progress
    )
    degrees = np.concatenate([labeller(to_unit(data.images[rows])) for rows in _chunks(everyone)])
    origin = f"5 x calibrated probability of a scorer trained on the {data.label_origin}"
    return replace(data, labels=degrees, label_origin=origin)


def _generator(
    config: GeneratorConfig,
    data: ImageSet,
    training: NDArray[np.int64],
    shelf: Shelf,
    progress: Progress,
) -> tuple[VQVAE, str]:
    if config.kind != "vqvae":
        raise ConfigError(
            f"There is no generator.kind '{config.kind}'{nearest(config.kind, ('vqvae',))}"
        )
    if config.checkpoint:
        return VQVAE.load(Path(config.checkpoint)), config.checkpoint
    settings = VQVAESettings(
        image_size=data.images.shape[-1],
        width=config.width,
        categories=config.categories,
        dimension=config.dimension,
        residual_blocks=config.residual_blocks,
        codebook=CodebookSettings(
            update=cast(Literal["gradient", "ema"], config.codebook.update),
            data_init=config.codebook.data_init,
            revival=config.codebook.revival,
        ),
    )
    how = VQVAETraining(
        config.epochs,
        config.batch_size,
        Optimisation(config.learning_rate, cast(Literal["none", "cosine"], config.decay)),
    )
    recipe = {
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


def _archive(
    data: ImageSet,
    training: NDArray[np.int64],
    generator: VQVAE,
    objective: Objective,
    judge: DegreeClassifier | None,
    folder: RunFolder,
    progress: Progress,
) -> tuple[Archive, NDArray[np.float64]]:
    """The training set with f(d(e(x))) as scores: one black box for data and queries alike."""
    images = data.images[training]
    codes = [generator.encode(to_unit(images[rows])) for rows in _chunks(np.arange(len(images)))]
    if not (folder.path / "archive/initial.npz").is_file():
        scores, judged = [], []
        with progress.task("scoring the training set", len(images)) as advance:
            for chunk in codes:
                unit = to_unit(to_bytes(generator.decode(chunk)))
                scores.append(objective(unit))
                judged.append(judge(unit) if judge else np.empty(0))
                advance(len(chunk))
        folder.write_arrays(
            "archive/initial.npz",
            scores=np.concatenate(scores),
            judged=np.concatenate(judged),
            rows=training,
        )
    known = folder.read_arrays("archive/initial.npz")
    if len(known["scores"]) != len(images):
        raise DataError(
            f"{folder.path} was run on {len(known['scores'])} training images, but "
            f"{len(images)} are here now: the data has changed. Start a new run."
        )
    archive = Archive(images, known["scores"], np.concatenate(codes), generator.version)
    return archive, known["judged"]


def _chunks(rows: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    for start in range(0, len(rows), CHUNK):
        yield rows[start : start + CHUNK]


def _require_both_sides(data: ImageSet, training: NDArray[np.int64], restrict: float) -> None:
    if not len(training) or len(training) == len(data):
        which = "no" if not len(training) else "every"
        raise DataError(
            f"data.restrict={restrict} leaves {which} image of '{data.name}' in the training set: "
            f"labels run from {data.labels.min():g} to {data.labels.max():g}. "
            "Choose a value between them, so that something is left to be reached."
        )


def _path(value: str | None, key: str) -> Path:
    if value is None:
        raise ConfigError(f"This experiment needs {key}=PATH.")
    return Path(value).expanduser()


def _crop(name: str, centre: Crop) -> Crop:
    if name == "centre":
        return centre
    if name == "detector":
        return DetectorCrop()
    raise ConfigError(f"There is no data.crop '{name}'{nearest(name, ('centre', 'detector'))}")


@contextmanager
def _timed(seconds: dict[str, float], stage: str) -> Iterator[None]:
    started = perf_counter()
    yield
    seconds[stage] = perf_counter() - started
