"""How far the queries of whole methods, all their seeds together, are from the unseen images.

A run's own distances are of too few images to tell methods apart. Here every method has equally
many queries, drawn from all its runs, beside the same target images; intervals resample whole
runs, for the queries of one run resemble each other (`vqlso.metrics.resampling`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from pipeline.comparison.results import Result
from pipeline.configuration.composition import saved
from pipeline.configuration.settings import ExperimentConfig
from pipeline.distances import (
    FEWEST,
    REAL,
    RECONSTRUCTED,
    Images,
    Target,
    in_features,
    reconstructed,
)
from pipeline.evaluation import JudgeFeatures
from pipeline.preparation.sources import anchored, default_cache, load_data
from pipeline.runs.folder import RunFolder
from vqlso.contracts import EncodingGenerator
from vqlso.data.celeba import has_binary_labels
from vqlso.data.image_set import ImageSet
from vqlso.errors import DataError, VqlsoError
from vqlso.generators import load_generator
from vqlso.images import to_unit
from vqlso.metrics.frechet import FeatureNetwork
from vqlso.metrics.inception import InceptionFeatures
from vqlso.metrics.inception_blocks import Tap
from vqlso.metrics.mobilenet import MobileNetFeatures
from vqlso.metrics.random_features import RandomFeatures
from vqlso.metrics.resampling import drawn
from vqlso.objectives.degree_classifier import DegreeClassifier
from vqlso.progress import SILENT, Progress
from vqlso.randomness import stream
from vqlso.records import ScoreStatus

MOST = 2000  # images of a method: more cost minutes and move nothing but the bias
LABELLED = 20_000  # of binary labels so many become degrees: enough for the target, soon done
CHUNK = 1024
SEED = 0  # one comparison, whatever the seeds of its runs


@dataclass(frozen=True)
class Pooled:
    """Distances of methods from the unseen images.

    Attributes:
        entries: one a network, as `summary.json` has them: figures by method, then the floors'.
        runs: by method, how many runs its queries are of.
        notes: what is left out and why, a sentence each.
    """

    entries: tuple[Mapping[str, Any], ...] = ()
    runs: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Queries:
    """Scored queries of one method's runs.

    Attributes:
        runs: (q,) which run each is of.
        ids: (q,) its number within the run.
        folders: of the runs.
    """

    runs: NDArray[np.int64]
    ids: NDArray[np.int64]
    folders: tuple[RunFolder, ...]

    @classmethod
    def of(cls, folders: Sequence[RunFolder]) -> _Queries:
        ids = [_scored(folder) for folder in folders]
        runs = np.repeat(np.arange(len(folders)), [len(each) for each in ids])
        return cls(runs, np.concatenate(ids), tuple(folders))

    def __len__(self) -> int:
        return len(self.ids)

    def drawn(self, n: int) -> _Queries:
        rows = drawn(len(self), n, stream(SEED, "pooled queries"))
        return _Queries(self.runs[rows], self.ids[rows], self.folders)

    def images(self) -> Images:
        asked = zip(self.runs, self.ids, strict=True)
        return np.stack([self.folders[run].read_image(int(id_)) for run, id_ in asked])

    @property
    def resampled_by_run(self) -> bool:
        """A jackknife over runs needs queries that are left when the largest run is not."""
        return bool(np.bincount(self.runs).max() <= len(self) - 2)


def pooled_distances(
    results: Sequence[Result],
    progress: Progress = SILENT,
    networks: Sequence[FeatureNetwork] = (),
) -> Pooled:
    """Distances of all methods with equally many queries, beside the floors; never an error.

    Args:
        results: finished runs, of any methods and seeds.
        progress: shows the decoding of data.
        networks: to measure with, beside those that all runs can be measured with anyway.
    """
    try:
        return _measured(results, progress, networks)
    except (VqlsoError, OSError) as error:
        return Pooled(notes=(f"Without distances pooled over seeds: {error}",))


def target_of(results: Sequence[Result], progress: Progress = SILENT) -> Target:
    """The unseen images that finished runs of the same data have in common.

    Raises:
        DataError: the runs are of different images, or these have changed since.
    """
    told = _common_data([result.folder for result in results])
    first = results[0].folder
    return _target(anchored(saved(first.config)), told, first, progress)


def scored_images(folder: RunFolder) -> Images:
    """(n, 3, H, W) uint8: the queries of a run that have a score."""
    return np.stack([folder.read_image(int(id_)) for id_ in _scored(folder)])


def _measured(
    results: Sequence[Result], progress: Progress, asked: Sequence[FeatureNetwork]
) -> Pooled:
    configs = [anchored(saved(result.folder.config)) for result in results]
    target = target_of(results, progress)
    arms: dict[str, list[RunFolder]] = {}
    for result in results:
        arms.setdefault(result.arm, []).append(result.folder)
    queries = {label: _Queries.of(folders) for label, folders in arms.items()}
    usable = {label: each for label, each in queries.items() if len(each) >= FEWEST}
    sides = [len(target.images), len(target.others)]
    if not usable or min(sides) < FEWEST:
        raise DataError(
            f"they need {FEWEST} scored queries of a method and {FEWEST} unseen images twice over."
        )
    n = min(MOST, *sides, *map(len, usable.values()))
    chosen = {label: each.drawn(n) for label, each in usable.items()}
    compared = {label: each.images() for label, each in chosen.items()}
    compared |= {REAL: target.others, **_floors(results, configs, target.others)}
    runs = {label: each.runs for label, each in chosen.items() if each.resampled_by_run}
    networks = [*asked, *_networks([result.folder for result in results], configs)]
    return Pooled(
        tuple(in_features(network, compared, target, n, SEED, runs) for network in networks),
        {label: len(np.unique(each.runs)) for label, each in chosen.items()},
        tuple(
            f"{label} has {len(each)} scored queries, too few for a distance."
            for label, each in queries.items()
            if label not in usable
        ),
    )


def _scored(folder: RunFolder) -> NDArray[np.int64]:
    """The numbers of the queries that have a score, and with it an image."""
    events = folder.journal.events("query")
    scored = [event["id"] for event in events if event["score_status"] == ScoreStatus.OK]
    return np.array(scored, dtype=np.int64)


def _common_data(folders: Sequence[RunFolder]) -> Mapping[str, Any]:
    told: list[Mapping[str, Any]] = [
        folder.read_json("preparation.json")["data"] for folder in folders
    ]
    if len({(each["fingerprint"], each["restrict"]) for each in told}) > 1:
        raise DataError("the runs are of different images, and have no target in common.")
    return told[0]


def _target(
    config: ExperimentConfig, told: Mapping[str, Any], folder: RunFolder, progress: Progress
) -> Target:
    cache = Path(config.cache).expanduser() if config.cache else default_cache()
    data = load_data(config.data, cache / "images", progress)
    if has_binary_labels(data):
        data = _some_with_degrees(data, folder)
    elif data.fingerprint != told["fingerprint"]:
        raise DataError(f"the images of '{data.name}' have changed since the runs.")
    return Target.of(data, data.above(told["restrict"]), 2 * MOST, SEED)


def _some_with_degrees(data: ImageSet, folder: RunFolder) -> ImageSet:
    """Images with the degrees that the run's own labeller gives them."""
    labeller = DegreeClassifier.load(folder.path / "networks" / "labeller.safetensors")
    rows = drawn(len(data), LABELLED, stream(SEED, "labelled images"))
    chunks = np.split(rows, range(CHUNK, len(rows), CHUNK))
    degrees = np.concatenate([labeller(to_unit(data.images[chunk])) for chunk in chunks])
    return replace(data, images=data.images[rows], labels=degrees, people=data.people[rows])


def _floors(
    results: Sequence[Result], configs: Sequence[ExperimentConfig], images: Images
) -> dict[str, Images]:
    """Real images as each generator that encodes draws them, before any retraining."""
    paths: dict[str, tuple[str, Path]] = {}
    for result, config in zip(results, configs, strict=True):
        path = _generator_of(result.folder, config)
        if path is not None:
            paths.setdefault(_digest(path), (result.arm, path))
    encoding: dict[str, tuple[str, EncodingGenerator]] = {}
    for arm, path in paths.values():
        generator = load_generator(path)
        if isinstance(generator, EncodingGenerator):
            encoding.setdefault(generator.version, (arm, generator))
    alone = len(encoding) == 1
    return {
        RECONSTRUCTED if alone else f"{RECONSTRUCTED} ({arm})": reconstructed(generator, images)
        for arm, generator in encoding.values()
    }


def _generator_of(folder: RunFolder, config: ExperimentConfig) -> Path | None:
    own = folder.path / "networks" / "generator.safetensors"
    if own.is_file():
        return own
    return Path(config.generator.checkpoint) if config.generator.checkpoint else None


def _networks(
    folders: Sequence[RunFolder], configs: Sequence[ExperimentConfig]
) -> list[FeatureNetwork]:
    """What can measure all runs alike: networks that all were given, the judge if it is one."""
    networks: list[FeatureNetwork] = [RandomFeatures()]
    judges = [folder.path / "networks" / "judge.safetensors" for folder in folders]
    if all(path.is_file() for path in judges) and len(set(map(_digest, judges))) == 1:
        networks.append(JudgeFeatures(DegreeClassifier.load(judges[0])))
    mobilenets = {config.metrics.features for config in configs}
    if len(mobilenets) == 1 and (path := mobilenets.pop()) is not None:
        networks.insert(0, MobileNetFeatures(Path(path).expanduser()))
    inceptions = {(config.metrics.inception, config.metrics.tap) for config in configs}
    path, tap = inceptions.pop()
    if not inceptions and path is not None:
        networks.insert(0, InceptionFeatures(Path(path).expanduser(), cast(Tap, tap)))
    return networks


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
