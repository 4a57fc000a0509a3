"""Random features: the same everywhere, and distances that grow as the faces get worse."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from vqlso.data.faces import procedural_faces
from vqlso.metrics.frechet import features, frechet_distance
from vqlso.metrics.kernel_distance import kernel_distance
from vqlso.metrics.random_features import FEATURES, RandomFeatures

Images = NDArray[np.uint8]
SIDE = 150


@pytest.fixture(scope="module")
def faces() -> tuple[Images, Images, Images]:
    """Two sets of faces that smile, and one of faces that do not."""
    drawn = procedural_faces(2700, 0)
    smiling, serious = drawn.images[drawn.labels >= 3], drawn.images[drawn.labels <= 2]
    assert len(smiling) >= 2 * SIDE
    return smiling[:SIDE], smiling[SIDE : 2 * SIDE], serious[:SIDE]


def distances(reference: Images, others: list[Images], seed: int = 0) -> list[float]:
    network = RandomFeatures(seed)
    base = features(network, reference)
    return [frechet_distance(base, features(network, images)) for images in others]


def test_weights_depend_on_the_seed_alone() -> None:
    images = torch.rand(2, 3, 64, 64)
    state = torch.get_rng_state()
    first = RandomFeatures()(images)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(1)
    assert torch.equal(RandomFeatures()(images), first)
    assert not torch.allclose(RandomFeatures(1)(images), first)
    assert first.shape == (2, FEATURES)
    assert RandomFeatures(7).name == "random convolutions, untrained (seed 7, 64 features, 64 px)"


def test_features_of_a_fixed_picture_stay_as_they_are() -> None:
    # With any change of the weights all earlier distances would lose their meaning.
    wave = torch.sin(torch.arange(3 * 64 * 64) * 0.37).view(1, 3, 64, 64) / 2 + 0.5
    expected = torch.tensor([3.44599, -8.01642, -0.497834, -0.624290])
    torch.testing.assert_close(RandomFeatures()(wave)[0, :4], expected, rtol=1e-3, atol=1e-3)


def test_flat_colours_do_not_count(faces: tuple[Images, Images, Images]) -> None:
    dimmed = faces[0] // 2
    network = RandomFeatures()
    expected = features(network, dimmed)
    np.testing.assert_allclose(features(network, dimmed + 100), expected, rtol=1e-3, atol=1e-3)


def test_noise_moves_faces_away(faces: tuple[Images, Images, Images]) -> None:
    reference, others, _ = faces
    noise = np.random.default_rng(0).normal(size=others.shape)
    worse = [np.clip(others + s * noise, 0, 255).round().astype(np.uint8) for s in (0, 5, 10, 20)]
    found = distances(reference, worse)
    assert found == sorted(found)
    assert found[1] > 2 * found[0]


def test_blur_moves_faces_away(faces: tuple[Images, Images, Images]) -> None:
    reference, others, _ = faces
    worse = [gaussian_filter(others, (0, 0, s, s)) for s in (0, 0.5, 1, 2)]
    found = distances(reference, worse)
    assert found == sorted(found)
    assert found[1] > 2 * found[0]


@pytest.mark.parametrize("seed", [0, 1])
def test_faces_of_other_degrees_move_a_set_away(
    faces: tuple[Images, Images, Images], seed: int
) -> None:
    reference, others, serious = faces
    mixed = [np.concatenate([others[k:], serious[:k]]) for k in (0, 50, 100, SIDE)]
    found = distances(reference, mixed, seed)
    assert found == sorted(found)
    assert found[-1] > 3 * found[0]


def test_the_kernel_distance_sees_it_too(faces: tuple[Images, Images, Images]) -> None:
    network = RandomFeatures()
    smiling, others, serious = (features(network, images) for images in faces)
    assert 0.5 < np.square(smiling).mean() < 5  # where the cube is none of a line
    alike, apart = kernel_distance(smiling, others), kernel_distance(smiling, serious)
    assert abs(alike) < 0.1 * apart
