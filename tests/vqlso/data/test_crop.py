import sys
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

from vqlso.data.crop import CENTRE, CENTRE_SQUARE, CentreCrop, DetectorCrop, cropped
from vqlso.errors import DataError, MissingExtraError


def noise(width: int, height: int) -> Image.Image:
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


@pytest.mark.parametrize(
    ("width", "height", "box"),
    [(178, 218, (25, 57, 153, 185)), (89, 109, (12, 28, 76, 92))],
)
def test_aligned_celeba_is_cropped_to_the_face_at_both_sizes(
    width: int, height: int, box: tuple[int, int, int, int]
) -> None:
    assert CENTRE.box(noise(width, height)) == box


def test_half_size_celeba_at_64_pixels_is_copied_pixel_by_pixel() -> None:
    picture = noise(89, 109)
    expected = np.asarray(picture)[28:92, 12:76].transpose(2, 0, 1)
    np.testing.assert_array_equal(cropped(picture, CENTRE, 64), expected)


def test_shrinking_takes_the_mean_over_each_area() -> None:
    picture = noise(178, 218)
    square = np.asarray(picture)[57:185, 25:153].astype(float)
    expected = square.reshape(64, 2, 64, 2, 3).mean(axis=(1, 3)).transpose(2, 0, 1)
    np.testing.assert_allclose(cropped(picture, CENTRE, 64), expected, atol=1)


def test_centre_square_is_as_large_as_the_shorter_edge() -> None:
    assert CENTRE_SQUARE.box(noise(50, 30)) == (10, 0, 40, 30)
    assert CENTRE_SQUARE.box(noise(30, 50)) == (0, 10, 30, 40)


def test_a_square_that_would_stick_out_is_moved_inside() -> None:
    assert CentreCrop(share=0.5, centre=(0.0, 1.0)).box(noise(40, 60)) == (0, 40, 20, 60)


def test_pictures_that_are_not_aligned_are_refused_by_size() -> None:
    with pytest.raises(DataError, match="200x200 pixels where 178x218 or 89x109"):
        cropped(noise(200, 200), CENTRE, 64)


def test_pictures_are_never_enlarged() -> None:
    with pytest.raises(DataError, match="64 pixels, fewer than the 65"):
        cropped(noise(89, 109), CENTRE, 65)


def test_sixteen_bits_are_scaled_to_eight() -> None:
    ramp = np.linspace(0, 65535, 256).astype(np.uint16).reshape(16, 16)
    image = cropped(Image.fromarray(ramp), CENTRE_SQUARE, 16)
    np.testing.assert_array_equal(image[0].ravel(), np.arange(256))


@pytest.mark.parametrize("dtype", [np.int32, np.float32])
def test_pixels_without_a_known_range_are_refused(dtype: type) -> None:
    with pytest.raises(DataError, match="not 8 or 16 bits"):
        cropped(Image.fromarray(np.zeros((16, 16), dtype)), CENTRE_SQUARE, 16)


def test_grey_pictures_become_rgb() -> None:
    image = cropped(noise(32, 32).convert("L"), CENTRE_SQUARE, 16)
    assert image.shape == (3, 16, 16)
    np.testing.assert_array_equal(image[0], image[2])


class FakeMtcnn:
    """Finds two faces, the more certain one second."""

    faces = np.array([[0.0, 0.0, 10.0, 10.0], [20.0, 30.0, 40.0, 70.0]])

    def __init__(self, **settings: object) -> None:
        self.settings = settings

    def detect(self, picture: Image.Image) -> tuple[object, object]:
        if picture.width < 80:
            return None, [None]
        return self.faces, np.array([0.8, 0.99])


@pytest.fixture
def detector(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("facenet_pytorch")
    module.MTCNN = FakeMtcnn  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "facenet_pytorch", module)


@pytest.mark.usefixtures("detector")
def test_detector_crops_a_square_around_the_most_certain_face() -> None:
    assert DetectorCrop(margin=0.0).box(noise(100, 100)) == (10, 30, 50, 70)
    assert DetectorCrop(margin=0.25).box(noise(100, 100)) == (0, 20, 60, 80)


@pytest.mark.usefixtures("detector")
def test_a_picture_without_a_face_is_refused() -> None:
    with pytest.raises(DataError, match="no face"):
        DetectorCrop().box(noise(60, 60))


def test_a_missing_detector_names_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "facenet_pytorch", None)
    with pytest.raises(MissingExtraError, match=r"pip install '\.\[detector\]'"):
        DetectorCrop()
