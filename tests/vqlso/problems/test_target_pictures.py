import numpy as np
import pytest
import torch
from linear_images import LinearImages
from PIL import Image

from vqlso.errors import DataError
from vqlso.problems.target_pictures import drawn_targets, read_target


def saved(picture, tmp_path, name="target.png"):
    path = tmp_path / name
    picture.save(path)
    return path


@pytest.fixture
def gradient():
    """Red grows to the right, green downwards; wider than high."""
    pixels = np.zeros((40, 60, 3), np.uint8)
    pixels[..., 0] = np.arange(60) * 4
    pixels[..., 1] = np.arange(40)[:, None] * 6
    return Image.fromarray(pixels)


def test_a_picture_is_cropped_to_its_middle(gradient, tmp_path):
    target = read_target(saved(gradient, tmp_path), size=40)
    assert target.shape == (3, 40, 40)
    expected = np.asarray(gradient)[:, 10:50].transpose(2, 0, 1) / np.float32(255)
    np.testing.assert_allclose(target.numpy(), expected, atol=1e-6)


@pytest.mark.parametrize("size", [8, 128])
def test_pictures_of_any_size_are_brought_to_the_one_asked_for(gradient, tmp_path, size):
    target = read_target(saved(gradient, tmp_path), size=size)
    assert target.shape == (3, size, size)
    assert 0 <= target.min() <= target.max() <= 1
    assert target[0].mean().item() == pytest.approx(29.5 * 4 / 255, abs=0.01)


def test_grey_becomes_rgb(gradient, tmp_path):
    target = read_target(saved(gradient.convert("L"), tmp_path), size=40)
    assert torch.equal(target[0], target[1])
    assert target.std() > 0.05


def test_sixteen_bits_are_scaled(tmp_path):
    deep = Image.fromarray(np.full((20, 20), 257 * 100, np.uint16))
    target = read_target(saved(deep, tmp_path), size=20)
    assert target.unique().tolist() == [pytest.approx(100 / 255)]


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_what_is_transparent_becomes_white(mode, tmp_path):
    picture = Image.new("RGBA", (10, 10), (0, 0, 0, 0))
    picture.paste((0, 0, 0, 255), (0, 0, 5, 10))
    path = saved(picture.convert(mode), tmp_path)
    target = read_target(path, size=10)
    assert (target[:, :, :5] < 0.01).all()
    assert (target[:, :, 5:] > 0.99).all()


def test_a_photo_is_turned_upright(gradient, tmp_path):
    sideways = gradient.transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter, clockwise
    path = tmp_path / "photo.png"
    sideways.save(path, exif=exif)
    upright = read_target(saved(gradient, tmp_path), size=40)
    assert torch.equal(read_target(path, size=40), upright)


def test_no_picture(tmp_path):
    with pytest.raises(DataError, match="no picture at"):
        read_target(tmp_path / "missing.png")
    path = tmp_path / "text.png"
    path.write_text("not a picture")
    with pytest.raises(DataError, match=r"text\.png cannot be read as a picture"):
        read_target(path)


def test_a_damaged_picture(gradient, tmp_path):
    path = saved(gradient, tmp_path)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(DataError, match="cannot be read as a picture"):
        read_target(path)


def test_pixels_without_a_range(tmp_path):
    path = saved(Image.fromarray(np.ones((20, 20), np.float32)), tmp_path, "float.tiff")
    with pytest.raises(DataError, match=r"The target .*float\.tiff has pixels of mode F"):
        read_target(path)


def test_a_picture_larger_than_memory_is_refused_by_its_header(tmp_path):
    path = saved(Image.new("1", (9000, 9000)), tmp_path)
    with pytest.raises(DataError, match=r"9000 x 9000 pixels.*shrink it"):
        read_target(path)


def test_a_large_jpeg_is_read_at_a_fraction(monkeypatch, tmp_path):
    monkeypatch.setattr("vqlso.problems.target_pictures.MOST_PIXELS", 10_000)
    path = saved(Image.new("RGB", (400, 400), (200, 100, 50)), tmp_path, "photo.jpg")
    target = read_target(path, size=32)
    np.testing.assert_allclose(target.mean(dim=(1, 2)) * 255, [200, 100, 50], atol=3)


def test_targets_that_the_generator_can_reach():
    generator = LinearImages()
    images, z = drawn_targets(generator, 3, seed=2)
    torch.testing.assert_close(images, generator.decode(z))
    assert not np.array_equal(z, drawn_targets(generator, 3, seed=3)[1])
