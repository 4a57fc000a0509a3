"""Which way of learning the codebook reconstructs best?

    python -m benchmarks.codebook generator.epochs=6
    python -m benchmarks.codebook generator.epochs=6 data=celeba data.root=DIR

Trains one VQ-VAE per combination of codebook update, data-driven initialisation and revival, and
prints reconstruction error and perplexity on held-out images as JSON lines (docs/choices.md).
"""

from __future__ import annotations

import itertools
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

from pipeline.configuration.composition import composed
from pipeline.parts.generators import vqvae_recipe
from pipeline.preparation.sources import default_cache, load_data
from vqlso.data.splits import split_people
from vqlso.generators.quantizer import CodebookSettings
from vqlso.hardware import limit_threads
from vqlso.progress import SILENT
from vqlso.training.vqvae import reconstruction_quality, train_vqvae

SHARES = (0.9, 0.1)
UPDATES: tuple[Literal["gradient", "ema"], ...] = ("gradient", "ema")


def main(overrides: Sequence[str]) -> None:
    """Measure every combination on the configured data."""
    config = composed("demo", overrides)
    limit_threads(config.threads or 1)
    cache = Path(config.cache) if config.cache else default_cache()
    data = load_data(config.data, cache / "images", SILENT)
    restricted = data.at_most(config.data.restrict)
    training, held_out = (
        restricted[rows] for rows in split_people(data.people[restricted], SHARES, seed=0)
    )
    settings, how = vqvae_recipe(config.generator, data.images.shape[-1])
    for update, data_init, revival in itertools.product(UPDATES, (False, True), (False, True)):
        codebook = CodebookSettings(update=update, data_init=data_init, revival=revival)
        generator, report = train_vqvae(
            data.images[training],
            replace(settings, codebook=codebook),
            how,
            seed=config.generator.seed,
        )
        quality = reconstruction_quality(generator, data.images[held_out])
        row = {"update": update, "data_init": data_init, "revival": revival}
        figures = {name: round(value, 4) for name, value in quality.items()}
        print(json.dumps(row | figures | {"seconds": round(report.seconds, 1)}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
