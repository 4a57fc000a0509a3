"""The surrogates that a configuration can name."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from pipeline.configuration.settings import ExperimentConfig
from pipeline.parts.part import SurrogatePart, part
from solvers.surrogates import GridBoosting, LightGBM
from solvers.surrogates.dngo import DNGO
from solvers.surrogates.forests import ExtraTrees, RandomForest
from solvers.surrogates.gaussian_process import SparseGP
from solvers.surrogates.xgboost import XGBoost
from vqlso.contracts import LatentSpace, Surrogate
from vqlso.errors import ConfigError
from vqlso.spaces import CodeGrid


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


def _xgboost(config: ExperimentConfig, space: LatentSpace, threads: int) -> XGBoost:
    chosen = config.surrogate
    return XGBoost(
        _codes(space).categories,
        trees=chosen.trees,
        depth=chosen.depth,
        leaves=chosen.leaves,
        min_samples_leaf=chosen.min_samples_leaf,
        learning_rate=chosen.learning_rate,
        threads=threads,
        seed=config.seed,
    )


def _forest(
    kind: type[RandomForest] | type[ExtraTrees],
) -> Callable[[ExperimentConfig, LatentSpace, int], RandomForest | ExtraTrees]:
    def build(
        config: ExperimentConfig, space: LatentSpace, threads: int
    ) -> RandomForest | ExtraTrees:
        chosen = config.surrogate
        return kind(
            _codes(space).categories,
            trees=chosen.trees,
            depth=chosen.depth,
            min_samples_leaf=chosen.min_samples_leaf,
            threads=threads,
            seed=config.seed,
        )

    return build


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


SURROGATES: dict[str, SurrogatePart] = {
    "lightgbm": SurrogatePart("gradient-boosted trees with categorical splits", _lightgbm),
    "grid_boosting": SurrogatePart(
        "LightGBM's trees of depth 2, grown several times faster", _grid_boosting
    ),
    "xgboost": SurrogatePart(
        "XGBoost's trees with categorical splits", _xgboost, needs="xgboost", extra="xgboost"
    ),
    "random_forest": SurrogatePart("scikit-learn's random forest", _forest(RandomForest)),
    "extra_trees": SurrogatePart("scikit-learn's extremely random trees", _forest(ExtraTrees)),
    "dngo": SurrogatePart(
        "Bayesian regression on the last layer of a network", _dngo, kind="probabilistic"
    ),
    "gp": SurrogatePart(
        "sparse Gaussian process", _gp, needs="gpytorch", extra="bayes", kind="probabilistic"
    ),
}


def build_surrogate(config: ExperimentConfig, space: LatentSpace, threads: int) -> Surrogate:
    """The configured surrogate.

    Raises:
        ConfigError: an unknown kind.
    """
    return part("surrogate", SURROGATES, config.surrogate.kind).build(config, space, threads)
