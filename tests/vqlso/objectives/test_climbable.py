"""Scores with gradients: the packaged degree classifier and a discriminator."""

import numpy as np
import pytest
import torch
from torch import Tensor

from pipeline.runs.shelf import PACKAGED
from vqlso.contracts import DifferentiableObjective, Objective
from vqlso.data.faces import procedural_faces
from vqlso.images import to_unit
from vqlso.objectives.climbable import ClimbableDegree, Realness
from vqlso.objectives.degree_classifier import DegreeClassifier


@pytest.fixture(scope="module")
def faces() -> Tensor:
    return to_unit(procedural_faces(6, seed=4).images)


def test_a_degree_is_what_the_classifier_says(faces: Tensor) -> None:
    (path,) = PACKAGED.glob("scorer-*.safetensors")
    classifier = DegreeClassifier.load(path)
    degree = ClimbableDegree(classifier)
    assert isinstance(degree, Objective)
    assert isinstance(degree, DifferentiableObjective)
    assert degree.name == classifier.name
    np.testing.assert_array_equal(degree(faces), classifier(faces))
    images = faces.clone().requires_grad_()
    value = degree.value(images)
    np.testing.assert_allclose(value.detach(), classifier(faces), atol=1e-5)
    value.sum().backward()
    assert images.grad is not None
    step = 0.3 * images.grad / images.grad.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
    change = degree.value(faces + step) - degree.value(faces - step)
    assert change.mean() > 0.1


def test_realness_is_the_discriminator_on_its_own_pixels() -> None:
    seen = []

    def discriminator(pixels: Tensor) -> Tensor:
        seen.append(pixels)
        return pixels.flatten(1).sum(1)

    images = torch.tensor([0.0, 0.5, 1.0]).view(3, 1, 1, 1).expand(3, 3, 2, 2)
    realness = Realness(discriminator)
    assert isinstance(realness, DifferentiableObjective)
    assert realness(images).tolist() == [-12.0, 0.0, 12.0]
    assert (seen[0].min(), seen[0].max()) == (-1, 1)
