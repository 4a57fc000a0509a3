"""CelebA-Dialog's predictor: strict loading, the published input steps, reversed attributes."""

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from vqlso.contracts import Objective
from vqlso.errors import CheckpointError, ConfigError
from vqlso.objectives.celeba_dialog import (
    HEADS,
    AttributePredictor,
    CelebADialogObjective,
    ResNet50Trunk,
    predictor_input,
)


@pytest.fixture(scope="module")
def predictor() -> AttributePredictor:
    """Random weights, with batch statistics that are neither 0 nor 1."""
    torch.manual_seed(0)
    network = AttributePredictor()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm1d | torch.nn.BatchNorm2d):
            assert module.running_mean is not None
            assert module.running_var is not None
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 2)
    return network.eval()


@pytest.fixture(scope="module")
def checkpoint(predictor: AttributePredictor, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "predictor.pth"
    torch.save({"state_dict": predictor.state_dict(), "epoch": 3}, path)
    return path


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    return torch.rand(5, 3, 64, 64, generator=torch.Generator().manual_seed(1))


def by_hand(predictor: AttributePredictor, images: torch.Tensor, attribute: str) -> np.ndarray:
    with torch.no_grad():
        logits = predictor.logits(predictor_input(images), attribute)
    odds = np.exp(logits.double().numpy())
    return (odds * np.arange(6)).sum(axis=1) / odds.sum(axis=1)


def test_trunk_is_the_standard_resnet50() -> None:
    # The published network has 25,557,032 parameters, 2048 * 1000 + 1000 of them in its classifier.
    count = sum(p.numel() for p in ResNet50Trunk().parameters())
    assert count == 25_557_032 - 2_049_000 == 23_508_032


def test_strides_lie_on_the_3x3_convolutions() -> None:
    trunk = ResNet50Trunk()
    names = dict(trunk.named_modules())
    for layer, stride in ((1, 1), (2, 2), (3, 2), (4, 2)):
        assert names[f"layer{layer}.0.conv1"].stride == (1, 1)
        assert names[f"layer{layer}.0.conv2"].stride == (stride, stride)
        assert names[f"layer{layer}.0.downsample.0"].stride == (stride, stride)
        assert "layer1.1.downsample.0" not in names


def test_names_are_those_of_the_published_checkpoint(predictor: AttributePredictor) -> None:
    shapes = {name: tuple(value.shape) for name, value in predictor.state_dict().items()}
    assert shapes["stem.fc.weight"] == (512, 2048)
    assert shapes["stem.bn.running_var"] == (512,)
    assert shapes["layer1.0.downsample.1.weight"] == (256,)
    assert shapes["layer4.2.conv3.weight"] == (2048, 512, 1, 1)
    assert shapes["classifier32Smiling.0.fc.weight"] == (256, 512)
    assert shapes["classifier40Young.1.bias"] == (6,)
    heads = {name.split(".")[0] for name in shapes if name.startswith("classifier")}
    assert heads == {
        "classifier06Bangs",
        "classifier16Eyeglasses",
        "classifier25No_Beard",
        "classifier32Smiling",
        "classifier40Young",
    }


@pytest.mark.parametrize("attribute", HEADS)
def test_scores_equal_the_hand_computation(
    attribute: str, checkpoint: Path, predictor: AttributePredictor, images: torch.Tensor
) -> None:
    objective = CelebADialogObjective(checkpoint, attribute, batch_size=2)
    expected = by_hand(predictor, images, attribute)
    if attribute in ("No_Beard", "Young"):
        expected = 5 - expected
    scores = objective(images)
    assert isinstance(objective, Objective)
    assert attribute in objective.name
    assert scores.shape == (5,)
    assert scores.dtype == np.float64
    np.testing.assert_allclose(scores, expected, atol=1e-5)


def test_temperature_reaches_the_degree(checkpoint: Path, images: torch.Tensor) -> None:
    hot = CelebADialogObjective(checkpoint, temperature=1e6)(images)
    np.testing.assert_allclose(hot, 2.5, atol=1e-3)
    assert np.abs(CelebADialogObjective(checkpoint)(images) - 2.5).max() > 0.01


def test_input_is_clamped_rounded_resized_and_normalised() -> None:
    images = torch.tensor([-0.3, 0.2, 1.7]).view(1, 3, 1, 1).expand(1, 3, 256, 256)
    prepared = predictor_input(images + 0.001)
    levels = np.array([0.0, 51.0, 255.0]) / 255
    expected = (levels - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    assert prepared.shape == (1, 3, 128, 128)
    np.testing.assert_allclose(prepared.amin(dim=(0, 2, 3)), expected, atol=1e-5)
    np.testing.assert_allclose(prepared.amax(dim=(0, 2, 3)), expected, atol=1e-5)


def test_area_resizing_averages_blocks() -> None:
    whole = torch.randint(0, 256, (1, 3, 256, 256), generator=torch.Generator().manual_seed(2))
    blocks = whole.double().view(1, 3, 128, 2, 128, 2).mean(dim=(3, 5)) / 255
    mean = torch.tensor([0.485, 0.456, 0.406], dtype=torch.float64).view(1, 3, 1, 1)
    std = torch.tensor([0.229, 0.224, 0.225], dtype=torch.float64).view(1, 3, 1, 1)
    assert torch.allclose(predictor_input(whole / 255).double(), (blocks - mean) / std, atol=1e-5)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda weights: weights,
        lambda weights: {"state_dict": {f"module.{name}": v for name, v in weights.items()}},
    ],
    ids=["bare", "nested and data-parallel"],
)
def test_other_wrappings_score_the_same(
    wrap: Callable[[Any], Any],
    predictor: AttributePredictor,
    checkpoint: Path,
    images: torch.Tensor,
    tmp_path: Path,
) -> None:
    torch.save(wrap(predictor.state_dict()), tmp_path / "other.pth")
    np.testing.assert_array_equal(
        CelebADialogObjective(tmp_path / "other.pth")(images),
        CelebADialogObjective(checkpoint)(images),
    )


def test_loading_leaves_the_global_random_stream_alone(checkpoint: Path) -> None:
    before = torch.random.get_rng_state()
    CelebADialogObjective(checkpoint)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_half_precision_weights_score_in_single_precision(
    predictor: AttributePredictor, checkpoint: Path, images: torch.Tensor, tmp_path: Path
) -> None:
    half = {
        name: value.half() if value.is_floating_point() else value
        for name, value in predictor.state_dict().items()
    }
    torch.save(half, tmp_path / "half.pth")
    np.testing.assert_allclose(
        CelebADialogObjective(tmp_path / "half.pth")(images),
        CelebADialogObjective(checkpoint)(images),
        atol=0.05,
    )


def damaged(weights: dict[str, Any], kind: str) -> dict[str, Any]:
    weights = dict(weights)
    if kind == "missing":
        del weights["stem.fc.bias"]
    elif kind == "unexpected":
        weights["fc.weight"] = torch.zeros(1000, 2048)
    elif kind == "misshapen":
        weights["classifier32Smiling.1.weight"] = torch.zeros(5, 256)
    else:
        weights["conv1.weight"] = 3.0
    return weights


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("missing", r"missing: stem\.fc\.bias"),
        ("unexpected", r"unexpected: fc\.weight"),
        ("misshapen", r"misshapen: classifier32Smiling\.1\.weight is \(5, 256\) instead of"),
        ("number", r"misshapen: conv1\.weight is no tensor"),
    ],
)
def test_another_architecture_is_refused_by_name(
    kind: str, message: str, predictor: AttributePredictor, tmp_path: Path
) -> None:
    torch.save(damaged(predictor.state_dict(), kind), tmp_path / "wrong.pth")
    with pytest.raises(CheckpointError, match=message) as caught:
        CelebADialogObjective(tmp_path / "wrong.pth")
    assert "ResNet-50" in str(caught.value)


def test_only_the_first_names_are_listed(tmp_path: Path) -> None:
    torch.save(torch.nn.Linear(2, 3).state_dict(), tmp_path / "linear.pth")
    with pytest.raises(CheckpointError, match=r"and \d+ more; unexpected: weight, bias") as caught:
        CelebADialogObjective(tmp_path / "linear.pth")
    assert len(str(caught.value)) < 600


class _Trap:
    """Unpickling calls the given function: what a hostile file does."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return (Path.touch, (self.target,))


@pytest.mark.parametrize("save", [torch.save, lambda x, p: p.write_bytes(pickle.dumps(x, 2))])
def test_a_pickle_with_code_is_refused_and_not_run(
    save: Callable[[Any, Path], None], tmp_path: Path
) -> None:
    sprung = tmp_path / "sprung"
    save({"state_dict": _Trap(sprung)}, tmp_path / "trap.pth")
    with pytest.raises(CheckpointError, match="run code"):
        CelebADialogObjective(tmp_path / "trap.pth")
    assert not sprung.exists()


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"PK\x03\x04 cut off"])
def test_a_file_that_is_no_checkpoint_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "junk.pth").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"junk\.pth"):
        CelebADialogObjective(tmp_path / "junk.pth")


@pytest.mark.parametrize("content", [torch.zeros(3), {}, [1, 2], {"state_dict": 4}])
def test_a_file_without_a_state_dict_is_refused(content: object, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "other.pth")
    with pytest.raises(CheckpointError, match="no state dict"):
        CelebADialogObjective(tmp_path / "other.pth")


def test_a_missing_file_and_bad_settings_are_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="No weights file"):
        CelebADialogObjective(tmp_path / "absent.pth")
    with pytest.raises(ConfigError, match="Bangs, Eyeglasses"):
        CelebADialogObjective(tmp_path / "absent.pth", attribute="Happy")
    with pytest.raises(ConfigError, match="above 0"):
        CelebADialogObjective(tmp_path / "absent.pth", batch_size=0)
