"""Which way of learning the codebook reconstructs best: `python -m benchmarks.codebook --help`.

Trains one VQ-VAE per combination of codebook update, data-driven initialisation and revival, and
prints reconstruction error and perplexity on held-out images, as tabulated in docs/codebook.md.
"""

from __future__ import annotations

import argparse
import itertools
import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vqlso.generators.quantizer import CodebookSettings
from vqlso.generators.vqvae import VQVAESettings
from vqlso.hardware import limit_threads
from vqlso.training.vqvae import VQVAETraining, reconstruction_quality, train_vqvae

HELD_OUT = 1000


def measure(
    images: NDArray[np.uint8], held_out: NDArray[np.uint8], width: int, epochs: int, seed: int
) -> None:
    """Print one JSON line per combination."""
    for update, data_init, revival in itertools.product(
        ("gradient", "ema"), (False, True), (False, True)
    ):
        codebook = CodebookSettings(update=update, data_init=data_init, revival=revival)
        generator, report = train_vqvae(
            images,
            VQVAESettings(width=width, codebook=codebook),
            VQVAETraining(epochs=epochs),
            seed=seed,
        )
        quality = reconstruction_quality(generator, held_out)
        print(
            json.dumps(
                {"update": update, "data_init": data_init, "revival": revival, "seed": seed}
                | {name: round(value, 4) for name, value in quality.items()}
                | {"seconds": round(report.seconds, 1)}
            ),
            flush=True,
        )


def main() -> None:
    """Read images from a .npy file of shape (n, 3, 64, 64) and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("images", type=Path, help=".npy of uint8 images, (n, 3, 64, 64)")
    parser.add_argument("--width", type=int, default=32)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    limit_threads(arguments.threads)
    images = np.load(arguments.images, mmap_mode="r")
    for seed in range(arguments.seeds):
        measure(
            images[HELD_OUT:],
            images[:HELD_OUT],
            arguments.width,
            arguments.epochs,
            seed,
        )


if __name__ == "__main__":
    main()
