"""The solvers that an inversion can name: those of gradients, those of scores, those of codes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import cast

from pipeline.configuration.settings import ExperimentConfig
from pipeline.parts.part import EITHER, Latents, Part, latents_of, part
from pipeline.parts.solvers import SOLVERS
from solvers.coordinate_search import CoordinateSearch
from solvers.gradient import LBFGS, Adam, GradientSearch, Nesterov
from solvers.nevergrad_search import NevergradSearch
from solvers.random_search import RandomLatents
from solvers.side_by_side import SideBySide
from solvers.sphere_search import SphereSearch
from solvers.starts import Start
from solvers.zeroth_order import ZerothOrder
from vqlso.contracts import Solver
from vqlso.errors import ConfigError
from vqlso.problems.climbed_target import ClimbedTarget
from vqlso.problems.target_image import TargetImage
from vqlso.spaces import CodeGrid, RealVectors


@dataclass(frozen=True)
class TargetSolverPart(Part[Callable[[ExperimentConfig, TargetImage], Solver]]):
    """A solver of an inversion.

    Attributes:
        latents: what it can search over.
        climbs: whether it differentiates the problem, and so tells its targets apart by itself.
        blind: whether it looks at no score, so that one of it will do for all targets.
    """

    latents: tuple[Latents, ...] = EITHER
    climbs: bool = False
    blind: bool = False


def evaluations(config: ExperimentConfig) -> int:
    """Images that a search for one target may score, behind those of the starts."""
    return config.queries - config.invert.starts


def _climbing(kind: type[Adam | Nesterov | LBFGS | SphereSearch], line: str) -> TargetSolverPart:
    def build(config: ExperimentConfig, problem: TargetImage) -> GradientSearch:
        chosen = config.solver
        return kind(
            problem,
            evaluations=problem.targets * evaluations(config),
            steps=chosen.steps,
            starts=chosen.chains,
            start=cast(Start, chosen.start),
            seed=config.seed,
        )

    return TargetSolverPart(line, build, latents=("vectors",), climbs=True)


def _zeroth_order(config: ExperimentConfig, problem: TargetImage) -> ZerothOrder:
    chosen = config.solver
    return ZerothOrder(
        cast(RealVectors, problem.space),
        pairs=chosen.pairs,
        spread=chosen.spread,
        step=chosen.step,
        evaluations=evaluations(config),
        start=cast(Start, chosen.start),
        seed=config.seed,
    )


def _nevergrad(config: ExperimentConfig, problem: TargetImage) -> NevergradSearch:
    return NevergradSearch(
        cast(RealVectors, problem.space),
        config.solver.optimizer,
        evaluations=evaluations(config),
        seed=config.seed,
    )


def _coordinate(config: ExperimentConfig, problem: TargetImage) -> CoordinateSearch:
    return CoordinateSearch(cast(CodeGrid, problem.space), seed=config.seed)


def _random_latents(config: ExperimentConfig, problem: TargetImage) -> RandomLatents:
    """Of the space itself: a few starts have no distribution that could be fitted."""
    return RandomLatents(problem.space, seed=config.seed)


def _searching(kind: str) -> TargetSolverPart:
    """A solver of score searches, which takes the starts for its training set."""
    known = SOLVERS[kind]

    def build(config: ExperimentConfig, problem: TargetImage) -> Solver:
        return known.build(config, problem.space, 1)

    return TargetSolverPart(known.line, build, known.needs, known.extra, known.latents)


TARGET_SOLVERS: dict[str, TargetSolverPart] = {
    "lbfgs": _climbing(LBFGS, "curvature from gradients, with a line search"),
    "adam": _climbing(Adam, "Adam along the gradient"),
    "nesterov": _climbing(Nesterov, "Nesterov's momentum along the gradient"),
    "sphere": _climbing(SphereSearch, "Adam on the sphere that the latent began on"),
    "zeroth_order": TargetSolverPart(
        "gradient ascent with a gradient estimated from scores", _zeroth_order, latents=("vectors",)
    ),
    "nevergrad": TargetSolverPart(
        "any optimiser of Nevergrad, by solver.optimizer=NAME",
        _nevergrad,
        needs="nevergrad",
        extra="nevergrad",
        latents=("vectors",),
    ),
    "coordinate": TargetSolverPart(
        "one cell's code at a time, kept where it is better", _coordinate, latents=("codes",)
    ),
    "random_latents": TargetSolverPart(
        "fresh samples of the latent space", _random_latents, blind=True
    ),
    **{
        kind: _searching(kind)
        for kind in ("surrogate_based", "local_search", "cma_es", "turbo", "genetic")
    },
}
ONLY_TARGETS = tuple(kind for kind in TARGET_SOLVERS if kind not in SOLVERS)


def build_target_solver(config: ExperimentConfig, problem: TargetImage) -> Solver:
    """The configured solver for all targets of a problem.

    Raises:
        ConfigError: an unknown kind, one that needs a training set, or one of other latents.
    """
    kind = config.solver.kind
    if kind in SOLVERS and kind not in TARGET_SOLVERS:
        raise ConfigError(
            f"solver={kind} learns from a scored training set, which an inversion does not have: "
            f"use one of {_fitting(latents_of(problem.space))}."
        )
    chosen = part("solver", TARGET_SOLVERS, kind)
    latents = latents_of(problem.space)
    if latents not in chosen.latents:
        raise ConfigError(
            f"solver={kind} searches {chosen.latents[0]}, but the latents of "
            f"generator={config.generator.kind} are {latents}: use one of {_fitting(latents)}."
        )
    if chosen.climbs or chosen.blind or problem.targets == 1:
        return chosen.build(config, problem)
    alone = [replace(problem, wanted=each[None]) for each in problem.wanted]
    return SideBySide([chosen.build(config, each) for each in alone])


def searched_problem(config: ExperimentConfig, problem: TargetImage) -> TargetImage:
    """The problem as the configured solver is best given it: one that climbs gets its gradients.

    Of several points of a chain at a time, all but the last have been climbed before they are
    scored.
    """
    if not TARGET_SOLVERS[config.solver.kind].climbs or config.batch > 1:
        return problem
    return ClimbedTarget(problem.generator, problem.criterion, problem.wanted, problem.space_name)


def require_no_target_solver(kind: str) -> None:
    """Refuse for a search what only an inversion can use.

    Raises:
        ConfigError: with what to do instead.
    """
    if kind in ONLY_TARGETS:
        raise ConfigError(
            f"solver={kind} searches for target images, not for scores: `vqlso run invert "
            f"solver={kind} invert.target=FILE` does, or use one of {', '.join(SOLVERS)}."
        )


def _fitting(latents: Latents) -> str:
    return ", ".join(kind for kind, each in TARGET_SOLVERS.items() if latents in each.latents)
