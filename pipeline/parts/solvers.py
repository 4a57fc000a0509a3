"""The solvers that a configuration can name."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from pipeline.configuration.settings import ExperimentConfig
from pipeline.parts.part import Latents, SolverPart, latents_of, part
from pipeline.parts.surrogates import SURROGATES, build_surrogate
from pipeline.shift import DENSITY_ROWS
from solvers.cma_es import CMAES, MOST_DIMENSIONS
from solvers.continuous_search import ContinuousSearch
from solvers.contracts import ProbabilisticSurrogate, TreeSurrogate
from solvers.exploration import Exploration
from solvers.free_cells import FreeCells, Importance
from solvers.genetic import GeneticCodes
from solvers.local_search import LocalSearch
from solvers.plausibility import Plausibility
from solvers.random_search import BestOfTraining, Distribution, RandomCodes, RandomLatents
from solvers.surrogate_based import SurrogateSolver
from solvers.trees import Limits
from solvers.turbo import TuRBO
from vqlso.contracts import LatentSpace, Solver
from vqlso.errors import ConfigError
from vqlso.generators.code_prior import CodePrior
from vqlso.generators.latent_density import LatentDensity
from vqlso.spaces import CodeGrid, RealVectors


def _surrogate_based(config: ExperimentConfig, space: LatentSpace, threads: int) -> SurrogateSolver:
    chosen = config.solver
    return SurrogateSolver(
        cast(CodeGrid, space),
        cast(TreeSurrogate, build_surrogate(config, space, threads)),
        free_cells=FreeCells(
            chosen.t,
            cast(Importance, chosen.importance),
            None if chosen.cells is None else tuple(chosen.cells),
        ),
        references=cast(Literal["uniform", "weighted"], chosen.references),
        exploration=Exploration(chosen.exploration),
        plausibility=Plausibility(chosen.plausibility, chosen.least_seen),
        optima=chosen.optima,
        backend=chosen.backend,
        limits=Limits(nodes=chosen.node_limit, seconds=chosen.time_limit),
        seed=config.seed,
    )


def _slsqp(config: ExperimentConfig, space: LatentSpace, threads: int) -> ContinuousSearch:
    chosen = config.solver
    return ContinuousSearch(
        cast(RealVectors, space),
        cast(ProbabilisticSurrogate, build_surrogate(config, space, threads)),
        fit_density=_latent_density,
        quantile=chosen.density,
        samples=chosen.samples,
        successes=chosen.successes,
        min_distance=chosen.min_distance,
        confidence=chosen.confidence,
        seed=config.seed,
    )


def _latent_density(latents: NDArray[np.float64], rng: np.random.Generator) -> LatentDensity:
    """Fitted anew after each retraining, so to fewer rows than there may be."""
    return LatentDensity.fit(latents, rng=rng, max_rows=DENSITY_ROWS)


def _random_latents(
    config: ExperimentConfig,
    space: LatentSpace,
    threads: int,  # noqa: ARG001
) -> RandomLatents:
    return RandomLatents(space, fit_density=_density(space), seed=config.seed)


def _density(space: LatentSpace) -> Callable[[NDArray[Any], np.random.Generator], Distribution]:
    """The distribution of the training latents: what the generator would make by itself."""

    def fit(latents: NDArray[Any], rng: np.random.Generator) -> Distribution:
        if isinstance(space, CodeGrid):
            return CodePrior.fit(latents, categories=space.categories, rng=rng)
        return _latent_density(latents, rng)

    return fit


def _random_codes(
    config: ExperimentConfig,
    space: LatentSpace,
    threads: int,  # noqa: ARG001
) -> RandomCodes:
    chosen = config.solver
    cells = None if chosen.cells is None else tuple(chosen.cells)
    return RandomCodes(cast(CodeGrid, space), t=chosen.t, cells=cells, seed=config.seed)


def _best_of_training(
    config: ExperimentConfig,  # noqa: ARG001
    space: LatentSpace,
    threads: int,  # noqa: ARG001
) -> BestOfTraining:
    return BestOfTraining(space)


def _genetic(
    config: ExperimentConfig,
    space: LatentSpace,
    threads: int,  # noqa: ARG001
) -> GeneticCodes:
    chosen = config.solver
    return GeneticCodes(
        cast(CodeGrid, space),
        population=chosen.population,
        mutation=chosen.mutation,
        seed=config.seed,
    )


def _cma_es(
    config: ExperimentConfig,
    space: LatentSpace,
    threads: int,  # noqa: ARG001
) -> CMAES:
    return CMAES(
        cast(RealVectors, space),
        population=config.solver.population,
        diagonal=prod(space.shape) > MOST_DIMENSIONS,
        seed=config.seed,
    )


def _turbo(
    config: ExperimentConfig,
    space: LatentSpace,
    threads: int,  # noqa: ARG001
) -> TuRBO:
    return TuRBO(cast(RealVectors, space), batch=config.batch, seed=config.seed)


def _local_search(
    config: ExperimentConfig,
    space: LatentSpace,
    threads: int,  # noqa: ARG001
) -> LocalSearch:
    chosen = config.solver
    return LocalSearch(
        cast(RealVectors, space), step=chosen.step, adapts=chosen.adapts, seed=config.seed
    )


SOLVERS: dict[str, SolverPart] = {
    "surrogate_based": SolverPart(
        "fit trees, maximise them exactly over the most important cells",
        _surrogate_based,
        latents=("codes",),
        surrogate="trees",
    ),
    "slsqp": SolverPart(
        "expected improvement where the training latents are dense, climbed from many starts",
        _slsqp,
        latents=("vectors",),
        surrogate="probabilistic",
    ),
    "random_latents": SolverPart(
        "fresh samples of the training latents' distribution", _random_latents
    ),
    "random_codes": SolverPart(
        "a training grid with the free cells of another: chance", _random_codes, latents=("codes",)
    ),
    "best_of_training": SolverPart("the best training latents, decoded again", _best_of_training),
    "genetic": SolverPart("crossover and mutation of the best grids", _genetic, latents=("codes",)),
    "cma_es": SolverPart(
        "covariance matrix adaptation",
        _cma_es,
        needs="cmaes",
        extra="evolution",
        latents=("vectors",),
    ),
    "turbo": SolverPart(
        "Bayesian optimisation within a trust region",
        _turbo,
        needs="botorch",
        extra="bayes",
        latents=("vectors",),
    ),
    "local_search": SolverPart(
        "steps from the best latent so far", _local_search, latents=("vectors",)
    ),
}


def build_solver(config: ExperimentConfig, space: LatentSpace, threads: int) -> Solver:
    """The configured solver, with its surrogate where it is guided by one.

    Raises:
        ConfigError: an unknown kind, or parts that do not fit together.
    """
    solver = part("solver", SOLVERS, config.solver.kind)
    _require_fit(config, space)
    return solver.build(config, space, threads)


def misfit(solver: str, surrogate: str, latents: Latents) -> str:
    """Why a solver, with a surrogate, cannot search such latents; empty where it can."""
    asked = SOLVERS[solver]
    if latents not in asked.latents:
        others = ", ".join(name for name, each in SOLVERS.items() if latents in each.latents)
        return f"solver={solver} searches {asked.latents[0]}, not {latents}: use one of {others}"
    if asked.surrogate is None or SURROGATES[surrogate].kind == asked.surrogate:
        return ""
    others = ", ".join(name for name, each in SURROGATES.items() if each.kind == asked.surrogate)
    what = {"trees": "trees that it can maximise exactly", "probabilistic": "an uncertainty"}
    return f"solver={solver} needs a surrogate with {what[asked.surrogate]}: use one of {others}"


def _require_fit(config: ExperimentConfig, space: LatentSpace) -> None:
    part("surrogate", SURROGATES, config.surrogate.kind)
    reason = misfit(config.solver.kind, config.surrogate.kind, latents_of(space))
    if reason:
        raise ConfigError(
            f"generator={config.generator.kind} has latents that are {latents_of(space)}, and "
            f"surrogate={config.surrogate.kind} was chosen: {reason}."
        )
