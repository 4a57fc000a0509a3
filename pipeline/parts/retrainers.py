"""The retrainers that a configuration can name."""

from __future__ import annotations

from pipeline.configuration.settings import ExperimentConfig
from pipeline.parts.part import RetrainerPart, part
from pipeline.retraining import NoRetraining, WeightedRetraining
from vqlso.contracts import Retrainer
from vqlso.progress import SILENT, Progress
from vqlso.training.fitting import Optimisation


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


RETRAINERS: dict[str, RetrainerPart] = {
    "weighted": RetrainerPart("fine-tune the generator on rank-weighted samples", _weighted),
    "none": RetrainerPart("leave the generator as it is", _none, retrains=False),
}


def build_retrainer(config: ExperimentConfig, progress: Progress = SILENT) -> Retrainer:
    """The configured retrainer.

    Raises:
        ConfigError: an unknown kind.
    """
    return part("retrainer", RETRAINERS, config.retrainer.kind).build(config, progress)
