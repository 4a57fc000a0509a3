"""Weighted retraining: the better an image, the more it counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vqlso.archive import Archive
from vqlso.contracts import RetrainableGenerator
from vqlso.errors import ConfigError
from vqlso.generators.vae import VAE
from vqlso.generators.vqvae import VQVAE
from vqlso.progress import SILENT, Progress
from vqlso.randomness import stream, torch_seed
from vqlso.records import FitReport
from vqlso.training.fitting import Optimisation
from vqlso.training.vae import finetune_vae
from vqlso.training.vqvae import finetune_vqvae
from vqlso.training.weighting import rank_weights, weighted_draws

# The first steps of a fresh Adam have full length whatever the gradient's size. At the 1e-3 of
# the training from nothing, eleven of them nearly tripled the reconstruction error
# (docs/choices.md).
GENTLE = Optimisation(learning_rate=1e-4)
# For each length of a last batch that it has not met, oneDNN keeps most of a megabyte for good:
# beyond so many queries only these lengths occur.
LONG_RUN = 1000
GRAIN = 16


@dataclass(frozen=True)
class WeightedRetraining:
    """Fine-tune on rank-weighted samples of the archive (Tripp et al. 2020; paper 003, 2.3).

    Attributes:
        k: spread of the rank weights; smaller is greedier.
        every: r, queries between two retrainings.
        initial_epochs: epochs of weighted samples before the first query.
        epochs: epochs at each later retraining.
        batch_size: images a step.
        optimisation: a fresh Adam each time.
        progress: shows the steps.
    """

    k: float = 1e-3
    every: int = 5
    initial_epochs: float = 1.0
    epochs: float = 0.1
    batch_size: int = 128
    optimisation: Optimisation = GENTLE
    progress: Progress = SILENT

    def __post_init__(self) -> None:
        if self.every < 1:
            raise ConfigError(f"retrainer.every must be at least 1 query, got {self.every}.")
        if not self.k > 0:
            raise ConfigError(f"retrainer.k must be positive, got {self.k}.")

    def due(self, queries: int) -> bool:
        """Before the first query, then after every r."""
        return queries % self.every == 0

    def weights(self, archive: Archive) -> NDArray[np.float64]:
        """(len(archive),) rank weights of the scores."""
        return rank_weights(archive.scores, self.k)

    def retrain(
        self, generator: RetrainableGenerator, archive: Archive, *, seed: int, round_: int
    ) -> tuple[RetrainableGenerator, FitReport]:
        """A fine-tuned copy of the generator.

        Raises:
            ConfigError: the generator is not one that can be fine-tuned.
        """
        share = self.initial_epochs if round_ == 1 else self.epochs
        batches = weighted_draws(
            self.weights(archive),
            _draws(archive, share),
            self.batch_size,
            stream(seed, "retraining batches", round_),
        )
        further: dict[str, Any] = {
            "seed": torch_seed(seed, "retraining", round_),
            "optimisation": self.optimisation,
            "progress": self.progress,
        }
        if isinstance(generator, VQVAE):
            return finetune_vqvae(generator, archive.images, batches, **further)
        if isinstance(generator, VAE):
            return finetune_vae(generator, archive.images, batches, **further)
        raise ConfigError(
            f"Weighted retraining fine-tunes a VQ-VAE or a VAE, not a {type(generator).__name__}: "
            "use retrainer=none."
        )


def _draws(archive: Archive, share: float) -> int:
    """How many samples are a share of the archive; a multiple of `GRAIN` in a long run."""
    grain = GRAIN if len(archive) - archive.base >= LONG_RUN else 1
    return grain * max(1, round(share * len(archive) / grain))
