import pytest
import torch
from torch.nn import functional

from vqlso.errors import CheckpointError
from vqlso.objectives import vgg
from vqlso.objectives.vgg import VGG19, VGG19Features
from vqlso.pretrained import imagenet_normalised


@pytest.fixture
def narrow(monkeypatch):
    """The architecture at 1/32 of its width: the full weights have half a gigabyte."""
    monkeypatch.setattr(vgg, "STAGES", ((2, 2), (4, 2), (8, 4), (16, 4), (16, 4)))
    monkeypatch.setattr(vgg, "HIDDEN", 3)
    monkeypatch.setattr(vgg, "CLASSES", 2)


@pytest.fixture
def weights(narrow):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return VGG19().state_dict()


@pytest.fixture
def checkpoint(weights, tmp_path):
    path = tmp_path / "vgg19-test.pth"
    torch.save(weights, path)
    return path


def test_the_names_are_torchvisions():
    with torch.device("meta"):
        state = VGG19().state_dict()
    convolutions = [0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28, 30, 32, 34]
    expected = [f"features.{i}" for i in convolutions] + [f"classifier.{i}" for i in (0, 3, 6)]
    assert list(state) == [f"{name}.{kind}" for name in expected for kind in ("weight", "bias")]
    assert sum(tensor.numel() for tensor in state.values()) == 143_667_240


def test_the_maps_are_those_of_the_papers_appendix(weights, checkpoint):
    """relu3_1, relu4_1 and relu5_1, computed by hand."""
    images = torch.rand(2, 3, 128, 128)
    x = imagenet_normalised(images)
    taps = []
    for index in (0, 2, "pool", 5, 7, "pool", 10, "tap", 12, 14, 16, "pool", 19, "tap"):
        if index == "pool":
            x = functional.max_pool2d(x, 2)
        elif index == "tap":
            taps.append(x)
        else:
            name = f"features.{index}"
            bias = weights[f"{name}.bias"]
            x = functional.relu(functional.conv2d(x, weights[f"{name}.weight"], bias, padding=1))
    found = VGG19Features(checkpoint)(images)
    assert [tuple(maps.shape) for maps in found] == [(2, 8, 32, 32), (2, 16, 16, 16), (2, 16, 8, 8)]
    torch.testing.assert_close(list(found[:2]), taps)
    assert (found[2] >= 0).all()


def test_images_of_any_size_are_taken_and_differentiated(checkpoint):
    images = torch.rand(1, 3, 200, 90, requires_grad=True)
    sum(maps.sum() for maps in VGG19Features(checkpoint)(images)).backward()
    assert images.grad.abs().sum() > 0


def test_a_file_with_other_keys_is_refused(weights, tmp_path):
    path = tmp_path / "vgg16.pth"
    torch.save({name.replace("features.34", "features.40"): w for name, w in weights.items()}, path)
    with pytest.raises(CheckpointError, match=r"missing: features\.34.*unexpected: features\.40"):
        VGG19Features(path)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match="No weights file"):
        VGG19Features(tmp_path / "vgg19.pth")
