"""StyleGAN2's layers and discriminator in closed form, and against the grouped formulation."""

import math

import pytest
import torch
from torch.nn import functional as F

from vqlso.generators.stylegan2.discriminator import Discriminator
from vqlso.generators.stylegan2.layers import (
    Convolution,
    demodulation,
    doubled,
    fir_filter,
    modulated_convolution,
    with_minibatch_deviation,
)
from vqlso.generators.stylegan2.settings import StyleGAN2Settings

SMALL = StyleGAN2Settings(16, 8, 8, channel_base=64, channel_max=8)
LABELLED = StyleGAN2Settings(8, 5, 6, c_dim=3, channel_base=32, channel_max=4)


def test_the_discriminator_has_the_official_names() -> None:
    names = set(Discriminator(StyleGAN2Settings(16, 8, 8, channel_base=64)).state_dict())
    expected = {"b4.fc.weight", "b4.fc.bias", "b4.out.weight", "b4.out.bias"}
    layers = {
        "b16.fromrgb": True,
        "b16.conv0": True,
        "b16.conv1": True,
        "b16.skip": False,
        "b8.conv0": True,
        "b8.conv1": True,
        "b8.skip": False,
        "b4.conv": True,
    }
    for layer, biased in layers.items():
        expected |= {f"{layer}.weight", f"{layer}.resample_filter"}
        expected |= {f"{layer}.bias"} if biased else set()
    assert names == expected | {"b16.resample_filter", "b8.resample_filter"}


@pytest.mark.parametrize("up", [False, True])
def test_scaled_inputs_are_a_kernel_per_image(up: bool) -> None:
    x, weight = torch.randn(3, 5, 6, 6), torch.randn(7, 5, 3, 3)
    styles, fir = torch.randn(3, 5), fir_filter()
    kernels = weight[None] * styles[:, None, :, None, None]
    kernels = kernels * (kernels.square().sum((2, 3, 4), keepdim=True) + 1e-8).rsqrt()
    if up:
        grouped = F.conv_transpose2d(
            x.reshape(1, 15, 6, 6), kernels.transpose(1, 2).reshape(15, 7, 3, 3), stride=2, groups=3
        )
        grouped = F.conv2d(grouped, 4 * fir.expand(21, 1, 4, 4), padding=1, groups=21)
    else:
        grouped = F.conv2d(
            x.reshape(1, 15, 6, 6), kernels.reshape(21, 5, 3, 3), padding=1, groups=3
        )
    found = modulated_convolution(x, weight, styles, fir if up else None)
    found = found * demodulation(weight, styles)[:, :, None, None]
    torch.testing.assert_close(found, grouped.reshape(found.shape), atol=1e-5, rtol=0)


def test_a_doubled_image_keeps_its_mean_inside() -> None:
    # The filter halves distances: away from the border it interpolates linearly.
    ramp = torch.arange(8.0).expand(1, 1, 8, 8)
    inside = doubled(ramp, fir_filter())[0, 0, 4, 2:-2]
    torch.testing.assert_close(inside, torch.arange(12.0) / 2 + 0.75)


@pytest.mark.parametrize("kernel", [1, 3])
def test_a_halved_image_lies_between_pairs_of_pixels(kernel: int) -> None:
    halving = Convolution(1, 1, kernel, biased=False, activated=False, halved=True)
    with torch.no_grad():
        halving.weight.zero_()
        halving.weight[0, 0, kernel // 2, kernel // 2] = 1 / halving.weight_gain
        ramp = torch.arange(16.0).expand(1, 1, 16, 16)
        half = halving(ramp)
    assert half.shape == (1, 1, 8, 8)
    torch.testing.assert_close(half[0, 0, 4, 1:-1], 2 * torch.arange(1.0, 7.0) + 0.5)


def test_a_convolution_has_unit_variance_and_its_gains() -> None:
    torch.manual_seed(0)
    x = torch.randn(1, 64, 40, 40)
    layer = Convolution(64, 64, 3, clamp=0.5)
    linear = F.conv2d(x, layer.weight / 24, padding=1)
    assert linear.std().item() == pytest.approx(1, abs=0.1)
    expected = (F.leaky_relu(linear, 0.2) * math.sqrt(2)).clamp(-0.5, 0.5) * 3
    torch.testing.assert_close(layer(x, 3.0), expected, atol=1e-5, rtol=0)


def test_minibatch_deviation_in_closed_form() -> None:
    # Of images 0 and 2, and of 1 and 3: half their distance.
    x = torch.tensor([1.0, 5.0, 4.0, 15.0]).view(4, 1, 1, 1).expand(4, 2, 3, 3)
    added = with_minibatch_deviation(x, 2)[:, 2]
    expected = torch.tensor([1.5, 5.0, 1.5, 5.0]).view(4, 1, 1).expand(4, 3, 3)
    torch.testing.assert_close(added, expected)


def test_the_discriminator_compares_images_of_a_group_only() -> None:
    torch.manual_seed(0)
    judge, images = Discriminator(SMALL), torch.randn(8, 3, 16, 16)
    scores = judge(images)
    changed = images.clone()
    changed[0] = 0
    moved = (judge(changed) - scores).abs() > 1e-6
    # Groups of 4 among 8 images: those with even numbers share image 0's.
    assert moved.tolist() == [True, False] * 4


def test_a_labelled_discriminator_projects_on_the_label() -> None:
    torch.manual_seed(0)
    judge, images = Discriminator(LABELLED), torch.randn(2, 3, 8, 8)
    label = torch.eye(3)[:2]
    assert judge.mapping is not None
    rows = judge.b4(judge.b8(images))
    expected = (rows * judge.mapping(None, label)).sum(1) / 2
    torch.testing.assert_close(judge(images, label), expected)
