"""The solvers that a search for an edit direction can name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import cast

from pipeline.configuration.settings import ExperimentConfig
from pipeline.parts.part import Part
from pipeline.parts.solvers import SOLVERS
from solvers.cma_es import MOST_DIMENSIONS
from solvers.directions import (
    DirectionCMAES,
    DirectionFromSamples,
    DirectionSearch,
    EnjoyEditing,
    FindsDirection,
    LinearFit,
    MeanDifference,
    SvmNormal,
)
from solvers.directions.enjoy_editing import EditingLoss, RegressorLoss
from solvers.directions.from_samples import LearnsNormal
from vqlso.errors import ConfigError, SolverError
from vqlso.generators import load_discriminator
from vqlso.generators.stylegan2.discriminator import StyleGAN2Discriminator
from vqlso.objectives.feature_networks import FeatureNetwork, RandomTaps
from vqlso.objectives.vgg import VGG19Features
from vqlso.problems.direction import Direction

UNTRAINED = "random"


@dataclass(frozen=True)
class DirectionSolverPart(Part[Callable[[ExperimentConfig, Direction], FindsDirection]]):
    """A solver of edit directions.

    Attributes:
        asked: (batch, solver) -> candidates a proposal; None for one that learns by itself.
    """

    asked: Callable[[int, FindsDirection], int] | None = None


def _direction_search(config: ExperimentConfig, problem: Direction) -> DirectionSearch:
    chosen = config.solver
    return DirectionSearch(
        problem,
        radius=chosen.step,
        adapts=chosen.adapts,
        restart_after=chosen.restart_after,
        seed=config.seed,
    )


def _direction_cma_es(config: ExperimentConfig, problem: Direction) -> DirectionCMAES:
    return DirectionCMAES(
        problem,
        radius=config.solver.step,
        diagonal=prod(problem.space.shape) > MOST_DIMENSIONS,
        seed=config.seed,
    )


def _generation(batch: int, solver: FindsDirection) -> int:  # noqa: ARG001
    return cast(DirectionCMAES, solver).population


def _beside_d(batch: int, solver: FindsDirection) -> int:  # noqa: ARG001
    """The vector so far travels with the steps from it, to be scored on the same anchors."""
    return 1 + batch


def _enjoy_editing(config: ExperimentConfig, problem: Direction) -> EnjoyEditing:
    chosen = config.solver
    loss = EditingLoss(
        cast(RegressorLoss, chosen.loss),
        content=_content(chosen.content),
        realism=_realism(chosen.discriminator, problem),
    )
    return EnjoyEditing(
        problem,
        loss=loss,
        learning_rate=chosen.step,
        batch=problem.anchors,
        seed=config.seed,
    )


def _learnt(rule: Callable[[float], LearnsNormal]) -> Callable[..., DirectionFromSamples]:
    def build(config: ExperimentConfig, problem: Direction) -> DirectionFromSamples:
        chosen = config.solver
        return DirectionFromSamples(
            problem, rule(chosen.share), samples=chosen.samples, seed=config.seed
        )

    return build


def _content(given: str | None) -> FeatureNetwork | None:
    if given is None:
        return None
    if given == UNTRAINED:
        return RandomTaps()
    path = Path(given).expanduser()
    if not path.is_file():
        raise ConfigError(
            f"There is nothing at solver.content={given}: give '{UNTRAINED}', or the path of "
            "torchvision's VGG-19 weights (vgg19-dcbb9e9d.pth)."
        )
    return VGG19Features(path)


def _realism(given: str | None, problem: Direction) -> StyleGAN2Discriminator | None:
    if given is None:
        return None
    discriminator = load_discriminator(Path(given).expanduser())
    if discriminator.image_shape != problem.generator.image_shape:
        raise ConfigError(
            f"solver.discriminator={given} judges images of {discriminator.image_shape[-1]} "
            f"pixels, but the generator's have {problem.generator.image_shape[-1]}: give the one "
            "that this generator was trained against."
        )
    return discriminator


DIRECTION_SOLVERS: dict[str, DirectionSolverPart] = {
    "direction_search": DirectionSolverPart(
        "a step from the vector, kept where it changes the attribute more",
        _direction_search,
        asked=_beside_d,
    ),
    "direction_cma_es": DirectionSolverPart(
        "CMA-ES on the vector, by ranks within each generation",
        _direction_cma_es,
        needs="cmaes",
        extra="evolution",
        asked=_generation,
    ),
    "enjoy_editing": DirectionSolverPart(
        "Adam on the vector, by gradients through generator and attribute", _enjoy_editing
    ),
    "interfacegan": DirectionSolverPart(
        "the normal of the plane that parts samples of high and of low level", _learnt(SvmNormal)
    ),
    "mean_difference": DirectionSolverPart(
        "the mean of samples of high level minus that of low level", _learnt(MeanDifference)
    ),
    "linear_fit": DirectionSolverPart(
        "the slopes of a linear model of the level, fitted to samples",
        _learnt(lambda _share: LinearFit()),
    ),
}


def build_direction_solver(
    config: ExperimentConfig, problem: Direction
) -> tuple[FindsDirection, int]:
    """The configured solver, and how many candidates it is asked for at a time.

    Raises:
        ConfigError: a solver of something else, one that needs gradients where there are none, or
            a batch that it does not read.
        CheckpointError: a network of its loss cannot be loaded.
        MissingExtraError: its package is not installed.
    """
    kind = config.solver.kind
    if kind not in DIRECTION_SOLVERS:
        raise ConfigError(
            f"solver={kind} finds no edit direction: use one of {', '.join(DIRECTION_SOLVERS)}."
        )
    chosen = DIRECTION_SOLVERS[kind]
    if config.batch > 1 and chosen.asked is not _beside_d:
        raise ConfigError(
            f"batch={config.batch} was given, but solver={kind} chooses its own number of "
            "candidates: leave batch out, or use solver=direction_search."
        )
    try:
        solver = chosen.build(config, problem)
    except SolverError as error:
        raise ConfigError(str(error)) from error
    return solver, 1 if chosen.asked is None else chosen.asked(config.batch, solver)


def require_no_direction_solver(kind: str) -> None:
    """Refuse for a search what only finds edit directions.

    Raises:
        ConfigError: with what to do instead.
    """
    if kind in DIRECTION_SOLVERS:
        raise ConfigError(
            f"solver={kind} finds edit directions, not images of a high score: `vqlso run "
            f"edit_smile solver={kind}` does, or use one of {', '.join(SOLVERS)}."
        )
