"""Do scorers that learnt from sharp faces read what a generator draws?

    python -m benchmarks.scorers
    python -m benchmarks.scorers data=celeba data.root=DIR generator=vqvae_half generator.epochs=50

Trains both scorers with and without degraded images and prints the correlation of their degrees
with the labels on held-out people's images and on the reconstructions of these, as JSON lines
(docs/choices.md). `ridge` is a linear regression on the reconstructions' own pixels: what they
still tell of the degree.
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
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import cross_val_predict

from pipeline.configuration.composition import composed
from pipeline.experiment import threads_of
from pipeline.preparation.preparing import prepare
from pipeline.preparation.scorers import PEOPLE_SHARES
from pipeline.runs.folder import RunFolder
from vqlso.data.splits import split_people
from vqlso.hardware import limit_threads
from vqlso.images import to_bytes, to_unit
from vqlso.progress import SILENT
from vqlso.training.scorer import ScorerTraining, train_scorer


def main(overrides: Sequence[str]) -> None:
    """Measure both architectures on the configured data and generator."""
    config = composed("demo", overrides)
    limit_threads(threads_of(config))
    with tempfile.TemporaryDirectory() as folder:
        start = prepare(config, RunFolder(Path(folder)), SILENT)
    data = start.data
    queried, judging, held_out = split_people(data.people, PEOPLE_SHARES, config.objective.seed)
    images, labels = data.images[held_out], data.labels[held_out]
    drawn = to_bytes(start.generator.decode(start.generator.encode(to_unit(images))))
    print(json.dumps({"ridge on reconstructions": _ridge(drawn, labels)}), flush=True)
    usual = ScorerTraining(epochs=config.objective.epochs)
    for degraded, how in ((False, replace(usual, blur=0.0, noise=0.0)), (True, usual)):
        for architecture, people in (("residual", queried), ("plain", judging)):
            scorer = train_scorer(data, people, held_out, architecture, how, seed=0)
            row = {"scorer": architecture, "learnt from degraded images": degraded}
            for name, pictures in (("images", images), ("reconstructions", drawn)):
                row[name] = _correlation(scorer(to_unit(pictures)), labels)
            print(json.dumps(row), flush=True)


def _ridge(images: NDArray[np.uint8], labels: NDArray[np.float64]) -> float:
    """Cross-validated, on every second pixel."""
    pixels = images[:, :, ::2, ::2].reshape(len(images), -1) / 255
    model = RidgeCV(alphas=(1.0, 10.0, 100.0, 1000.0))
    return _correlation(cross_val_predict(model, pixels, labels, cv=5), labels)


def _correlation(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    return round(float(np.corrcoef(a, b)[0, 1]), 3)


if __name__ == "__main__":
    main(sys.argv[1:])
