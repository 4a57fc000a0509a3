"""Weights trained elsewhere; refusals of whole networks are tested beside CelebA-Dialog's."""

from pathlib import Path

import pytest
import torch
from torch import nn

from vqlso.errors import CheckpointError
from vqlso.pretrained import imagenet_normalised, load_weights


def test_a_normalised_channel_has_imagenets_mean_at_zero_and_deviation_at_one() -> None:
    mean = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
    std = torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)
    images = torch.cat([mean, mean + std, torch.zeros(1, 3, 1, 1)]).expand(3, 3, 2, 2)
    normal = imagenet_normalised(images)
    assert torch.allclose(normal[:2], torch.tensor([0.0, 1.0]).view(2, 1, 1, 1), atol=1e-6)
    assert torch.allclose(normal[2, :, 0, 0], (-mean / std).flatten())


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_weights_arrive_in_single_precision_with_or_without_memory(
    device: str, tmp_path: Path
) -> None:
    weights = nn.Linear(3, 2).double().state_dict()
    torch.save({f"module.{name}": value for name, value in weights.items()}, tmp_path / "w.pth")
    with torch.device(device):
        network = nn.Linear(3, 2)
    load_weights(network, tmp_path / "w.pth", "a layer")
    assert network.weight.dtype == torch.float32
    assert torch.equal(network.weight, weights["weight"].float())


def test_one_name_without_the_prefix_keeps_all_as_they_are(tmp_path: Path) -> None:
    torch.save({"module.weight": torch.zeros(2, 3), "bias": torch.zeros(2)}, tmp_path / "w.pth")
    with pytest.raises(CheckpointError, match=r"missing: weight; unexpected: module\.weight"):
        load_weights(nn.Linear(3, 2), tmp_path / "w.pth", "a layer")
