"""What can be plugged in: one table a role, read by the experiments and by `vqlso list`."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar, cast

from pipeline.configuration import ExperimentConfig, nearest
from pipeline.retraining import NoRetraining, WeightedRetraining
from solvers.continuous_search import ContinuousSearch
from solvers.contracts import ProbabilisticSurrogate, TreeSurrogate
from solvers.surrogate_based import FreeCells, SurrogateSolver
from solvers.surrogates import GridBoosting, LightGBM
from solvers.surrogates.dngo import DNGO
from solvers.surrogates.gaussian_process import SparseGP
from solvers.trees import Limits
from vqlso.contracts import LatentSpace, Retrainer, Solver, Surrogate
from vqlso.errors import ConfigError
from vqlso.generators.latent_density import LatentDensity
from vqlso.progress import SILENT, Progress
from vqlso.spaces import CodeGrid, RealVectors
from vqlso.training.fitting import Optimisation

B = TypeVar("B", bound=Callable[..., Any])
P = TypeVar("P")


Latents = Literal["codes", "vectors"]
SurrogateKind = Literal["trees", "probabilistic"]
EITHER: tuple[Latents, ...] = ("codes", "vectors")


@dataclass(frozen=True)
class Part(Generic[B]):
    """Something that a configuration can name.

    Attributes:
        line: what it is, in one line.
        build: makes it.
        needs: package that it imports beyond the core, if any.
        extra: the extra that installs that package.
    """

    line: str
    build: B
    needs: str = ""
    extra: str = ""

    @property
    def installed(self) -> bool:
        """Whether what it needs can be imported."""
        return not self.needs or importlib.util.find_spec(self.needs) is not None


@dataclass(frozen=True)
class SurrogatePart(Part[Callable[[ExperimentConfig, LatentSpace, int], Surrogate]]):
    """A surrogate.

    Attributes:
        kind: what a solver can do with it: maximise its trees exactly, or weigh its uncertainty.
    """

    kind: SurrogateKind = "trees"


@dataclass(frozen=True)
class SolverPart(Part[Callable[[ExperimentConfig, LatentSpace, int], Solver]]):
    """A solver.

    Attributes:
        latents: what it can search over.
        surrogate: the kind of surrogate that it is guided by; None for none.
    """

    latents: tuple[Latents, ...] = EITHER
    surrogate: SurrogateKind | None = None


@dataclass(frozen=True)
class RetrainerPart(Part[Callable[[ExperimentConfig, Progress], Retrainer]]):
    """A retrainer.

    Attributes:
        retrains: whether it changes the generator, which must then encode images.
    """

    retrains: bool = True


def _codes(space: LatentSpace) -> CodeGrid:
    """The space of a part that is built only where `misfit` has nothing to say."""
    return cast(CodeGrid, space)


def _lightgbm(config: ExperimentConfig, space: LatentSpace, threads: int) -> LightGBM:
    chosen = config.surrogate
    return LightGBM(
        _codes(space).categories,
        trees=chosen.trees,
        depth=chosen.depth,
        leaves=chosen.leaves,
        min_samples_leaf=chosen.min_samples_leaf,
        learning_rate=chosen.learning_rate,
        threads=threads,
    )


def _grid_boosting(config: ExperimentConfig, space: LatentSpace, threads: int) -> GridBoosting:
    chosen = config.surrogate
    if chosen.depth != GridBoosting.DEPTH or chosen.leaves < GridBoosting.LEAVES:
        raise ConfigError(
            f"grid_boosting grows trees of depth {GridBoosting.DEPTH} with up to "
            f"{GridBoosting.LEAVES} leaves; surrogate.depth={chosen.depth} with "
            f"surrogate.leaves={chosen.leaves} needs surrogate=lightgbm."
        )
    return GridBoosting(
        _codes(space).categories,
        trees=chosen.trees,
        min_samples_leaf=chosen.min_samples_leaf,
        learning_rate=chosen.learning_rate,
        threads=threads,
    )


def _surrogate_based(config: ExperimentConfig, space: LatentSpace, threads: int) -> SurrogateSolver:
    chosen = config.solver
    return SurrogateSolver(
        _codes(space),
        cast(TreeSurrogate, build_surrogate(config, space, threads)),
        free_cells=FreeCells(
            chosen.t,
            cast(Literal["gain", "split"], chosen.importance),
            None if chosen.cells is None else tuple(chosen.cells),
        ),
        references=cast(Literal["uniform", "weighted"], chosen.references),
        backend=chosen.backend,
        limits=Limits(nodes=chosen.node_limit, seconds=chosen.time_limit),
        seed=config.seed,
    )


def _weighted(config: ExperimentConfig, progress: Progress) -> WeightedRetraining:
    chosen = config.retrainer
    return WeightedRetraining(
        k=chosen.k,
        every=chosen.every,
        initial_epochs=chosen.initial_epochs,
        epochs=chosen.epochs,
        batch_size=chosen.batch_size,
        optimisation=Optimisation(chosen.learning_rate),
        progress=progress,
    )


def _none(config: ExperimentConfig, progress: Progress) -> NoRetraining:  # noqa: ARG001
    return NoRetraining()


def _dngo(config: ExperimentConfig, space: LatentSpace, threads: int) -> DNGO:  # noqa: ARG001
    chosen = config.surrogate
    return DNGO(
        hidden=tuple(chosen.hidden),
        epochs=chosen.epochs,
        batch_size=chosen.batch_size,
        learning_rate=chosen.learning_rate,
        seed=config.seed,
    )


def _gp(config: ExperimentConfig, space: LatentSpace, threads: int) -> SparseGP:  # noqa: ARG001
    chosen = config.surrogate
    return SparseGP(
        inducing=chosen.inducing,
        epochs=chosen.epochs,
        batch_size=chosen.batch_size,
        learning_rate=chosen.learning_rate,
        seed=config.seed,
    )


def _slsqp(config: ExperimentConfig, space: LatentSpace, threads: int) -> ContinuousSearch:
    chosen = config.solver
    return ContinuousSearch(
        cast(RealVectors, space),
        cast(ProbabilisticSurrogate, build_surrogate(config, space, threads)),
        fit_density=lambda latents, rng: LatentDensity.fit(latents, rng=rng),
        quantile=chosen.density,
        samples=chosen.samples,
        successes=chosen.successes,
        min_distance=chosen.min_distance,
        seed=config.seed,
    )


SURROGATES: dict[str, SurrogatePart] = {
    "lightgbm": SurrogatePart("gradient-boosted trees with categorical splits", _lightgbm),
    "grid_boosting": SurrogatePart(
        "LightGBM's trees of depth 2, grown several times faster", _grid_boosting
    ),
    "dngo": SurrogatePart(
        "Bayesian regression on the last layer of a network", _dngo, kind="probabilistic"
    ),
    "gp": SurrogatePart(
        "sparse Gaussian process", _gp, needs="gpytorch", extra="bayes", kind="probabilistic"
    ),
}
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
}
RETRAINERS: dict[str, RetrainerPart] = {
    "weighted": RetrainerPart("fine-tune the generator on rank-weighted samples", _weighted),
    "none": RetrainerPart("leave the generator as it is", _none, retrains=False),
}


def build_surrogate(config: ExperimentConfig, space: LatentSpace, threads: int) -> Surrogate:
    """The configured surrogate.

    Raises:
        ConfigError: an unknown kind.
    """
    return _part("surrogate", SURROGATES, config.surrogate.kind).build(config, space, threads)


def build_solver(config: ExperimentConfig, space: LatentSpace, threads: int) -> Solver:
    """The configured solver, with its surrogate where it is guided by one.

    Raises:
        ConfigError: an unknown kind, or parts that do not fit together.
    """
    solver = _part("solver", SOLVERS, config.solver.kind)
    _require_fit(config, space)
    return solver.build(config, space, threads)


def build_retrainer(config: ExperimentConfig, progress: Progress = SILENT) -> Retrainer:
    """The configured retrainer.

    Raises:
        ConfigError: an unknown kind.
    """
    return _part("retrainer", RETRAINERS, config.retrainer.kind).build(config, progress)


def latents_of(space: LatentSpace) -> Latents:
    """What a solver sees of a space."""
    return "codes" if isinstance(space, CodeGrid) else "vectors"


def misfit(solver: str, surrogate: str, latents: Latents) -> str:
    """Why a solver, with a surrogate, cannot search such latents; empty where it can."""
    part = SOLVERS[solver]
    if latents not in part.latents:
        others = ", ".join(name for name, each in SOLVERS.items() if latents in each.latents)
        return f"solver={solver} searches {part.latents[0]}, not {latents}: use one of {others}"
    if part.surrogate is None or SURROGATES[surrogate].kind == part.surrogate:
        return ""
    others = ", ".join(name for name, each in SURROGATES.items() if each.kind == part.surrogate)
    what = {"trees": "trees that it can maximise exactly", "probabilistic": "an uncertainty"}
    return f"solver={solver} needs a surrogate with {what[part.surrogate]}: use one of {others}"


def _require_fit(config: ExperimentConfig, space: LatentSpace) -> None:
    _part("surrogate", SURROGATES, config.surrogate.kind)
    reason = misfit(config.solver.kind, config.surrogate.kind, latents_of(space))
    if reason:
        raise ConfigError(
            f"generator={config.generator.kind} has latents that are {latents_of(space)}, and "
            f"surrogate={config.surrogate.kind} was chosen: {reason}."
        )


def _part(role: str, parts: Mapping[str, P], kind: str) -> P:
    if kind not in parts:
        raise ConfigError(f"There is no {role}.kind '{kind}'{nearest(kind, list(parts))}")
    return parts[kind]
