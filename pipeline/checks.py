"""What can be said against a configuration before anything costly begins."""

from __future__ import annotations

import os
from functools import reduce
from math import inf
from pathlib import Path
from typing import Any, get_args

from pipeline.ascent.methods import METHODS
from pipeline.ascent.problem import SCORES
from pipeline.configuration.composition import nearest
from pipeline.configuration.settings import ExperimentConfig
from pipeline.parts import GENERATORS
from pipeline.preparation.scorers import OBJECTIVES
from pipeline.preparation.sources import SOURCES
from pipeline.tasks.registry import TASKS
from pipeline.tasks.score_ascent import SUPER_RESOLUTION
from pipeline.tracking.trackers import TRACKERS, require_installed
from solvers.directions.enjoy_editing import RegressorLoss
from vqlso.data.textures import CLASSES
from vqlso.errors import ConfigError
from vqlso.objectives.criteria import WEIGHTS

AT_LEAST: dict[str, float] = {
    "seed": 0,
    "queries": 1,
    "batch": 1,
    "threads": 1,
    "data.size": 1,
    "data.seed": 0,
    "data.max_bad_share": 0,
    "data.limit": 1,
    "generator.width": 1,
    "generator.categories": 2,
    "generator.dimension": 1,
    "generator.residual_blocks": 0,
    "generator.samples": 1,
    "generator.truncation": 0,
    "generator.sampling_steps": 1,
    "generator.epochs": 1,
    "generator.batch_size": 1,
    "generator.seed": 0,
    "objective.retries": 0,
    "objective.epochs": 1,
    "objective.seed": 0,
    "surrogate.trees": 1,
    "surrogate.depth": 1,
    "surrogate.leaves": 2,
    "surrogate.min_samples_leaf": 1,
    "surrogate.inducing": 1,
    "surrogate.epochs": 1,
    "surrogate.batch_size": 1,
    "solver.t": 1,
    "solver.density": 0,
    "solver.samples": 1,
    "solver.successes": 1,
    "solver.min_distance": 0,
    "solver.plausibility": 0,
    "solver.least_seen": 0,
    "solver.optima": 1,
    "solver.population": 2,
    "solver.mutation": 0,
    "solver.node_limit": 0,
    "retrainer.every": 1,
    "retrainer.initial_epochs": 0,
    "retrainer.epochs": 0,
    "retrainer.batch_size": 1,
    "shift.samples": 0,
    "shift.components": 1,
    "shift.patience": 0,
    "shift.tolerance": 0,
    "metrics.frechet_images": 2,
    "gan.dimension": 1,
    "gan.mapping_layers": 1,
    "gan.channel_base": 8,
    "gan.channel_max": 1,
    "gan.batch_size": 1,
    "gan.r1_gamma": 0,
    "gan.path_weight": 0,
    "gan.mixing": 0,
    "gan.average_kimg": 0,
    "gan.samples": 2,
    "gan.seed": 0,
    "pgan.dimension": 1,
    "pgan.batch_size": 1,
    "pgan.fading": 0,
    "pgan.penalty": 0,
    "pgan.class_weight": 0,
    "pgan.generator_class_weight": 0,
    "pgan.samples": 2,
    "pgan.seed": 0,
    "solver.chains": 1,
    "solver.pairs": 1,
    "invert.samples": 1,
    "invert.norm_weight": 0,
    "invert.realism": 0,
    "invert.tolerance": 0,
    "invert.starts": 1,
    "ascent.starts": 1,
    "ascent.prior": 0,
    "ascent.anchor": 0,
    "ascent.refit": 1,
    "ascent.factor": 1,
    "edit.anchors": 1,
    "edit.judges": 2,
    "edit.originals": 2,
    "edit.faces": 1,
    "solver.restart_after": 1,
    "evolve.population": 2,
    "evolve.picks": 1,
}
MOST_PIXELS = 2**14  # an edge: no network here is trained on more, and indices stay in range
ABOVE_ZERO = (
    "objective.timeout",
    "generator.learning_rate",
    "surrogate.learning_rate",
    "solver.time_limit",
    "solver.step",
    "solver.spread",
    "solver.share",
    "edit.longest",
    "retrainer.k",
    "retrainer.learning_rate",
    "gan.kimg",
    "gan.learning_rate",
    "gan.look_kimg",
    "pgan.learning_rate",
    "pgan.average_kimg",
    "pgan.look_kimg",
    "ascent.learning_rate",
    "ascent.noise",
)
CHOICES: dict[str, tuple[Any, ...]] = {
    "task": tuple(TASKS),
    "tracker": ("none", *TRACKERS),
    "gan.noise": ("none", "random"),
    "data.kind": tuple(SOURCES),
    "data.crop": ("centre", "detector"),
    "data.wanted": (None, *CLASSES),
    "generator.kind": tuple(GENERATORS),
    "generator.downsampling": (2, 4, 8, 16, 32),
    "generator.codebook.update": ("gradient", "ema"),
    "generator.decay": ("none", "cosine"),
    "generator.class_values": ("nearest", "free"),
    "objective.kind": tuple(OBJECTIVES),
    "solver.importance": ("gain", "split", "permutation", "shap"),
    "solver.references": ("uniform", "weighted"),
    "solver.start": ("best", "prior"),
    "invert.criterion": tuple(WEIGHTS),
    "ascent.method": (*METHODS, SUPER_RESOLUTION),
    "ascent.score": tuple(SCORES),
    "solver.loss": get_args(RegressorLoss),
    "evolve.start": ("random", "photo"),
    "metrics.tap": (64, 192, 768, 2048),
}
NEEDED: dict[tuple[str, str], tuple[str, ...]] = {
    ("data.kind", "celeba"): ("data.root",),
    ("data.kind", "folder"): ("data.root", "data.scores"),
    ("objective.kind", "celeba_dialog"): ("objective.checkpoint",),
    ("objective.kind", "callable"): ("objective.target",),
}
PATHS = (
    "data.root",
    "data.scores",
    "generator.checkpoint",
    "objective.checkpoint",
    "edit.regressor",
    "edit.identity",
    "solver.discriminator",
    "metrics.features",
    "metrics.inception",
    "ascent.discriminator",
    "ascent.picture",
    "invert.discriminator",
)


def check(config: ExperimentConfig) -> None:
    """Find what would stop a run later, perhaps after hours of training.

    Raises:
        ConfigError: naming the key, its value and what it may be.
        MissingExtraError: a chosen part needs a package that is not installed.
    """
    for key, least in AT_LEAST.items():
        value = _value(config, key)
        if value is not None and not least <= value < inf:
            raise ConfigError(f"{key} must be at least {least:g} and finite, got {value}.")
    for key in ABOVE_ZERO:
        value = _value(config, key)
        # Only k may be infinite: it then weighs all images alike (Tripp et al. 2020).
        if value is not None and not (0 < value < inf or (value == inf and key == "retrainer.k")):
            raise ConfigError(f"{key} must be above 0 and finite, got {value}.")
    for key, choices in CHOICES.items():
        value = _value(config, key)
        if value not in choices:
            raise ConfigError(
                f"There is no {key} '{value}'{nearest(str(value), list(map(str, choices)))} "
                f"Known: {', '.join(map(str, choices))}."
            )
    require_installed(config.tracker)
    _check_data(config)
    _check_paths(config)
    TASKS[config.task].check(config)


def _check_data(config: ExperimentConfig) -> None:
    size = config.data.size
    multiple = GENERATORS[config.generator.kind].multiple(config.generator)
    if size > MOST_PIXELS:
        raise ConfigError(f"data.size is at most {MOST_PIXELS} pixels, got {size}.")
    if size % multiple:
        above = -(-size // multiple) * multiple
        choices = f"{above - multiple} or {above}" if above > multiple else str(above)
        raise ConfigError(
            f"data.size={size} is not a multiple of {multiple}, as the images of "
            f"generator={config.generator.kind} must be. Choose {choices}."
        )
    if config.data.kind in ("faces", "textures") and config.data.count < 1:
        raise ConfigError(f"data.count must be at least 1, got {config.data.count}.")


def _check_paths(config: ExperimentConfig) -> None:
    for (key, kind), needed in NEEDED.items():
        for other in needed:
            if _value(config, key) == kind and _value(config, other) is None:
                raise ConfigError(f"{key}={kind} needs {other}: give {other}=VALUE.")
    for key in PATHS:
        value = _value(config, key)
        # Not Path.exists, which raises where a name is too long.
        if value is not None and not os.path.exists(Path(value).expanduser()):
            raise ConfigError(f"There is nothing at {key}={value}. Correct the path.")


def _value(config: ExperimentConfig, key: str) -> Any:
    return reduce(getattr, key.split("."), config)
