"""What is trained on one process and on several: `distributed_worker.py PROGRAM FOLDER`."""

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from time import sleep

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray
from torch import Tensor, nn

from vqlso.data.faces import procedural_faces
from vqlso.errors import TrainingError
from vqlso.generators.quantizer import CodebookSettings
from vqlso.generators.vqvae import VQVAE, VQVAENetwork, VQVAESettings
from vqlso.objectives.degree_classifier import DegreeClassifier
from vqlso.objectives.scorer_networks import ARCHITECTURES
from vqlso.progress import SILENT, Advance, Progress
from vqlso.training import fitting
from vqlso.training.distributed import lead_or_follow
from vqlso.training.fitting import Checkpointing, Loss, Optimisation, fit
from vqlso.training.scorer import ScorerTraining, train_scorer
from vqlso.training.vqvae import VQVAETraining, finetune_vqvae, train_vqvae, vqvae_loss
from vqlso.training.weighting import rank_weights, weighted_draws

# What is compared is the order of sums; bf16 would round a thousand times more than it does.
PRECISION = "32-true"
FACES = procedural_faces(200, seed=0, size=32)
EMA = CodebookSettings()
# Not from k-means centres: all gradients there are rounding, of which Adam makes whole steps.
GRADIENT = CodebookSettings("gradient", data_init=False)
INTERRUPTED_AT = 25
PATIENCE = 60.0  # seconds
LACK_OF_MEMORY = 137


def trained(
    codebook: CodebookSettings = EMA,
    checkpointing: Checkpointing | None = None,
    progress: Progress = SILENT,
) -> VQVAE:
    """42 steps on 33 images each, but for the 2 that are left at the end of an epoch."""
    return train_vqvae(
        FACES.images,
        VQVAESettings(32, 8, 32, 8, codebook=codebook),
        VQVAETraining(epochs=6, batch_size=33, optimisation=Optimisation(3e-3)),
        seed=0,
        checkpointing=checkpointing,
        progress=progress,
    )[0]


def retrained(generator: VQVAE) -> VQVAE:
    """On weighted samples; the last batch is a single image, which one process goes without."""
    batches = weighted_draws(
        rank_weights(FACES.labels, 1e-2), 20 * 16 + 1, 16, np.random.default_rng(0)
    )
    return finetune_vqvae(generator, lambda rows: FACES.images[rows], batches, seed=1)[0]


def scorer(architecture: str) -> DegreeClassifier:
    rows = np.arange(200)
    training = ScorerTraining(epochs=4, batch_size=64)
    return train_scorer(FACES, rows[:150], rows[150:], architecture, training, seed=0)


def checkpointing(folder: Path) -> Checkpointing:
    return Checkpointing(folder / "fit.state", every=10)


class Waiting:
    """Progress that waits for Ctrl-C in the midst of a training."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @contextmanager
    def task(self, description: str, total: int) -> Iterator[Advance]:
        done = 0

        def advance(steps: int) -> None:
            nonlocal done
            done += steps
            if done == INTERRUPTED_AT:
                (self.folder / "waiting").touch()
                # Something the other process has no part in, as where a step is left unfinished.
                work = dist.all_reduce(torch.ones(1), async_op=True)
                sleep(PATIENCE)
                work.wait()

        yield advance


def small_fit(loss: Loss) -> nn.Module:
    network = VQVAENetwork(VQVAESettings(32, 8, 32, 8))
    fit(network, loss, lambda rows: FACES.images[rows], [np.arange(16)] * 3, seed=0)
    return network


def deadly_loss(
    module: nn.Module, pixels: Tensor, rows: NDArray[np.int64]
) -> tuple[Tensor, Mapping[str, Tensor]]:
    """Ends the second process as the system does when memory runs out."""
    if dist.is_initialized() and dist.get_rank() == 1:
        os._exit(LACK_OF_MEMORY)
    return vqvae_loss(module, pixels, rows)


def train_everything_until_interrupted(folder: Path) -> None:
    generator = trained()
    generator.save(folder / "ema")
    retrained(generator).save(folder / "retrained")
    trained(GRADIENT).save(folder / "gradient")
    for architecture in ARCHITECTURES:
        scorer(architecture).save(folder / architecture)
    try:
        trained(EMA, checkpointing(folder), Waiting(folder))
    except KeyboardInterrupt:
        sleep(1)  # the second signal arrives now
        (folder / "interrupted").touch()
        raise


def resume_and_lose_the_other(folder: Path) -> None:
    trained(EMA, checkpointing(folder)).save(folder / "resumed")
    try:
        small_fit(deadly_loss)
    except TrainingError as error:
        (folder / "message").write_text(str(error))
    assert not dist.is_initialized()
    small_fit(deadly_loss)  # alone


PROGRAMS: dict[str, Callable[[Path], None]] = {
    "train": train_everything_until_interrupted,
    "resume": resume_and_lose_the_other,
}


if __name__ == "__main__":
    # The first process's, which the others are told.
    fitting.fabric_precision = lambda: PRECISION
    program = PROGRAMS[sys.argv[1]]
    lead_or_follow(lambda: program(Path(sys.argv[2])))
