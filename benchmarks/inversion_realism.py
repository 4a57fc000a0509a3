"""What does realism change, to the eye and in numbers?

    make bench-inversion_realism

Four faces that the packaged generator was not trained on, inverted by LBFGS with 150 images each,
without realism and with the paper's weight of it. Prints the pixels' term and the
discriminator's score, and writes docs/pictures/inversion-realism.png: the targets, without, with.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from benchmarks.inversion_cases import SPACE
from pipeline.parts.generators import PACKAGED_DISCRIMINATOR, PACKAGED_GAN
from pipeline.report import pictures
from solvers.gradient import LBFGS
from solvers.inversion import invert
from vqlso.data.faces import procedural_faces
from vqlso.generators import load_discriminator, load_generator
from vqlso.hardware import limit_threads
from vqlso.images import to_bytes, to_unit
from vqlso.objectives.criteria import PixelDistance, inspirational
from vqlso.objectives.feature_networks import RandomTaps
from vqlso.target_problem import TargetImage

TARGETS, EVALUATIONS, SEED = 4, 150, 1001
PICTURE = Path(__file__).parents[1] / "docs" / "pictures" / "inversion-realism.png"


def main() -> None:
    """Invert the same faces twice."""
    limit_threads(1)
    generator = load_generator(PACKAGED_GAN, searched=SPACE)
    discriminator = load_discriminator(PACKAGED_DISCRIMINATOR)
    faces = to_unit(procedural_faces(TARGETS, seed=SEED).images)
    rows, pixels = [to_bytes(faces)], PixelDistance()
    for weight in (0.0, 1.0):
        criterion = inspirational(
            "l2+features",
            features=RandomTaps(),
            discriminator=discriminator,
            realism_weight=weight,
            norm_weight=0,
        )
        problem = TargetImage(generator, criterion, faces, SPACE)
        evaluations = TARGETS * EVALUATIONS
        solver = LBFGS(problem, evaluations=evaluations, start="best")
        found = invert(problem, solver, evaluations=evaluations, batch=TARGETS)
        images = generator.decode(found.z, SPACE)
        rows.append(to_bytes(images))
        with torch.inference_mode():
            near = pixels.weight * pixels(images, torch.empty(0), faces).mean()
            real = discriminator(2 * images - 1).mean()
        print(f"realism {weight:g}: pixels {near:.3f}, discriminator {real:.3f}", flush=True)
    PICTURE.write_bytes(pictures.png(pictures.grid(np.concatenate(rows), columns=TARGETS)))


if __name__ == "__main__":
    main()
