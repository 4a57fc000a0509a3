"""Training the attribute regressor and the identity embedding on procedural faces.

Both learn from the factors that the faces were drawn from, so that nothing needs a label.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from vqlso.data.faces import FaceParameters, render, sample_parameters
from vqlso.images import to_unit
from vqlso.objectives.face_attributes import FaceAttributes
from vqlso.objectives.face_identity import ProceduralIdentity, same_person
from vqlso.objectives.factor_network import FactorNetwork
from vqlso.portions import Portion, portion_of
from vqlso.progress import SILENT, Progress
from vqlso.randomness import stream, torch_seed
from vqlso.training.fitting import Checkpointing, Optimisation, fit
from vqlso.training.weighting import epochs

Losses = tuple[Tensor, Mapping[str, Tensor]]
Column = Callable[[FaceParameters], NDArray[np.floating[Any]]]

# Enters the names of the packaged networks: raise it with any change here or in the network.
RECIPE_VERSION = 1
NOISE = 0.1


def _scaled(name: str, low: float, high: float) -> Column:
    return lambda face: np.clip((getattr(face, name) - low) / (high - low), 0, 1)


def _lightness(name: str, low: float, high: float) -> Column:
    return lambda face: np.clip((getattr(face, name).mean(1) - low) / (high - low), 0, 1)


# What is read of each face, and the range that becomes 0 to 1.
ATTRIBUTES: dict[str, Column] = {
    "smile": _scaled("degree", 0, 5),
    "skin": _lightness("skin", 0.3, 0.9),
    "hair": _lightness("hair", 0.08, 0.68),
    "long_hair": _scaled("hair_end", -5, 35),
    "glasses": _scaled("glasses", 0, 1),
    "beard": _scaled("beard", 0, 0.9),
    "face_width": _scaled("face_width", 20.5, 24),
    "eye_height": _scaled("eye_height", 2.1, 3.2),
    "brow_thickness": _scaled("brow_thickness", 0.7, 1.5),
    "age": _scaled("age", 0, 1),
    "turned": _scaled("yaw", -1, 1),
    "tilted": _scaled("half_roll", -0.055, 0.055),
    "light_from_right": _scaled("light_x", -0.22, 0.22),
    "warm_light": _scaled("warmth", -1, 1),
    "background": _lightness("background", 0.45, 0.85),
}

# What a person keeps whatever the picture. The rest of the parameters belong to the picture.
IDENTITY = (
    "face_width",
    "face_height",
    "jaw",
    "skin",
    "hair",
    "iris",
    "eye_spacing",
    "eye_width",
    "eye_height",
    "eye_tilt",
    "brow_height",
    "brow_thickness",
    "brow_arch",
    "nose_length",
    "nose_width",
    "mouth_y",
    "mouth_width",
    "lip_fullness",
    "age",
)


@dataclass(frozen=True)
class FactorTraining:
    """How a network is trained on the factors of faces.

    Attributes:
        faces: people, one picture each.
        image_size: H = W.
        epochs: passes over them.
        batch_size: images a step.
        optimisation: step size, decay and weight decay.
    """

    faces: int = 16_000
    image_size: int = 64
    epochs: int = 12
    batch_size: int = 64
    optimisation: Optimisation = Optimisation(3e-3, "cosine", weight_decay=0.02)


def attribute_levels(face: FaceParameters) -> NDArray[np.float32]:
    """(n, attributes) float32 in [0, 1], in the order of `ATTRIBUTES`."""
    return np.stack([column(face) for column in ATTRIBUTES.values()], axis=1).astype(np.float32)


def identity_factors(face: FaceParameters) -> NDArray[np.float32]:
    """(n, factors) float32 in the order of `IDENTITY`; of a colour the mean of its channels."""
    columns = [getattr(face, name) for name in IDENTITY]
    return np.stack([c.mean(1) if c.ndim > 1 else c for c in columns], axis=1).astype(np.float32)


def other_pictures(face: FaceParameters, rng: np.random.Generator) -> FaceParameters:
    """The same people in other pictures: all but their identity is drawn anew."""
    drawn = sample_parameters(len(face), rng)
    kept = {name: getattr(face, name) for name in IDENTITY}
    return replace(drawn, **kept)


def train_face_attributes(
    training: FactorTraining = FactorTraining(),
    *,
    seed: int = 0,
    checkpointing: Checkpointing | None = None,
    progress: Progress = SILENT,
) -> FaceAttributes:
    """The regressor of `ATTRIBUTES`, fitted by cross-entropy to levels in [0, 1]."""
    face = sample_parameters(training.faces, stream(seed, "attribute faces"))
    network = _fitted(
        face, attribute_levels(face), _cross_entropy, training, seed, checkpointing, progress
    )
    return FaceAttributes(network, tuple(ATTRIBUTES), training.image_size)


def train_face_identity(
    training: FactorTraining = FactorTraining(),
    *,
    seed: int = 0,
    checkpointing: Checkpointing | None = None,
    progress: Progress = SILENT,
) -> ProceduralIdentity:
    """The embedding, fitted by squared error to the standardised factors of `IDENTITY`."""
    face = sample_parameters(training.faces, stream(seed, "identity faces"))
    factors = identity_factors(face)
    standardised = (factors - factors.mean(0)) / factors.std(0)
    network = _fitted(face, standardised, _squared_error, training, seed, checkpointing, progress)
    return ProceduralIdentity(network, len(IDENTITY), training.image_size)


def recipe(kind: str, training: FactorTraining = FactorTraining(), seed: int = 0) -> dict[str, Any]:
    """What decides the weights, as JSON values; `kind` is "attributes" or "identity"."""
    settings = {field.name: getattr(training, field.name) for field in fields(training)}
    settings["optimisation"] = vars(training.optimisation)
    return {"kind": kind, "version": RECIPE_VERSION, "seed": seed, **settings}


def attribute_quality(
    attributes: FaceAttributes, faces: int = 2000, *, seed: int = 1
) -> dict[str, float]:
    """Correlation of each attribute with the truth, on faces that were not trained on."""
    face = sample_parameters(faces, stream(seed, "held-out faces"))
    found = attributes(to_unit(render(face, attributes.image_size)))
    truth = attribute_levels(face)
    return {
        name: float(np.corrcoef(found[:, column], truth[:, column])[0, 1])
        for column, name in enumerate(ATTRIBUTES)
    }


def identity_quality(
    identity: ProceduralIdentity, faces: int = 2000, *, seed: int = 1
) -> dict[str, float]:
    """How well pictures of one person are told from those of two.

    Returns:
        The mean cosine of two pictures of one person and of two people, the share of pairs of
        both kinds that are in the right order (area under the ROC curve), and the correlation of
        each factor with the truth.
    """
    face = sample_parameters(faces, stream(seed, "held-out faces"))
    again = other_pictures(face, stream(seed, "other pictures"))
    pictures = [to_unit(render(each, identity.image_size)) for each in (face, again)]
    first, second = (identity(each) for each in pictures)
    same = same_person(first, second).numpy()
    other = same_person(first, second.roll(1, 0)).numpy()
    found, truth = identity.estimates(pictures[0]).numpy(), identity_factors(face)
    return {
        "same_person": float(same.mean()),
        "two_people": float(other.mean()),
        "right_order": float((same[:, None] > other[None]).mean()),
    } | {
        name: float(np.corrcoef(found[:, column], truth[:, column])[0, 1])
        for column, name in enumerate(IDENTITY)
    }


def _fitted(
    face: FaceParameters,
    targets: NDArray[np.float32],
    error: Callable[[Tensor, Tensor], Tensor],
    training: FactorTraining,
    seed: int,
    checkpointing: Checkpointing | None,
    progress: Progress,
) -> FactorNetwork:
    images = render(face, training.image_size)
    with torch.random.fork_rng():
        torch.manual_seed(torch_seed(seed, "factor network"))
        network = FactorNetwork(targets.shape[1])
    fit(
        network,
        partial(_loss, targets, error),
        lambda rows: images[rows],
        epochs(len(images), training.epochs, training.batch_size, stream(seed, "factor batches")),
        seed=torch_seed(seed, "factor fit"),
        optimisation=training.optimisation,
        checkpointing=checkpointing,
        progress=progress,
        description="learning the factors of faces",
    )
    return network


def _loss(
    targets: NDArray[np.float32],
    error: Callable[[Tensor, Tensor], Tensor],
    module: nn.Module,
    pixels: Tensor,
    rows: NDArray[np.int64],
) -> Losses:
    wanted = torch.from_numpy(targets[rows]).to(pixels.device)
    value = error(module(_degraded(pixels)).float(), wanted)
    return value, {"loss": value.detach()}


def _cross_entropy(outputs: Tensor, wanted: Tensor) -> Tensor:
    return F.binary_cross_entropy_with_logits(outputs, wanted)


def _squared_error(outputs: Tensor, wanted: Tensor) -> Tensor:
    return F.mse_loss(outputs, wanted)


def _degraded(pixels: Tensor) -> Tensor:
    """Blurred and noisy to a random degree: the networks must read what a generator draws."""
    portion = portion_of(len(pixels))
    smooth = F.avg_pool2d(pixels, 5, 1, 2, count_include_pad=False)
    blurred = torch.lerp(pixels, smooth, _uniform(portion, pixels).square())
    noise = portion.drawn(lambda n: torch.randn(n, *pixels.shape[1:], device=pixels.device))
    return blurred + NOISE * _uniform(portion, pixels).square() * noise


def _uniform(portion: Portion, like: Tensor) -> Tensor:
    return portion.drawn(lambda n: torch.rand(n, 1, 1, 1, device=like.device))
