"""What is inverted: the targets of paper 001, section IV-B, for the packaged generator."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from pipeline.parts.generators import PACKAGED_GAN
from vqlso.contracts import Generator
from vqlso.data.faces import procedural_faces
from vqlso.data.textures import procedural_textures
from vqlso.generators import load_generator
from vqlso.images import to_unit
from vqlso.objectives.criteria import inspirational
from vqlso.objectives.feature_networks import RandomTaps
from vqlso.problems.target_image import TargetImage
from vqlso.problems.target_pictures import drawn_targets

SPACE = "w"
# The packaged generator was trained on the first 30,000 faces of seed 0.
TRAINING_SEED, PILOT_SEED = 0, 1002

CASES: dict[str, Callable[[Generator, int], Tensor]] = {
    "reconstruction": lambda generator, n: drawn_targets(generator, n, space=SPACE, seed=0)[0],
    "semi-specified": lambda _, n: to_unit(procedural_faces(n, seed=TRAINING_SEED).images),
    "misspecified": lambda _, n: to_unit(procedural_textures(n, seed=0).images),
    # No column of the table: step sizes are chosen on them.
    "pilot": lambda _, n: to_unit(procedural_faces(n, seed=PILOT_SEED).images),
}


def problem_of(case: str, targets: int) -> TargetImage:
    """The case's targets under pixels and untrained features (table I's "L2 + VGG").

    Realism is left out: with it, the criterion of an image that was found again is not 0.
    """
    generator = load_generator(PACKAGED_GAN, searched=SPACE)
    criterion = inspirational("l2+features", features=RandomTaps(), norm_weight=0)
    return TargetImage(generator, criterion, CASES[case](generator, targets), SPACE)
