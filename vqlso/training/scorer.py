"""Training a degree classifier on whichever labelled images are in use."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from torch import Tensor, nn
from torch.nn import functional as F

from vqlso.data.image_set import ImageSet
from vqlso.errors import DataError
from vqlso.images import to_unit
from vqlso.objectives.degree import LEVELS, on_degree_scale
from vqlso.objectives.degree_classifier import DegreeClassifier, ScorerSettings
from vqlso.objectives.scorer_networks import ARCHITECTURES
from vqlso.portions import Portion, portion_of
from vqlso.progress import SILENT, Progress
from vqlso.randomness import stream, torch_seed
from vqlso.training.fitting import Checkpointing, Fetch, Optimisation, fit
from vqlso.training.weighting import epochs

SHIFT = 3  # pixels: aligned faces still sit a few pixels apart
BLUR_REACH = 4  # pixels
LEAST_BLUR = 0.05  # pixels: as good as none
TEMPERATURES = (0.25, 4.0)

# Enters the names of trained networks (pipeline/runs/shelf.py), so that no run takes a network that
# other code made for its own. Raise it with any change here, in fitting.py or in the network's
# architecture after which the same recipe trains other weights; then train the packaged networks
# anew (vqlso/weights/README.md).
RECIPE_VERSION = 1

Losses = tuple[Tensor, Mapping[str, Tensor]]


@dataclass(frozen=True)
class ScorerTraining:
    """How a scorer is trained.

    Attributes:
        epochs: passes over its people's images, of all degrees.
        batch_size: images a step.
        optimisation: step size, decay and weight decay.
        blur: largest deviation of the Gaussian blur that degrades images, pixels; 0 for none.
        noise: largest deviation of the pixel noise, on [-1, 1].
    """

    epochs: int = 16
    batch_size: int = 128
    optimisation: Optimisation = Optimisation(2e-3, "cosine", weight_decay=0.02)
    blur: float = 2.0
    noise: float = 0.1


def train_scorer(
    data: ImageSet,
    rows: NDArray[np.int64],
    calibration_rows: NDArray[np.int64],
    architecture: str,
    training: ScorerTraining,
    *,
    seed: int,
    checkpointing: Checkpointing | None = None,
    progress: Progress = SILENT,
) -> DegreeClassifier:
    """A scorer trained on `rows` and temperature-calibrated on `calibration_rows`.

    Args:
        data: images and labels; the labels' range becomes the scorer's scale, except that
            degrees are always on 0..5.
        rows: training images, all degrees.
        calibration_rows: images of people who are not among the training people.
        architecture: "residual" or "plain".
        training: epochs, batch and optimiser.
        seed: of weights, order and augmentation.
        checkpointing: where an interrupted training continues.
        progress: shows the steps.

    Raises:
        DataError: all labels are the same.
    """
    lowest, highest = _scale(data)
    settings = ScorerSettings(architecture, data.images.shape[-1], lowest, highest)
    with torch.random.fork_rng():
        torch.manual_seed(torch_seed(seed, f"{architecture} weights"))
        network = ARCHITECTURES[architecture]()
    targets = level_targets(data.labels, lowest, highest)
    fetch: Fetch = lambda batch: data.images[rows[batch]]  # noqa: E731
    fit(
        network,
        _LevelLoss(targets[rows], training),
        fetch,
        epochs(len(rows), training.epochs, training.batch_size, stream(seed, architecture)),
        seed=torch_seed(seed, f"{architecture} fit"),
        optimisation=training.optimisation,
        checkpointing=checkpointing,
        progress=progress,
        description=f"training the {architecture} scorer",
    )
    scorer = DegreeClassifier(network, settings)
    return _calibrated(scorer, data.images[calibration_rows], targets[calibration_rows])


def level_targets(
    labels: NDArray[np.float64], lowest: float, highest: float
) -> NDArray[np.float32]:
    """(n,) labels -> (n, 6) class probabilities whose weighted mean is the label.

    A degree between two levels is shared between them, so that continuous labels train the same
    classifier as CelebA-Dialog's whole degrees.
    """
    level = (labels - lowest) / (highest - lowest) * (LEVELS - 1)
    distance = np.abs(level[:, None] - np.arange(LEVELS))
    return np.asarray(np.clip(1 - distance, 0, 1), dtype=np.float32)


def recall_by_level(
    degrees: NDArray[np.float64], labels: NDArray[np.float64], levels: int = LEVELS
) -> dict[int, float]:
    """Share of the images of each labelled level whose estimated degree rounds to it."""
    true = np.rint(labels).astype(int)
    return {
        level: float(np.mean(np.rint(degrees[true == level]) == level))
        for level in range(levels)
        if np.any(true == level)
    }


def scorer_quality(
    scorer: DegreeClassifier, images: NDArray[np.uint8], labels: NDArray[np.float64]
) -> dict[str, float]:
    """Correlation, mean absolute error, the scale, and recall by level on the given images."""
    degrees = scorer(to_unit(images))
    to_levels = (LEVELS - 1) / (scorer.settings.highest - scorer.settings.lowest)
    recall = recall_by_level(
        (degrees - scorer.settings.lowest) * to_levels,
        (labels - scorer.settings.lowest) * to_levels,
    )
    return {
        "correlation": float(np.corrcoef(degrees, labels)[0, 1]),
        "mean_absolute_error": float(np.abs(degrees - labels).mean()),
        "lowest": scorer.settings.lowest,
        "highest": scorer.settings.highest,
    } | {f"recall_{level}": share for level, share in recall.items()}


@dataclass(frozen=True)
class _LevelLoss:
    """Cross-entropy of augmented images; no closure, so that other processes can be sent it.

    Attributes:
        targets: (n, 6) float32 class probabilities.
        training: how images are augmented.
    """

    targets: NDArray[np.float32]
    training: ScorerTraining

    def __call__(self, module: nn.Module, pixels: Tensor, rows: NDArray[np.int64]) -> Losses:
        target = torch.from_numpy(self.targets[rows]).to(pixels.device)
        value = F.cross_entropy(module(_augment(pixels, self.training)).float(), target)
        return value, {"cross_entropy": value.detach()}


def _scale(data: ImageSet) -> tuple[float, float]:
    lowest, highest = float(data.labels.min()), float(data.labels.max())
    if on_degree_scale(data.labels):
        return 0.0, float(LEVELS - 1)
    if not lowest < highest:
        raise DataError(
            f"All labels of the data set '{data.name}' are {lowest}: a scorer can only learn from "
            "labels that differ."
        )
    return lowest, highest


def _augment(pixels: Tensor, training: ScorerTraining) -> Tensor:
    """Mirror, move, relight and degrade: changes that leave the degree as it is.

    Degraded, because scorers must read images as a generator draws them. Trained on sharp faces
    alone, both read reconstructions badly although the degree is still there (docs/choices.md).
    """
    n, _, height, width = pixels.shape
    portion = portion_of(n)
    mirrored = torch.where(_uniform(portion, pixels) < 0.5, pixels.flip(3), pixels)
    padded = F.pad(mirrored, (SHIFT,) * 4, mode="replicate")
    down, right = (int(torch.randint(2 * SHIFT + 1, ())) for _ in range(2))
    moved = padded[:, :, down : down + height, right : right + width]
    lit = moved * (0.9 + 0.2 * _uniform(portion, pixels)) + 0.2 * (_uniform(portion, pixels) - 0.5)
    noise = training.noise * _uniform(portion, pixels) * _normal(portion, lit)
    degraded = torch.lerp(lit, _blurred(lit, training.blur), _uniform(portion, pixels)) + noise
    return degraded.contiguous(memory_format=torch.channels_last)


def _blurred(pixels: Tensor, most: float) -> Tensor:
    """Gaussian blur of one random width for the whole batch."""
    sigma = most * float(torch.rand(())) + LEAST_BLUR
    offsets = torch.arange(-BLUR_REACH, BLUR_REACH + 1, device=pixels.device)
    kernel = torch.exp(-0.5 * (offsets / sigma) ** 2)
    kernel = (kernel / kernel.sum()).to(pixels.dtype).expand(3, 1, -1)
    padded = F.pad(pixels, (BLUR_REACH,) * 4, mode="replicate")
    rows = F.conv2d(padded, kernel[:, :, :, None], groups=3)
    return F.conv2d(rows, kernel[:, :, None, :], groups=3)


def _uniform(portion: Portion, like: Tensor) -> Tensor:
    return portion.drawn(lambda n: torch.rand(n, 1, 1, 1, device=like.device))


def _normal(portion: Portion, like: Tensor) -> Tensor:
    def draw(n: int) -> Tensor:
        # torch draws other numbers for another order in memory.
        empty = torch.empty(n, *like.shape[1:], memory_format=torch.channels_last)
        return torch.randn_like(empty, device=like.device)

    return portion.drawn(draw)


def _calibrated(
    scorer: DegreeClassifier, images: NDArray[np.uint8], targets: NDArray[np.float32]
) -> DegreeClassifier:
    """Temperature scaling (Guo et al. 2017): the logits' scale that explains held-out labels."""
    batch = to_unit(images)
    logits = torch.cat([scorer.logits(part) for part in torch.split(batch, scorer.batch_size)])
    wanted = torch.from_numpy(targets)

    def surprise(temperature: float) -> float:
        return float(F.cross_entropy(logits.cpu() / temperature, wanted))

    best = minimize_scalar(surprise, bounds=TEMPERATURES, method="bounded")
    return DegreeClassifier(
        scorer.network, replace(scorer.settings, temperature=float(best.x)), scorer.batch_size
    )
