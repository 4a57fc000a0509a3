"""What can be plugged in: one table a role, read by the experiments and by `vqlso list`."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar, cast

from pipeline.configuration import ExperimentConfig, nearest
from pipeline.retraining import NoRetraining, WeightedRetraining
from solvers.contracts import TreeSurrogate
from solvers.surrogate_based import FreeCells, SurrogateSolver
from solvers.surrogates import GridBoosting, LightGBM
from solvers.trees import Limits
from vqlso.contracts import Retrainer, Solver
from vqlso.errors import ConfigError
from vqlso.progress import SILENT, Progress
from vqlso.spaces import CodeGrid
from vqlso.training.fitting import Optimisation

B = TypeVar("B", bound=Callable[..., Any])


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


def _lightgbm(config: ExperimentConfig, space: CodeGrid, threads: int) -> LightGBM:
    chosen = config.surrogate
    return LightGBM(
        space.categories,
        trees=chosen.trees,
        depth=chosen.depth,
        leaves=chosen.leaves,
        min_samples_leaf=chosen.min_samples_leaf,
        learning_rate=chosen.learning_rate,
        threads=threads,
    )


def _grid_boosting(config: ExperimentConfig, space: CodeGrid, threads: int) -> GridBoosting:
    chosen = config.surrogate
    if chosen.depth != GridBoosting.DEPTH or chosen.leaves < GridBoosting.LEAVES:
        raise ConfigError(
            f"grid_boosting grows trees of depth {GridBoosting.DEPTH} with up to "
            f"{GridBoosting.LEAVES} leaves; surrogate.depth={chosen.depth} with "
            f"surrogate.leaves={chosen.leaves} needs surrogate=lightgbm."
        )
    return GridBoosting(
        space.categories,
        trees=chosen.trees,
        min_samples_leaf=chosen.min_samples_leaf,
        learning_rate=chosen.learning_rate,
        threads=threads,
    )


def _surrogate_based(
    config: ExperimentConfig, space: CodeGrid, surrogate: TreeSurrogate
) -> SurrogateSolver:
    chosen = config.solver
    return SurrogateSolver(
        space,
        surrogate,
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


SURROGATES: dict[str, Part[Callable[[ExperimentConfig, CodeGrid, int], TreeSurrogate]]] = {
    "lightgbm": Part("gradient-boosted trees with categorical splits", _lightgbm),
    "grid_boosting": Part(
        "LightGBM's trees of depth 2, grown several times faster", _grid_boosting
    ),
}
SOLVERS: dict[str, Part[Callable[[ExperimentConfig, CodeGrid, TreeSurrogate], Solver]]] = {
    "surrogate_based": Part(
        "fit a surrogate, maximise it exactly over the most important cells", _surrogate_based
    ),
}
RETRAINERS: dict[str, Part[Callable[[ExperimentConfig, Progress], Retrainer]]] = {
    "weighted": Part("fine-tune the generator on rank-weighted samples", _weighted),
    "none": Part("leave the generator as it is", _none),
}


def build_solver(config: ExperimentConfig, space: CodeGrid, threads: int) -> Solver:
    """The configured solver with its surrogate.

    Raises:
        ConfigError: an unknown kind.
    """
    surrogate = _part("surrogate", SURROGATES, config.surrogate.kind)
    solver = _part("solver", SOLVERS, config.solver.kind)
    return solver.build(config, space, surrogate.build(config, space, threads))


def build_retrainer(config: ExperimentConfig, progress: Progress = SILENT) -> Retrainer:
    """The configured retrainer.

    Raises:
        ConfigError: an unknown kind.
    """
    return _part("retrainer", RETRAINERS, config.retrainer.kind).build(config, progress)


def _part(role: str, parts: Mapping[str, Part[B]], kind: str) -> Part[B]:
    if kind not in parts:
        raise ConfigError(f"There is no {role}.kind '{kind}'{nearest(kind, list(parts))}")
    return parts[kind]
