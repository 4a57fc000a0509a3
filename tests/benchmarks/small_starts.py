"""What loops start from, in a second: a tiny VQ-VAE and a score that its images tell."""

from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.trees.peers import Answer, Question
from pipeline.configuration.composition import composed
from pipeline.configuration.settings import ExperimentConfig
from pipeline.preparation.preparing import Preparation
from solvers.trees import TreeEnsemble, maximize
from vqlso.archive import Archive
from vqlso.data.faces import procedural_faces
from vqlso.generators.vqvae import VQVAE, VQVAESettings
from vqlso.training.fitting import Optimisation
from vqlso.training.vqvae import VQVAETraining, train_vqvae

SETTINGS = VQVAESettings(image_size=16, width=4, categories=8, dimension=4, residual_blocks=1)


class Brightness:
    """The mean of all pixels."""

    name = "brightness"

    def __call__(self, images: Tensor) -> NDArray[np.float64]:
        return images.mean(dim=(1, 2, 3)).double().numpy()


@cache
def generator() -> VQVAE:
    """Trained a little, so that it uses several codes."""
    how = VQVAETraining(3, 16, Optimisation(3e-3))
    return train_vqvae(procedural_faces(200, seed=0, size=16).images, SETTINGS, how, seed=0)[0]


def start() -> Preparation:
    """A fresh one."""
    data = procedural_faces(200, seed=0, size=16)
    archive = Archive.scored(data.images, generator(), Brightness())
    return Preparation(
        data,
        np.arange(len(data)),
        np.empty(0, dtype=np.int64),
        generator(),
        Brightness(),
        None,
        archive,
        archive.latents(archive.version),
        np.full(len(data), np.nan),
        {},
    )


def config(overrides: Sequence[str] = ()) -> ExperimentConfig:
    """Of a run from `start`."""
    chosen = [
        "surrogate=grid_boosting",
        "surrogate.trees=10",
        "surrogate.min_samples_leaf=3",
        "solver.t=2",
        "retrainer.every=2",
        "retrainer.batch_size=16",
        "shift.samples=0",
    ]
    return composed("demo", [*chosen, *overrides])


def solved(question: Question) -> Answer:
    """In place of ENTMOOT, which needs an environment of its own."""
    ensemble = TreeEnsemble.from_lightgbm(question.booster, categories=question.K)
    best = maximize(ensemble, free=question.free, reference=question.reference)
    return Answer(0.0, 0.001, best.seconds, best.value, best.bound, "optimal", best.z)
