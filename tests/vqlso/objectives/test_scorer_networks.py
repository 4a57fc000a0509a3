"""The queried scorer and its judge: unlike architectures with the same output."""

import pytest
import torch
from torch import nn

from vqlso.objectives.scorer_networks import ARCHITECTURES, PlainScorer, ResidualScorer
from vqlso.portions import BatchNorm2d, Dropout


def kinds(network: nn.Module) -> set[type[nn.Module]]:
    """Layer types with weights or statistics, and those that pool."""
    return {type(module) for module in network.modules() if not list(module.children())}


def test_they_share_only_convolutions_and_dense_layers() -> None:
    residual, plain = kinds(ResidualScorer()), kinds(PlainScorer())
    assert residual & plain == {nn.Conv2d, nn.Linear}
    assert residual - plain == {BatchNorm2d}
    assert plain - residual == {
        nn.GroupNorm,
        nn.GELU,
        nn.AdaptiveMaxPool2d,
        nn.Flatten,
        Dropout,
    }


def test_no_kernel_of_one_has_the_size_of_one_of_the_other() -> None:
    def sizes(network: nn.Module) -> set[tuple[int, ...]]:
        return {m.kernel_size for m in network.modules() if isinstance(m, nn.Conv2d)}

    assert sizes(ResidualScorer()).isdisjoint(sizes(PlainScorer()))


def test_blocks_of_the_queried_scorer_have_a_projected_skip() -> None:
    torch.manual_seed(0)
    block = ResidualScorer().blocks[1].eval()
    x = torch.randn(2, 24, 8, 8)
    with torch.no_grad():
        by_hand = block.second_norm(
            block.second(block.first_norm(block.first(x)).clamp(min=0))
        ) + nn.functional.conv2d(x, block.skip.weight, stride=2)
        assert torch.allclose(block(x), by_hand.clamp(min=0), atol=1e-5)
        nn.init.zeros_(block.second_norm.weight)
        assert torch.allclose(block(x), block.skip(x).clamp(min=0), atol=1e-6)


def test_the_queried_scorer_forgets_positions_and_the_judge_keeps_them() -> None:
    torch.manual_seed(0)
    image = torch.zeros(1, 3, 256, 256)
    image[:, :, 96:128, 96:128] = 1
    # By a multiple of all strides, and farther from the borders than any feature reaches.
    moved = image.roll((32, 32), (2, 3))
    with torch.no_grad():
        residual, plain = ResidualScorer().eval(), PlainScorer().eval()
        forgotten = (residual.features(image) - residual.features(moved)).abs().max()
        kept = (plain.features(image) - plain.features(moved)).abs().max()
    assert forgotten < 1e-5
    assert kept > 1e-3


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("size", [32, 64, 128])
def test_six_logits_from_features_of_any_size(architecture: str, size: int) -> None:
    network = ARCHITECTURES[architecture]().eval()
    pixels = torch.randn(2, 3, size, size)
    with torch.no_grad():
        features = network.features(pixels)
        logits = network(pixels)
    assert features.shape == (2, 160 if architecture == "residual" else 128)
    assert logits.shape == (2, 6)
    assert torch.allclose(network.head(features), logits)
