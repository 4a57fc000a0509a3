"""What does realism change, to the eye and in numbers?

    make bench-inversion_realism

Four faces that the packaged generator was not trained on, inverted by LBFGS with 150 images each,
without realism and with the paper's weight of it: in w, as `vqlso run invert` searches, and in z,
as a photo is searched for that is to be edited. Prints the pixels' term and the discriminator's
score, and writes docs/pictures/inversion-realism.png: the targets, w without and with, z so too.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from benchmarks.inversion_cases import SPACE
from pipeline import pictures
from pipeline.parts.generators import PACKAGED_DISCRIMINATOR, PACKAGED_GAN
from solvers.gradient import LBFGS
from solvers.inversion import invert
from vqlso.data.faces import procedural_faces
from vqlso.generators import load_discriminator, load_generator
from vqlso.hardware import limit_threads
from vqlso.images import to_bytes, to_unit
from vqlso.objectives.criteria import PixelDistance, inspirational
from vqlso.objectives.feature_networks import RandomTaps
from vqlso.problems.target_image import TargetImage

TARGETS, EVALUATIONS, SEED = 4, 150, 1001
PICTURE = Path(__file__).parents[1] / "docs" / "pictures" / "inversion-realism.png"


def main() -> None:
    """Invert the same faces four times."""
    limit_threads(1)
    faces = to_unit(procedural_faces(TARGETS, seed=SEED).images)
    rows = [to_bytes(faces)]
    for space in (SPACE, "z"):
        for weight in (0.0, 1.0):
            images = _inverted(faces, space, weight)
            rows.append(to_bytes(images))
            near, real = _judged(images, faces)
            print(f"{space}, realism {weight:g}: pixels {near:.3f}, discriminator {real:.3f}")
    PICTURE.write_bytes(pictures.png(pictures.grid(np.concatenate(rows), columns=TARGETS)))


def _inverted(faces: Tensor, space: str, weight: float) -> Tensor:
    """(n, 3, H, W), what LBFGS finds for each face."""
    generator = load_generator(PACKAGED_GAN, searched=space)
    criterion = inspirational(
        "l2+features",
        features=RandomTaps(),
        discriminator=load_discriminator(PACKAGED_DISCRIMINATOR),
        realism_weight=weight,
        norm_weight=1 if space == "z" else 0,
    )
    problem = TargetImage(generator, criterion, faces, space)
    evaluations = len(faces) * EVALUATIONS
    solver = LBFGS(problem, evaluations=evaluations, start="best")
    found = invert(problem, solver, evaluations=evaluations, batch=len(faces))
    return generator.decode(found.z, space)


def _judged(images: Tensor, faces: Tensor) -> tuple[float, float]:
    """The pixels' term and the discriminator's score, on average."""
    pixels, discriminator = PixelDistance(), load_discriminator(PACKAGED_DISCRIMINATOR)
    with torch.inference_mode():
        near = pixels.weight * pixels(images, torch.empty(0), faces).mean()
        return float(near), float(discriminator(2 * images - 1).mean())


if __name__ == "__main__":
    main()
