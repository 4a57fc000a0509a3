from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from vqlso.data.faces import FaceParameters, procedural_faces, render, sample_parameters
from vqlso.errors import DataError

MOUTH = (slice(None), slice(None), slice(38, 64), slice(12, 52))
BETWEEN_THE_LIPS = (slice(None), slice(None), slice(40, 60), slice(22, 42))


def people(n: int, seed: int = 0) -> FaceParameters:
    return sample_parameters(n, np.random.default_rng(seed))


def smiling(face: FaceParameters, degree: float) -> NDArray[np.int64]:
    """The same people with another degree, as signed integers that can be subtracted."""
    return render(replace(face, degree=np.full(len(face), degree))).astype(np.int64)


@pytest.fixture(scope="module")
def levels() -> list[NDArray[np.int64]]:
    face = people(200)
    return [smiling(face, level) for level in range(6)]


def test_delivers_images_labels_and_people():
    faces = procedural_faces(50, seed=3)
    assert faces.images.shape == (50, 3, 64, 64)
    assert faces.images.dtype == np.uint8
    assert faces.labels.dtype == np.float64
    assert faces.labels.min() >= 0
    assert faces.labels.max() <= 5
    np.testing.assert_array_equal(faces.people, np.arange(50))
    assert faces.name == "faces"
    assert faces.label_origin == "ground truth of the renderer"


def test_the_seed_decides_every_byte():
    first, again, other = (procedural_faces(20, seed) for seed in (5, 5, 6))
    np.testing.assert_array_equal(first.images, again.images)
    np.testing.assert_array_equal(first.labels, again.labels)
    assert first.fingerprint == again.fingerprint
    assert not np.array_equal(first.labels, other.labels)
    assert first.fingerprint != other.fingerprint


def test_a_face_does_not_depend_on_how_many_are_asked_for():
    few, many = procedural_faces(7, seed=1), procedural_faces(40, seed=1)
    np.testing.assert_array_equal(few.images, many.images[:7])
    np.testing.assert_array_equal(few.labels, many.labels[:7])
    assert few.fingerprint != many.fingerprint


@pytest.mark.parametrize("block", [1, 3, 64])
def test_the_block_size_changes_no_pixel(block: int):
    face = people(33)
    np.testing.assert_array_equal(render(face, block=block), render(face))


def test_a_coarse_picture_is_the_fine_one_averaged():
    """Oracle for the anti-aliasing: coverage at 64 pixels against 4x4 supersampling."""
    face = people(30)
    fine = render(face, size=256).reshape(30, 3, 64, 4, 64, 4).astype(np.float64)
    truth, aliased = fine.mean(axis=(3, 5)), fine[:, :, :, 2, :, 2]
    error = np.abs(render(face, size=64) - truth)
    assert error.mean() < 1.2
    assert np.square(error).mean() < 0.3 * np.square(aliased - truth).mean()


@pytest.mark.parametrize("size", [8, 33, 48])
def test_other_sizes(size: int):
    assert procedural_faces(3, seed=0, size=size).images.shape == (3, 3, size, size)


def test_too_few_or_too_small_faces_are_refused():
    with pytest.raises(DataError, match="at least one"):
        procedural_faces(0, seed=0)
    with pytest.raises(DataError, match="at least 8"):
        procedural_faces(1, seed=0, size=4)


def test_degrees_are_skewed_like_celeba_dialog():
    degree = people(20_000).degree
    assert np.mean(degree <= 2) == pytest.approx(0.70, abs=0.02)
    assert np.mean(degree > 4) == pytest.approx(0.04, abs=0.01)
    assert len(np.unique(degree)) == len(degree)


def test_about_one_in_seven_wears_glasses():
    assert people(20_000).glasses.mean() == pytest.approx(0.15, abs=0.01)


def test_no_nuisance_tells_the_degree():
    face = people(20_000)
    for field in fields(face):
        columns = getattr(face, field.name).reshape(len(face), -1)
        for column in columns.T if field.name != "degree" else ():
            r = np.corrcoef(column, face.degree)[0, 1]
            assert abs(r) < 0.035, f"{field.name} correlates with the degree: r = {r:.3f}"


def test_only_the_smile_changes_with_the_degree(levels: list[NDArray[np.int64]]):
    for image in levels[1:]:
        np.testing.assert_array_equal(image[:, :, :12], levels[0][:, :, :12])
        np.testing.assert_array_equal(image[:, :, :, [0, -1]], levels[0][:, :, :, [0, -1]])
        assert np.all(np.abs(image - levels[0])[MOUTH].max(axis=(1, 2, 3)) > 20)


def whitish(image: NDArray[np.int64]) -> NDArray[np.int64]:
    """(n,) pixels around the mouth's middle that are as bright and colourless as teeth."""
    mouth = image[BETWEEN_THE_LIPS]
    bright = mouth.min(axis=1) > 150
    grey = mouth.max(axis=1) - mouth.min(axis=1) < 45
    return (bright & grey).sum(axis=(1, 2))


def dark_red(image: NDArray[np.int64]) -> NDArray[np.int64]:
    """(n,) pixels around the mouth's middle that are as dark and red as the inside of a mouth."""
    mouth = image[BETWEEN_THE_LIPS]
    return ((mouth[:, 1:].max(axis=1) < 60) & (mouth[:, 0] > mouth[:, 1] + 30)).sum(axis=(1, 2))


def test_the_levels_mean_what_they_mean(levels: list[NDArray[np.int64]]):
    light_skin = people(200).skin.mean(axis=1) < 0.6  # on paler skin highlights pass for teeth
    teeth = [whitish(image)[light_skin].mean() for image in levels]
    assert teeth[1] == pytest.approx(teeth[0], abs=0.5)
    assert teeth[1] + 3 < teeth[2]
    assert teeth[2] + 20 < teeth[3]
    inside = [dark_red(image).mean() for image in levels]
    assert inside[3] + 3 < inside[4]
    assert inside[4] + 15 < inside[5]


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), low=st.floats(0, 4.7), step=st.floats(0.3, 5))
def test_a_stronger_smile_is_further_from_the_resting_face(seed: int, low: float, step: float):
    face = people(1, seed)
    rest, weak, strong = (smiling(face, d)[MOUTH] for d in (0.0, low, min(low + step, 5.0)))
    assert np.abs(strong - rest).sum() > np.abs(weak - rest).sum()


def test_the_smile_moves_without_jumps():
    face = people(50)
    for degree in np.arange(0, 5, 0.25):
        change = np.abs(smiling(face, degree + 0.01) - smiling(face, degree))
        assert change.max() <= 16


def test_the_degree_can_be_learnt_from_the_mouth():
    faces = procedural_faces(3000, seed=11)
    mouth = faces.images[MOUTH].reshape(3000, 3, 13, 2, 20, 2).mean(axis=(3, 5))
    x = mouth.reshape(3000, -1) / 255
    x, y = x - x[:2000].mean(axis=0), faces.labels - faces.labels[:2000].mean()
    gram = x[:2000].T @ x[:2000] + 3.0 * np.eye(x.shape[1])
    weights = np.linalg.solve(gram, x[:2000].T @ y[:2000])
    residual = y[2000:] - x[2000:] @ weights
    assert 1 - residual.var() / y[2000:].var() > 0.85


def test_no_single_pixel_gives_the_degree_away():
    faces = procedural_faces(2000, seed=12)
    x = faces.images.reshape(2000, -1).astype(np.float64)
    x = (x - x.mean(axis=0)) / (x.std(axis=0) + 1e-9)
    y = (faces.labels - faces.labels.mean()) / faces.labels.std()
    assert np.square(x.T @ y / 2000).max() < 0.75
