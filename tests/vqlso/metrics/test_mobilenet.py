"""MobileNetV2 features: torchvision's names, and an order of distances that makes sense."""

import copy
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from vqlso.errors import CheckpointError
from vqlso.metrics.frechet import features, frechet_distance
from vqlso.metrics.mobilenet import MobileNetFeatures, MobileNetV2

SHARED = Path(__file__).resolve().parents[3].parent / "shared"
WEIGHTS = SHARED / "weights" / "mobilenet_v2-b0353104.pth"
FACES = Path(os.environ.get("VQLSO_CELEBA", SHARED / "data" / "celeba24k"))

needs_weights = pytest.mark.skipif(not WEIGHTS.is_file(), reason="MobileNetV2 weights not found")
needs_faces = pytest.mark.skipif(not FACES.is_dir(), reason="real faces not found")


def test_parameter_count_is_the_papers() -> None:
    # torchvision documents 3,504,872 parameters for the network with its 1000 classes.
    assert sum(p.numel() for p in MobileNetV2().parameters()) == 3_504_872


def test_names_are_torchvisions() -> None:
    shapes = {name: tuple(value.shape) for name, value in MobileNetV2().state_dict().items()}
    assert shapes["features.0.0.weight"] == (32, 3, 3, 3)
    assert shapes["features.1.conv.1.weight"] == (16, 32, 1, 1)
    assert shapes["features.2.conv.1.0.weight"] == (96, 1, 3, 3)
    assert shapes["features.17.conv.3.running_mean"] == (320,)
    assert shapes["features.18.0.weight"] == (1280, 320, 1, 1)
    assert shapes["classifier.1.weight"] == (1000, 1280)


def test_random_weights_round_trip(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = MobileNetV2().eval()
    torch.save(network.state_dict(), tmp_path / "some-weights.pth")
    loaded = MobileNetFeatures(tmp_path / "some-weights.pth")
    output = loaded(torch.rand(2, 3, 160, 160))
    assert output.shape == (2, 1280)
    assert "some-weights" in loaded.name
    assert "160 px" in loaded.name


def test_images_are_resized_and_normalised_by_imagenets_statistics(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = MobileNetV2().eval()
    torch.save(network.state_dict(), tmp_path / "w.pth")
    colour = torch.tensor([0.1, 0.5, 0.9]).view(1, 3, 1, 1)
    by_hand = (colour - torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)) / torch.tensor(
        [0.229, 0.224, 0.225]
    ).view(1, 3, 1, 1)
    with torch.no_grad():
        expected = network(by_hand.expand(1, 3, 160, 160))
    output = MobileNetFeatures(tmp_path / "w.pth")(colour.expand(1, 3, 64, 64))
    assert expected.std() > 0
    assert torch.allclose(output, expected, rtol=1e-3, atol=1e-3 * float(expected.std()))


def test_blocks_skip_where_shapes_allow_it_and_the_grid_shrinks_32_times() -> None:
    # With its last normalisation at zero a block passes on its input where it has a shortcut,
    # and zeros where it changes the channels or the size (Sandler et al. 2018, figure 4d).
    skipping = {3, 5, 6, 8, 9, 10, 12, 13, 15, 16}
    network = MobileNetV2().eval()
    x = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        for index, layer in enumerate(network.features):
            if 1 <= index <= 17:
                block, before = copy.deepcopy(layer), x
                torch.nn.init.zeros_(block.conv[-1].weight)
                silenced = block(before)
                assert torch.equal(silenced, before) if index in skipping else not silenced.any()
            x = layer(x)
    assert x.shape == (1, 1280, 2, 2)


def test_an_image_does_not_depend_on_its_batch(tmp_path: Path) -> None:
    torch.save(MobileNetV2().state_dict(), tmp_path / "w.pth")
    network = MobileNetFeatures(tmp_path / "w.pth")
    images = torch.rand(3, 3, 64, 64)
    together, alone = network(images), network(images[1:2])
    assert torch.allclose(together[1:2], alone, atol=1e-5)


def test_another_architecture_is_refused(tmp_path: Path) -> None:
    weights = MobileNetV2().state_dict()
    weights["classifier.1.weight"] = torch.zeros(10, 1280)
    torch.save(weights, tmp_path / "ten-classes.pth")
    with pytest.raises(
        CheckpointError, match=r"MobileNetV2.*classifier\.1\.weight is \(10, 1280\)"
    ):
        MobileNetFeatures(tmp_path / "ten-classes.pth")


@needs_weights
def test_the_published_file_matches_and_tells_images_apart() -> None:
    network = MobileNetFeatures(WEIGHTS)
    ramp = torch.linspace(0, 1, 64).expand(1, 3, 64, 64)
    output = network(torch.cat([ramp, ramp.flip(3), torch.rand(1, 3, 64, 64)]))
    assert network.name == "MobileNetV2 features (mobilenet_v2-b0353104, 160 px)"
    assert 0 <= output.min() <= output.max() <= 6  # the last layer is a ReLU6, then a mean
    mirrored, noise = (output[1] - output[0]).norm(), (output[2] - output[0]).norm()
    assert mirrored < noise


def blurred(images: NDArray[np.uint8], sigma: float) -> NDArray[np.uint8]:
    pictures = (Image.fromarray(x.transpose(1, 2, 0)) for x in images)
    soft = [np.asarray(p.filter(ImageFilter.GaussianBlur(sigma))) for p in pictures]
    return np.stack(soft).transpose(0, 3, 1, 2)


def ordered(images: NDArray[np.uint8]) -> tuple[float, float, float]:
    """Distances of one half to the other, to the other softly and to the other strongly blurred."""
    network = MobileNetFeatures(WEIGHTS)
    first, second = images[::2], images[1::2]
    reference = features(network, first)
    same, soft, strong = (
        frechet_distance(reference, features(network, x))
        for x in (second, blurred(second, 1.0), blurred(second, 2.0))
    )
    return same, soft, strong


@needs_weights
def test_blur_moves_drawn_shapes_away() -> None:
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[0:64, 0:64]
    images = np.empty((60, 3, 64, 64), dtype=np.uint8)
    for image in images:
        image[:] = rng.integers(0, 256, (3, 1, 1))
        for _ in range(6):
            y, x, radius = rng.uniform((0, 0, 4), (64, 64, 20))
            inside = (rows - y) ** 2 + (columns - x) ** 2 < radius**2
            image[:, inside] = rng.integers(0, 256, (3, 1))
    same, soft, strong = ordered(images)
    assert same < soft < strong


@needs_weights
@needs_faces
def test_blur_moves_real_faces_away() -> None:
    files = sorted((FACES / "img_align_celeba").glob("*.jpg"))[:60]
    crops = [np.asarray(Image.open(f).convert("RGB"))[22:86, 12:76] for f in files]
    same, soft, strong = ordered(np.stack(crops).transpose(0, 3, 1, 2))
    assert same < soft < strong
