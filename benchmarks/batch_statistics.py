"""What do weighted batches do to the batch normalisation of a VAE?

    python -m benchmarks.batch_statistics
    python -m benchmarks.batch_statistics generator=vae

Shows the trained VAE one pass of images drawn uniformly, or by rank weights as weighted retraining
draws them, in training mode and without a step: only the running statistics of its batch
normalisation change. Prints the reconstruction error of images drawn in either way, and the mean
score of the best 100 training images as decoded, as JSON lines (docs/choices.md).
"""

from __future__ import annotations

import copy
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from pipeline.configuration.composition import composed
from pipeline.experiment import threads_of
from pipeline.parts import build_retrainer
from pipeline.preparation.preparing import Preparation, prepare
from pipeline.retraining import WeightedRetraining
from pipeline.runs.folder import RunFolder
from vqlso.generators.vae import VAE
from vqlso.hardware import limit_threads
from vqlso.images import to_unit
from vqlso.progress import SILENT
from vqlso.randomness import stream
from vqlso.training.vae import reconstruction_error
from vqlso.training.weighting import Batches, weighted_draws

SAMPLE = 1000
BEST = 100


def main(overrides: Sequence[str]) -> None:
    """Measure the configured VAE."""
    config = composed("demo", ["generator=vae_demo", *overrides])
    limit_threads(threads_of(config))
    with tempfile.TemporaryDirectory() as folder:
        start = prepare(config, RunFolder(Path(folder)), SILENT)
        generator, retrainer = start.generator, build_retrainer(config)
        assert isinstance(generator, VAE)
        assert isinstance(retrainer, WeightedRetraining)
        weights = retrainer.weights(start.archive)
        shares = {"uniform": np.full(len(weights), 1 / len(weights)), "weighted": weights}
        rng = stream(config.seed, "batch statistics")
        samples = {
            name: start.archive.images(rng.choice(len(share), SAMPLE, p=share))
            for name, share in shares.items()
        }

        def show(statistics: str, generator: VAE) -> None:
            errors = {
                name: round(reconstruction_error(generator, images), 4)
                for name, images in samples.items()
            }
            best = round(_score_of_best(start, generator), 2)
            print(json.dumps({"statistics": statistics, **errors, "best": best}), flush=True)

        show("of the training", generator)
        for name, share in shares.items():
            batches = weighted_draws(share, len(share), retrainer.batch_size, rng)
            show(f"of {name} batches", _having_observed(generator, start, batches))


def _having_observed(generator: VAE, start: Preparation, batches: Batches) -> VAE:
    network = copy.deepcopy(generator.network).train()
    with torch.no_grad(), torch.random.fork_rng():
        torch.manual_seed(0)
        for rows in batches:
            network(to_unit(start.archive.images(rows)) * 2 - 1)
    return VAE(network.eval())


def _score_of_best(start: Preparation, generator: VAE) -> float:
    best = np.argsort(-start.archive.scores)[:BEST]
    decoded = generator.decode(generator.encode(to_unit(start.archive.images(best))))
    return float(np.mean(start.objective(decoded)))


if __name__ == "__main__":
    main(sys.argv[1:])
