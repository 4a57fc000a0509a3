"""How large a step may weighted retraining take before it damages the generator?

    python -m benchmarks.finetuning
    python -m benchmarks.finetuning generator=vae_demo
    python -m benchmarks.finetuning data=celeba data.root=DIR generator.epochs=50

Retrains on rank-weighted samples of the training set as a run does, one epoch and then tenths of
one, each from a fresh Adam, and prints the reconstruction error of the whole training set and of
its weighted samples as JSON lines (docs/choices.md).
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.configuration.composition import composed
from pipeline.configuration.settings import ExperimentConfig
from pipeline.experiment import threads_of
from pipeline.parts import build_retrainer
from pipeline.parts.generators import quality
from pipeline.preparation.preparing import prepare
from pipeline.retraining import WeightedRetraining
from pipeline.runs.folder import RunFolder
from vqlso.contracts import Generator
from vqlso.hardware import limit_threads
from vqlso.progress import SILENT
from vqlso.randomness import stream
from vqlso.training.fitting import Optimisation

STEP_SIZES = (1e-3, 3e-4, 1e-4, 3e-5)
RETRAININGS = 10
SAMPLE = 1000


def main(overrides: Sequence[str]) -> None:
    """Measure every step size on the configured data and generator."""
    config = composed("demo", overrides)
    limit_threads(threads_of(config))
    with tempfile.TemporaryDirectory() as folder:
        start = prepare(config, RunFolder(Path(folder)), SILENT)
        retrainer = build_retrainer(config)
        assert isinstance(retrainer, WeightedRetraining)
        rng = stream(config.seed, "finetuning sample")
        weights = retrainer.weights(start.archive)
        uniform = start.archive.images(rng.permutation(len(weights))[:SAMPLE])
        weighted = start.archive.images(rng.choice(len(weights), SAMPLE, p=weights))
        for step_size in STEP_SIZES:
            generator = start.generator
            how = replace(retrainer, optimisation=Optimisation(step_size))
            for round_ in range(1, RETRAININGS + 2):
                generator, _ = how.retrain(generator, start.archive, seed=0, round_=round_)
                if round_ in (1, RETRAININGS + 1):
                    errors = {
                        name: _error(config, generator, images)
                        for name, images in (("uniform", uniform), ("weighted", weighted))
                    }
                    row = {"step_size": step_size, "retrainings": round_}
                    print(json.dumps(row | {k: round(v, 4) for k, v in errors.items()}), flush=True)
        before = {
            name: round(_error(config, start.generator, images), 4)
            for name, images in (("uniform", uniform), ("weighted", weighted))
        }
        print(json.dumps({"retrainings": 0} | before))


def _error(config: ExperimentConfig, generator: Generator, images: NDArray[np.uint8]) -> float:
    return quality(config.generator, generator, images)["reconstruction_error"]


if __name__ == "__main__":
    main(sys.argv[1:])
