"""A direction for smiling in the packaged StyleGAN2, read by the packaged attributes."""

from pathlib import Path

import numpy as np
import pytest

import vqlso
from solvers.directions import (
    DirectionFromSamples,
    DirectionSearch,
    FindsDirection,
    MeanDifference,
    find_direction,
)
from vqlso.editing import EditEvaluation, strips
from vqlso.generators.stylegan2.generator import StyleGAN2
from vqlso.objectives.face_attributes import FaceAttributes
from vqlso.objectives.face_identity import ProceduralIdentity
from vqlso.problems.direction import Direction

WEIGHTS = Path(vqlso.__file__).parent / "weights"


def packaged(role: str) -> Path:
    (path,) = WEIGHTS.glob(f"{role}.safetensors")
    return path


def smiling(space: str, longest: float) -> tuple[Direction, FaceAttributes]:
    generator = StyleGAN2.load(packaged("stylegan2-faces"), truncation_psi=0.7)
    attributes = FaceAttributes.load(packaged("face-attributes-*"))
    smile = attributes.attribute("smile")
    return Direction(generator, smile, space, longest=longest, anchors=2), attributes


@pytest.mark.parametrize(
    ("space", "longest", "radius"), [("w", 3.0, 0.1), ("w+", 9.5, 0.1), ("s", 6.0, 0.05)]
)
def test_local_search_makes_faces_smile(space: str, longest: float, radius: float) -> None:
    problem, _ = smiling(space, longest)
    found = find_direction(problem, DirectionSearch(problem, radius=radius), images=300)
    effect = problem.effect(found.d, anchors=20, seed=1)
    assert effect.raised > 0.02
    assert effect.lowered < -0.02


def test_a_strip_goes_from_less_to_more_and_keeps_who_it_is() -> None:
    problem, attributes = smiling("w", 3.0)
    search: FindsDirection = DirectionFromSamples(problem, MeanDifference(), samples=300)
    d = find_direction(problem, search, images=310, batch=1).d
    faces = problem.edited_space.sample(20, np.random.default_rng(0))
    rows = strips(problem.generator, "w", faces, d)
    levels = attributes(problem.generator.decode(faces, "w"))
    assert rows.shape == (20, 3, 3, 64, 64)
    evaluation = EditEvaluation(
        problem.generator,
        "w",
        attributes,
        attributes.index("smile"),
        ProceduralIdentity.load(packaged("face-identity-*")),
        originals=20,
        strengths=3,
    )
    quality = evaluation.quality(d)
    assert quality.edits == 60
    assert quality.buckets[0].identity.mean > 0.7
    assert quality.buckets[0].others.mean < levels.std(0).mean()
