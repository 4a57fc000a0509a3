"""Which learning rate of the boosted trees predicts held-out scores best?

    python -m benchmarks.learning_rate
    python -m benchmarks.learning_rate data=celeba data.root=DIR generator.epochs=50

Fits the configured trees to four fifths of the scored training set and prints R^2 on the last
fifth as JSON lines (docs/choices.md).
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pipeline.configuration.composition import composed
from pipeline.experiment import threads_of
from pipeline.parts import SURROGATES
from pipeline.preparation.preparing import prepare
from pipeline.runs.folder import RunFolder
from vqlso.hardware import limit_threads
from vqlso.progress import SILENT
from vqlso.randomness import stream

RATES = (0.01, 0.02, 0.03, 0.05, 0.1, 0.2)


def main(overrides: Sequence[str]) -> None:
    """Measure every rate on the configured data and generator."""
    config = composed("demo", overrides)
    threads = threads_of(config)
    limit_threads(threads)
    with tempfile.TemporaryDirectory() as folder:
        start = prepare(config, RunFolder(Path(folder)), SILENT)
    codes, scores = start.codes, start.archive.scores
    order = stream(0, "learning rate").permutation(len(scores))
    training, held_out = np.split(order, [len(order) * 4 // 5])
    spread = np.var(scores[held_out])
    for rate in RATES:
        config.surrogate.learning_rate = rate
        build = SURROGATES[config.surrogate.kind].build
        surrogate = build(config, start.generator.space, threads)
        report = surrogate.fit(codes[training], scores[training])
        error = np.mean((surrogate.predict(codes[held_out]) - scores[held_out]) ** 2)
        row = {"learning_rate": rate, "r2": round(float(1 - error / spread), 3)}
        print(json.dumps(row | {"seconds": round(report.seconds, 2)}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
