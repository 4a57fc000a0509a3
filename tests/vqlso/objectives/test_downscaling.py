"""The criterion of a super-resolution."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vqlso.errors import DataError
from vqlso.objectives.downscaling import DownscaledDistance, downscaled


@given(st.integers(0, 99), st.sampled_from([1, 2, 4]))
def test_small_pixels_are_means_of_blocks(seed: int, edge: int) -> None:
    images = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(seed))
    block = 8 // edge
    means = images.numpy().reshape(2, 3, edge, block, edge, block).mean(axis=(3, 5))
    np.testing.assert_allclose(downscaled(images, (edge, edge)), means, atol=1e-6)


def test_whatever_shrinks_to_the_picture_is_at_no_distance() -> None:
    term = DownscaledDistance()
    picture = torch.rand(1, 3, 2, 2, generator=torch.Generator().manual_seed(0))
    wanted = term.wanted(picture, (8, 8))
    blocks = picture.repeat_interleave(4, 2).repeat_interleave(4, 3)
    checks = 0.1 * (-1.0) ** (torch.arange(8)[:, None] + torch.arange(8))
    z = torch.zeros(1, 3)
    for image in (blocks, blocks + checks):
        assert float(term(image, z, wanted)) == pytest.approx(0, abs=1e-10)
    assert float(term(blocks + 0.1, z, wanted)) == pytest.approx(0.04, rel=1e-4)


def test_a_picture_larger_than_the_images_is_refused() -> None:
    with pytest.raises(DataError, match="16 x 8 pixels"):
        DownscaledDistance().wanted(torch.zeros(1, 3, 16, 8), (8, 8))
