"""The FID's Inception against torch-fidelity's own class, with the same seeded weights.

The reference numbers are torch-fidelity 0.4.0's: `FeatureExtractorInceptionV3("x", ["64", "192",
"768", "2048"], FILE)(torch.from_numpy(IMAGES))`, where FILE holds `seeded_weights(shapes)` of
that class's own names and shapes.
"""

import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from vqlso.errors import CheckpointError, ConfigError
from vqlso.metrics.frechet import features
from vqlso.metrics.inception import InceptionFeatures, InceptionV3, resized_as_tensorflow_1
from vqlso.metrics.inception_blocks import Tap
from vqlso.randomness import stream

# Not square: height and width must not be swapped.
IMAGES = np.random.default_rng(0).integers(0, 256, (2, 3, 40, 52), dtype=np.uint8)
Shapes = dict[str, tuple[int, ...]]


def shapes_of_ours() -> Shapes:
    with torch.device("meta"):
        return {name: tuple(x.shape) for name, x in InceptionV3().state_dict().items()}


def seeded_weights(shapes: Shapes) -> dict[str, Tensor]:
    """Weights by name, so that they are the same whoever builds the network."""
    weights = {}
    for name, shape in shapes.items():
        rng = stream(0, name)
        kind = name.rsplit(".", 1)[1]
        if kind == "num_batches_tracked":
            weights[name] = torch.zeros((), dtype=torch.int64)
            continue
        if len(shape) > 1:
            values = rng.normal(size=shape) * np.sqrt(2 / np.prod(shape[1:]))
        elif kind in ("weight", "running_var"):
            values = rng.uniform(0.5, 1.5, shape)
        else:
            values = rng.normal(size=shape) * 0.1
        weights[name] = torch.tensor(values, dtype=torch.float32)
    return weights


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("inception") / "seeded.pth"
    torch.save(seeded_weights(shapes_of_ours()), path)
    return path


def test_names_and_shapes_are_torch_fidelitys() -> None:
    shapes = shapes_of_ours()
    table = "\n".join(f"{name} {shape}" for name, shape in sorted(shapes.items()))
    assert len(shapes) == 566
    assert hashlib.sha256(table.encode()).hexdigest()[:16] == "760681d791cb624e"


# By tap: three features of each image, then each image's sum and sum of squares.
REFERENCE: dict[Tap, tuple[list[list[float]], list[float], list[float]]] = {
    64: (
        [[0.33955, 1.10963, 0.181351], [0.368103, 1.19497, 0.171579]],
        [32.45143, 33.2465],
        [32.51948, 34.57801],
    ),
    192: (
        [[0.194168, 0.776179, 0.414153], [0.215619, 0.844349, 0.406875]],
        [160.7104, 166.7284],
        [315.9556, 340.68],
    ),
    768: (
        [[0.833828, 0.130331, 0.0], [0.822994, 0.119114, 0.0]],
        [1516.052, 1553.608],
        [9171.613, 9591.852],
    ),
    2048: (
        [[28.6682, 0.162699, 24.5447], [29.1067, 0.182563, 25.3295]],
        [9217.816, 9400.406],
        [125096.6, 129897.2],
    ),
}


@pytest.mark.parametrize("tap", REFERENCE)
def test_features_equal_torch_fidelitys(checkpoint: Path, tap: Tap) -> None:
    network = InceptionFeatures(checkpoint, tap)
    output = features(network, IMAGES)
    first, total, squares = REFERENCE[tap]
    assert output.shape == (2, tap)
    np.testing.assert_allclose(output[:, :3], first, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(output.sum(axis=1), total, rtol=1e-5)
    np.testing.assert_allclose(np.square(output).sum(axis=1), squares, rtol=1e-5)
    assert network.name == f"FID Inception, {tap} features (seeded)"


def test_images_are_resized_as_tensorflow_1_does() -> None:
    image = np.random.default_rng(1).uniform(0, 255, (3, 4))
    expected = np.empty((7, 7))
    for row in range(7):
        for column in range(7):
            y, x = row * 3 / 7, column * 4 / 7
            top, left = int(y), int(x)
            bottom, right = min(top + 1, 2), min(left + 1, 3)
            upper = image[top, left] + (image[top, right] - image[top, left]) * (x - left)
            lower = image[bottom, left] + (image[bottom, right] - image[bottom, left]) * (x - left)
            expected[row, column] = upper + (lower - upper) * (y - top)
    resized = resized_as_tensorflow_1(torch.tensor(image)[None, None], 7)
    np.testing.assert_allclose(resized[0, 0], expected, rtol=1e-5)


def test_another_network_is_refused_by_name(tmp_path: Path) -> None:
    weights = {name: torch.zeros(1) for name in shapes_of_ours()} | {"fc.bias": torch.zeros(1000)}
    torch.save(weights, tmp_path / "torchvision.pth")
    with pytest.raises(CheckpointError, match=r"Inception-v3 with 1008 classes.*weights-inception"):
        InceptionFeatures(tmp_path / "torchvision.pth")


def test_a_tap_that_it_has_not(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no tap of width 128"):
        InceptionFeatures(tmp_path / "none.pth", 128)  # type: ignore[arg-type]
