"""Images a second in training the VQ-VAE: ours, a plain float32 loop, and another quantiser.

    make bench-training
    make bench-training ARGS='--widths 32 --threads 1 --rounds 3'

Ours is `finetune_vqvae`, the retraining of a run; a step of training from nothing is the same. The
peers decode PNG files, ours holds 8-bit pixels in memory, as all its data sources do. The second
table keeps one core busy with another process; "threads inside operations" is our loop without
shards, with PyTorch's own threads. The third trains all from nothing and tells what was learnt.
"""

from __future__ import annotations

import argparse
import tempfile
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from unittest.mock import patch

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from benchmarks.busy import busy_core
from benchmarks.options import command_of, frame_options, settings_of, whole_numbers
from benchmarks.paired import Case, Contender, measure
from benchmarks.recording import Recording
from benchmarks.training_peers import (
    PeerQuantizerVQVAE,
    PlainTraining,
    PlainVQVAE,
    PngFolder,
    write_pngs,
)
from vqlso.data.faces import procedural_faces
from vqlso.generators.vqvae import VQVAE, VQVAENetwork, VQVAESettings
from vqlso.images import to_unit
from vqlso.randomness import stream
from vqlso.training.fitting import Optimisation
from vqlso.training.vqvae import VQVAETraining, finetune_vqvae, train_vqvae
from vqlso.training.weighting import epochs

OURS, PLAIN, PEER = "ours", "plain float32 loop", "vector-quantize-pytorch"
WIDTHS = {32: "demo's width (32)", 64: "paper's width (64)"}
HELD_OUT = 256
PACKAGES = ("torch", "lightning-fabric", "numpy", "vector-quantize-pytorch", "pillow")
Images = NDArray[np.uint8]


def network_of(width: int) -> VQVAENetwork:
    """The same weights whenever it is asked for."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return VQVAENetwork(VQVAESettings(width=width))


def ours(network: VQVAENetwork, images: Images, batch_size: int) -> Contender:
    """One epoch of fine-tuning, always from the same start."""
    generator = VQVAE(network)
    batches = epochs(len(images), 1, batch_size, stream(0, "training benchmark"))
    return lambda: finetune_vqvae(generator, lambda rows: images[rows], batches, seed=0)


def unsharded(network: VQVAENetwork, images: Images, batch_size: int) -> Contender:
    """Our loop with all threads inside every operation."""
    whole = patch("vqlso.training.vqvae.sharded", lambda *_: nullcontext())
    return whole(ours(network, images, batch_size))


HOW = {OURS: ours, "threads inside operations": unsharded}


def throughput(
    images: Images, files: PngFolder, width: int, threads: int, options: argparse.Namespace
) -> Case:
    """Ours beside its peers with so many threads."""
    torch.set_num_threads(threads)
    batch = options.batch_size

    def plain(model: nn.Module) -> Contender:
        return PlainTraining(model, files, batch, Optimisation().learning_rate).epoch

    return measure(
        _label(width, threads),
        {
            OURS: ours(network_of(width), images, batch),
            PLAIN: plain(PlainVQVAE(network_of(width))),
            PEER: plain(PeerQuantizerVQVAE(network_of(width), batch)),
        },
        rounds=options.rounds,
        table="Training against peers",
        work=len(images),
        unit="images",
    )


def contention(
    images: Images, width: int, threads: int, how: str, options: argparse.Namespace
) -> Case:
    """The same steps with all cores free and with one kept busy."""
    torch.set_num_threads(threads)
    step = HOW[how](network_of(width), images[: 2 * options.batch_size], options.batch_size)

    def timed(busy: bool) -> float:
        with busy_core() if busy else nullcontext():
            began = perf_counter()
            step()
            return perf_counter() - began

    return measure(
        _label(width, threads, how),
        {"all cores free": lambda: timed(False), "one core busy": lambda: timed(True)},
        rounds=options.rounds,
        table="One core kept busy by another process",
        work=2 * options.batch_size,
        unit="images",
    )


def learnt(images: Images, width: int, threads: int, options: argparse.Namespace) -> Case:
    """All trained from nothing, once, and their errors on images that none has seen."""
    torch.set_num_threads(threads)
    seen, held_out = images[HELD_OUT:], images[:HELD_OUT]
    batch = options.batch_size
    models: dict[str, nn.Module] = {
        PLAIN: PlainVQVAE(network_of(width)),
        PEER: PeerQuantizerVQVAE(network_of(width), batch),
    }
    errors: dict[str, float] = {}

    def train_ours() -> None:
        how = VQVAETraining(options.epochs, batch)
        generator, _ = train_vqvae(seen, VQVAESettings(width=width), how, seed=0)
        errors[OURS] = reconstruction_error(PlainVQVAE(generator.network), held_out)

    def train_peer(name: str, files: PngFolder) -> float:
        training = PlainTraining(models[name], files, batch, Optimisation().learning_rate)
        began = perf_counter()
        for _ in range(options.epochs):
            training.epoch()
        taken = perf_counter() - began
        errors[name] = reconstruction_error(models[name], held_out)
        return taken

    with tempfile.TemporaryDirectory() as folder:
        files = write_pngs(seen, Path(folder))
        case = measure(
            f"{_label(width, threads)}, {options.epochs} epochs of {len(seen):,} images",
            {
                OURS: train_ours,
                PLAIN: lambda: train_peer(PLAIN, files),
                PEER: lambda: train_peer(PEER, files),
            },
            rounds=1,
            warmups=0,
            table="Trained from nothing",
        )
    return replace(case, facts={f"error, {name}": errors[name] for name in case.seconds})


@torch.no_grad()
def reconstruction_error(model: nn.Module, images: Images) -> float:
    """Mean squared error on pixels in [-1, 1], in float32."""
    pixels = to_unit(images).mul(2).sub(1)
    reconstruction, _ = model.eval()(pixels)
    return float((reconstruction - pixels).square().mean())


def _label(width: int, threads: int, how: str = OURS) -> str:
    plural = "" if threads == 1 else "s"
    suffix = "" if how == OURS else f", {how}"
    return f"{WIDTHS.get(width, f'width {width}')}, {threads} thread{plural}{suffix}"


def _parsed() -> argparse.Namespace:
    parser = frame_options(__doc__)
    parser.add_argument("--widths", type=whole_numbers, default=[32, 64])
    parser.add_argument("--threads", type=whole_numbers, default=[1, 2])
    parser.add_argument("--images", type=int, default=640, help="a measurement")
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--epochs", type=int, default=20, help="of the training from nothing")
    return parser.parse_args()


def main() -> None:
    """Measure all three tables."""
    options = _parsed()
    images = procedural_faces(max(options.images, HELD_OUT + 1024), seed=0).images
    few = images[: options.images]
    with (
        tempfile.TemporaryDirectory() as folder,
        Recording(
            "training", command_of("training"), settings_of(options), PACKAGES, options.results
        ) as recording,
    ):
        files = write_pngs(few, Path(folder))
        for width in options.widths:
            for threads in options.threads:
                recording.add(throughput(few, files, width, threads, options))
        for width in options.widths:
            for threads in options.threads:
                for how in HOW if threads > 1 else [OURS]:
                    recording.add(contention(few, width, threads, how, options))
        recording.add(learnt(images, min(options.widths), max(options.threads), options))


if __name__ == "__main__":
    main()
