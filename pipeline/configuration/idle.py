"""Settings that the choice of a part, or another setting, makes idle."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipeline.configuration.settings import ExperimentConfig


@dataclass(frozen=True)
class Idle:
    """Settings without effect under a condition.

    Attributes:
        keys: the settings; one that ends with a dot names all below it.
        when: whether nothing reads them.
        why: the setting that makes them idle.
        remedy: what to set instead, to give them an effect.
    """

    keys: tuple[str, ...]
    when: Callable[[ExperimentConfig], bool]
    why: str
    remedy: str


def _objective(*kinds: str) -> Callable[[ExperimentConfig], bool]:
    return lambda config: config.objective.kind in kinds


def _data(*kinds: str) -> Callable[[ExperimentConfig], bool]:
    return lambda config: config.data.kind in kinds


def _solver(*kinds: str) -> Callable[[ExperimentConfig], bool]:
    return lambda config: config.solver.kind in kinds


def _surrogate(*kinds: str) -> Callable[[ExperimentConfig], bool]:
    return lambda config: config.surrogate.kind in kinds


def _generator(*kinds: str) -> Callable[[ExperimentConfig], bool]:
    return lambda config: config.generator.kind in kinds


BOOSTED = ("lightgbm", "grid_boosting", "xgboost")
FORESTS = ("random_forest", "extra_trees")
UNGUIDED = (
    "random_latents",
    "random_codes",
    "best_of_training",
    "genetic",
    "cma_es",
    "turbo",
    "local_search",
)
CLIMBING = ("lbfgs", "adam", "nesterov", "sphere")
TARGETED = (*CLIMBING, "zeroth_order", "nevergrad", "coordinate")
SAMPLED = ("interfacegan", "mean_difference", "linear_fit")
DIRECTED = ("direction_search", "direction_cma_es", "enjoy_editing", *SAMPLED)
ALL_SOLVERS = ("surrogate_based", "slsqp", *UNGUIDED, *TARGETED, *DIRECTED)


def _solver_but(*kinds: str) -> Callable[[ExperimentConfig], bool]:
    return _solver(*(kind for kind in ALL_SOLVERS if kind not in kinds))


# Kinds that the project itself has are listed, so that a part of one's own may read what it likes.
IDLE_BY_PART = (
    Idle(
        (
            "objective.target",
            "objective.isolate",
            "objective.timeout",
            "objective.retries",
            "objective.failures_count",
        ),
        _objective("classifier", "celeba_dialog"),
        "objective={objective.kind}",
        "add objective=callable",
    ),
    Idle(
        ("objective.timeout",),
        lambda config: not config.objective.isolate,
        "objective.isolate=false",
        "set objective.isolate=true",
    ),
    Idle(
        ("objective.checkpoint", "objective.attribute"),
        _objective("classifier", "callable"),
        "objective={objective.kind}",
        "add objective=celeba_dialog",
    ),
    Idle(
        ("data.root", "data.crop", "data.max_bad_share"),
        _data("faces", "textures"),
        "data={data.kind}, which are drawn here",
        "add data=celeba or data=folder",
    ),
    Idle(
        ("data.scores", "data.file_column", "data.score_column"),
        _data("faces", "textures", "celeba"),
        "data={data.kind}",
        "add data=folder",
    ),
    Idle(
        ("data.limit",),
        _data("faces", "textures", "folder"),
        "data={data.kind}",
        "add data=celeba",
    ),
    Idle(
        ("data.wanted",),
        _data("faces", "celeba", "folder"),
        "data={data.kind}",
        "add data=textures",
    ),
    Idle(
        ("data.count", "data.seed"),
        _data("celeba", "folder"),
        "data={data.kind}",
        "add data=faces",
    ),
    Idle(
        (
            "generator.width",
            "generator.categories",
            "generator.dimension",
            "generator.residual_blocks",
            "generator.downsampling",
            "generator.codebook.",
            "generator.epochs",
            "generator.batch_size",
            "generator.learning_rate",
            "generator.decay",
            "generator.seed",
        ),
        lambda config: config.generator.checkpoint is not None,
        "generator.checkpoint, whose network is there already",
        "leave generator.checkpoint out",
    ),
    Idle(
        (
            "generator.width",
            "generator.dimension",
            "generator.epochs",
            "generator.batch_size",
            "generator.learning_rate",
            "generator.decay",
            "generator.seed",
        ),
        _generator("stylegan2", "pgan"),
        "generator={generator.kind}, which is not trained here",
        "add generator=vae",
    ),
    Idle(
        (
            "generator.categories",
            "generator.residual_blocks",
            "generator.downsampling",
            "generator.codebook.",
        ),
        _generator("vae", "ddim", "stylegan2", "pgan"),
        "generator={generator.kind}",
        "add generator=vqvae",
    ),
    Idle(
        ("generator.dimension",),
        _generator("ddim"),
        "generator={generator.kind}, whose latents are noise",
        "add generator=vae",
    ),
    Idle(
        ("generator.samples", "generator.space"),
        _generator("vqvae", "vae"),
        "generator={generator.kind}",
        "add generator=stylegan2",
    ),
    Idle(
        ("generator.truncation",),
        _generator("vqvae", "vae", "ddim", "pgan"),
        "generator={generator.kind}",
        "add generator=stylegan2",
    ),
    Idle(
        ("generator.held", "generator.class_values"),
        _generator("vqvae", "vae", "ddim", "stylegan2"),
        "generator={generator.kind}, which has no classes",
        "add generator=pgan",
    ),
    Idle(
        ("generator.class_values",),
        lambda config: config.generator.held is not None,
        "generator.held, with which z alone is searched",
        "leave generator.held out",
    ),
    Idle(
        ("generator.sampling_steps",),
        _generator("vqvae", "vae", "stylegan2", "pgan"),
        "generator={generator.kind}",
        "add generator=ddim",
    ),
    Idle(
        ("surrogate.",),
        _solver(*UNGUIDED),
        "solver={solver.kind}, which has no surrogate",
        "add solver=surrogate_based or solver=slsqp",
    ),
    Idle(
        (
            "solver.importance",
            "solver.references",
            "solver.backend",
            "solver.node_limit",
            "solver.time_limit",
            "solver.exploration",
            "solver.plausibility",
            "solver.least_seen",
            "solver.optima",
        ),
        _solver("slsqp", *UNGUIDED),
        "solver={solver.kind}",
        "add solver=surrogate_based",
    ),
    Idle(
        ("solver.t", "solver.cells"),
        _solver("slsqp", *(kind for kind in UNGUIDED if kind != "random_codes")),
        "solver={solver.kind}",
        "add solver=surrogate_based",
    ),
    Idle(
        (
            "solver.density",
            "solver.samples",
            "solver.successes",
            "solver.min_distance",
            "solver.confidence",
        ),
        _solver("surrogate_based", *UNGUIDED),
        "solver={solver.kind}",
        "add solver=slsqp",
    ),
    Idle(
        ("solver.population",),
        _solver_but("genetic", "cma_es"),
        "solver={solver.kind}, which has none",
        "add solver=genetic or solver=cma_es",
    ),
    Idle(
        ("solver.mutation",),
        _solver_but("genetic"),
        "solver={solver.kind}, which mutates nothing",
        "add solver=genetic",
    ),
    Idle(
        ("solver.step",),
        _solver_but(
            "local_search", "zeroth_order", "direction_search", "direction_cma_es", "enjoy_editing"
        ),
        "solver={solver.kind}",
        "add solver=local_search",
    ),
    Idle(
        ("solver.adapts",),
        _solver_but("local_search", "direction_search"),
        "solver={solver.kind}",
        "add solver=local_search",
    ),
    Idle(
        ("solver.steps", "solver.chains"),
        _solver_but(*CLIMBING),
        "solver={solver.kind}, which climbs no gradient",
        "run invert with solver=lbfgs",
    ),
    Idle(
        ("solver.start",),
        _solver_but(*CLIMBING, "zeroth_order"),
        "solver={solver.kind}",
        "run invert with solver=lbfgs",
    ),
    Idle(
        ("solver.pairs", "solver.spread"),
        _solver_but("zeroth_order"),
        "solver={solver.kind}",
        "run invert with solver=zeroth_order",
    ),
    Idle(
        ("solver.optimizer",),
        _solver_but("nevergrad"),
        "solver={solver.kind}",
        "run invert with solver=nevergrad",
    ),
    Idle(
        ("solver.restart_after",),
        _solver_but("direction_search"),
        "solver={solver.kind}",
        "run edit_smile with solver=direction_search",
    ),
    Idle(
        ("solver.share",),
        _solver_but("interfacegan", "mean_difference"),
        "solver={solver.kind}",
        "run edit_smile with solver=interfacegan",
    ),
    Idle(
        ("solver.loss", "solver.content", "solver.discriminator"),
        _solver_but("enjoy_editing"),
        "solver={solver.kind}",
        "run edit_smile with solver=enjoy_editing",
    ),
    Idle(
        ("surrogate.trees", "surrogate.depth", "surrogate.leaves", "surrogate.min_samples_leaf"),
        _surrogate("dngo", "gp"),
        "surrogate={surrogate.kind}, which has no trees",
        "add surrogate=lightgbm",
    ),
    Idle(
        ("surrogate.leaves", "surrogate.learning_rate"),
        _surrogate(*FORESTS),
        "surrogate={surrogate.kind}, whose trees are averaged",
        "add surrogate=lightgbm",
    ),
    Idle(
        ("surrogate.hidden",),
        _surrogate("gp", *BOOSTED, *FORESTS),
        "surrogate={surrogate.kind}",
        "add surrogate=dngo",
    ),
    Idle(
        ("surrogate.inducing",),
        _surrogate("dngo", *BOOSTED, *FORESTS),
        "surrogate={surrogate.kind}",
        "add surrogate=gp",
    ),
    Idle(
        ("surrogate.epochs", "surrogate.batch_size"),
        _surrogate(*BOOSTED, *FORESTS),
        "surrogate={surrogate.kind}",
        "add surrogate=dngo",
    ),
    Idle(
        ("surrogate.depth", "surrogate.leaves"),
        lambda config: config.surrogate.kind == "grid_boosting",
        "surrogate=grid_boosting, whose trees have depth 2 and up to 4 leaves",
        "add surrogate=lightgbm",
    ),
    Idle(
        ("retrainer.",),
        lambda config: config.retrainer.kind == "none",
        "retrainer=none",
        "add retrainer=weighted",
    ),
    Idle(
        ("solver.t", "solver.importance"),
        lambda config: config.solver.cells is not None,
        "solver.cells, which names the cells themselves",
        "leave solver.cells out",
    ),
    Idle(
        ("shift.components", "shift.patience", "shift.tolerance"),
        lambda config: config.shift.samples == 0,
        "shift.samples=0",
        "set shift.samples above 0",
    ),
    Idle(
        ("shift.tolerance",),
        lambda config: config.shift.patience == 0,
        "shift.patience=0",
        "set shift.patience above 0",
    ),
    Idle(
        ("metrics.tap",),
        lambda config: config.metrics.inception is None,
        "metrics.inception=null",
        "add metrics.inception=FILE.pth",
    ),
)
