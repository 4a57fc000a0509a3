import numpy as np
import pytest
import torch
from torch import nn

from vqlso.errors import ConfigError
from vqlso.objectives.criteria import (
    Criterion,
    FeatureStatistics,
    LatentNorm,
    PixelDistance,
    Realism,
    inspirational,
)
from vqlso.objectives.feature_networks import LayerTaps, RandomTaps

SIZE = (16, 16)


class Pixels:
    """The image itself and its negative: maps whose statistics can be computed by hand."""

    name = "pixels"

    def __call__(self, images):
        return [images, 2 * (1 - images[:, :2])]


def images(n, seed=0, side=16):
    return torch.rand(n, 3, side, side, generator=torch.Generator().manual_seed(seed)).double()


def measured(term, pictures, target, z=None):
    z = torch.zeros(len(pictures), 4) if z is None else z
    return term(pictures, z, term.wanted(target, tuple(pictures.shape[2:])))


def test_pixels_are_compared_in_the_networks_range():
    pictures, target = images(3), images(1, seed=1)
    expected = ((2 * (pictures - target)) ** 2).mean(dim=(1, 2, 3))
    torch.testing.assert_close(measured(PixelDistance(), pictures, target), expected)
    black, white = torch.zeros(1, 3, 2, 2), torch.ones(1, 3, 2, 2)
    assert measured(PixelDistance(), black, white).item() == 4


def test_a_target_of_another_size_is_resized():
    grey = torch.full((1, 3, 50, 70), 0.25)
    assert measured(PixelDistance(), torch.full((2, 3, 16, 16), 0.25), grey).abs().max() < 1e-12


def test_statistics_are_those_of_the_paper():
    """Equation (5), by loops."""
    pictures, target = images(2).numpy(), images(1, seed=1).numpy()
    network = Pixels()
    expected = []
    for picture in pictures:
        total = 0.0
        for mine, other in zip(
            network(torch.tensor(picture[None])), network(torch.tensor(target)), strict=True
        ):
            channels = [
                (a.mean() - b.mean()) ** 2 + (a.std() - b.std()) ** 2
                for a, b in zip(mine[0].numpy(), other[0].numpy(), strict=True)
            ]
            total += np.mean(channels)
        expected.append(total)
    found = measured(FeatureStatistics(network), torch.tensor(pictures), torch.tensor(target))
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-5)


def test_statistics_do_not_see_where_something_is():
    picture = images(1)
    moved = torch.roll(picture, (3, 5), dims=(2, 3))
    assert measured(FeatureStatistics(Pixels()), moved, picture).item() < 1e-20
    assert measured(PixelDistance(), moved, picture).item() > 0.1


def test_a_flat_image_has_a_gradient():
    flat = torch.full((1, 3, 16, 16), 0.5, requires_grad=True)
    measured(FeatureStatistics(RandomTaps()), flat, images(1).float()).sum().backward()
    assert flat.grad.isfinite().all()


def test_the_norm_is_free_on_the_sphere_alone():
    z = torch.tensor([[2.0, 0, 0, 0], [1, -1, 1, -1], [0, 0, 0, 0], [2, 2, 2, 2]])
    found = measured(LatentNorm(), images(4), images(1), z)
    torch.testing.assert_close(found, torch.tensor([0.0, 0, 1, 9]).double())


def test_realism_does_not_depend_on_the_batch():
    """Discriminators compare the images of a batch, which a score must not."""

    def comparing(pixels):
        return pixels.mean(dim=(1, 2, 3)) - pixels.mean()

    def plain(pixels):
        return pixels.mean(dim=(1, 2, 3), keepdim=True)[:, :, 0, 0]

    pictures = images(3)
    assert measured(Realism(comparing), pictures, images(1)).abs().max() < 1e-12
    expected = 1 - 2 * pictures.mean(dim=(1, 2, 3))
    torch.testing.assert_close(measured(Realism(plain), pictures, images(1)), expected)


def test_a_criterion_is_the_weighted_sum_of_its_terms():
    terms = [PixelDistance(50), FeatureStatistics(Pixels(), 0.1), LatentNorm(2)]
    criterion = Criterion(terms)
    pictures, target, z = images(2), images(1, seed=1), torch.randn(2, 4)
    wanted = criterion.wanted(target, SIZE)
    parts = criterion.parts(pictures, z, wanted)
    alone = [term.weight * measured(term, pictures, target, z) for term in terms]
    torch.testing.assert_close(torch.stack(list(parts.values())), torch.stack(alone))
    torch.testing.assert_close(criterion(pictures, z, wanted), sum(alone))
    assert criterion.name == "50 L2 + 0.1 statistics of pixels + 2 latent norm"


def test_rows_do_not_depend_on_each_other():
    criterion = inspirational("l2+features", features=RandomTaps())
    pictures, z = images(3).float(), torch.randn(3, 4)
    wanted = criterion.wanted(images(1, seed=1).float(), SIZE)
    together = criterion(pictures, z, wanted)
    alone = [criterion(pictures[i : i + 1], z[i : i + 1], wanted) for i in range(3)]
    torch.testing.assert_close(together, torch.cat(alone))


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("l2", "50 L2 + 1 latent norm"),
        ("l2+features", "50 L2 + 0.1 statistics of pixels + 1 latent norm + 1 realism"),
        ("features", "0.1 statistics of pixels + 1 latent norm + 1 realism"),
    ],
)
def test_table_1(kind, name):
    criterion = inspirational(kind, features=Pixels(), discriminator=nn.Flatten())
    assert criterion.name == name


def test_an_unknown_kind_is_refused():
    with pytest.raises(ConfigError, match="l2, l2\\+features, features"):
        inspirational("lpips", features=Pixels())


@pytest.mark.parametrize(
    ("terms", "message"),
    [
        ([], "at least one"),
        ([PixelDistance(0)], "at least one"),
        ([PixelDistance(-1)], "'L2' is -1"),
        ([PixelDistance(float("nan"))], "'L2' is nan"),
        ([PixelDistance(1), PixelDistance(2)], "twice"),
    ],
)
def test_weights_that_mean_nothing_are_refused(terms, message):
    with pytest.raises(ConfigError, match=message):
        Criterion(terms)


def test_a_term_without_weight_is_not_computed():
    def never(images):
        raise AssertionError

    criterion = Criterion([PixelDistance(1), Realism(never, 0)])
    assert len(criterion.wanted(images(1), SIZE)) == 1


def test_layers_of_any_network_are_tapped():
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 5, 3), nn.ReLU())
    taps = LayerTaps(network, ["3", "0"])
    pictures = images(2, side=40).float()
    last, first = taps(pictures)
    assert (first.shape, last.shape) == ((2, 4, 126, 126), (2, 5, 124, 124))
    own = LayerTaps(network, ["3"], prepare=lambda x: x)(pictures)[0]
    torch.testing.assert_close(own, network(pictures))
    assert not any(len(module._forward_hooks) for module in network.modules())


def test_layers_that_are_not_there_are_refused():
    with pytest.raises(ConfigError, match=r"no layer 'features\.0'.*0"):
        LayerTaps(nn.Sequential(nn.ReLU()), ["features.0"])
    with pytest.raises(ConfigError, match="at least one layer"):
        LayerTaps(nn.ReLU(), [])


def test_random_taps_are_the_same_for_the_same_seed():
    pictures = images(1).float()
    first, second, other = RandomTaps(1), RandomTaps(1), RandomTaps(2)
    assert torch.equal(first(pictures)[2], second(pictures)[2])
    assert not torch.equal(first(pictures)[2], other(pictures)[2])
    assert [maps.shape[1] for maps in first(pictures)] == [16, 32, 64]
