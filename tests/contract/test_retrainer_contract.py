"""What every retrainer promises: a new generator, the old one whole, the same seed the same."""

import numpy as np
import pytest
import torch

from pipeline.retraining import NoRetraining, WeightedRetraining
from vqlso.archive import Archive
from vqlso.contracts import Retrainer
from vqlso.generators.vqvae import VQVAE, VQVAENetwork, VQVAESettings
from vqlso.images import to_unit
from vqlso.records import FitReport

SMALL = VQVAESettings(image_size=16, width=2, categories=5, dimension=3, residual_blocks=1)


@pytest.fixture(params=[WeightedRetraining(batch_size=8), NoRetraining()], ids=["weighted", "none"])
def retrainer(request: pytest.FixtureRequest) -> Retrainer:
    return request.param


@pytest.fixture
def generator() -> VQVAE:
    torch.manual_seed(0)
    return VQVAE(VQVAENetwork(SMALL))


@pytest.fixture
def archive(generator: VQVAE) -> Archive:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (24, 3, 16, 16), dtype=np.uint8)
    return Archive(images, rng.random(24), generator.encode(to_unit(images)), generator.version)


def test_it_is_a_retrainer(retrainer: Retrainer) -> None:
    assert isinstance(retrainer, Retrainer)


def test_weights_are_a_distribution_over_the_archive(
    retrainer: Retrainer, archive: Archive
) -> None:
    weights = retrainer.weights(archive)
    assert weights.shape == (24,)
    assert (weights > 0).all()
    assert weights.sum() == pytest.approx(1)


def test_the_old_generator_stays_whole(
    retrainer: Retrainer, generator: VQVAE, archive: Archive
) -> None:
    before = {name: each.clone() for name, each in generator.network.state_dict().items()}
    version = generator.version
    retrained, report = retrainer.retrain(generator, archive, seed=0, round_=1)
    assert isinstance(report, FitReport)
    for name, tensor in generator.network.state_dict().items():
        assert torch.equal(tensor, before[name]), name
    assert VQVAE(generator.network).version == version
    assert type(retrained) is type(generator)


def test_the_archive_stays_as_it_is(
    retrainer: Retrainer, generator: VQVAE, archive: Archive
) -> None:
    codes, scores = archive.latents(generator.version).copy(), archive.scores
    retrainer.retrain(generator, archive, seed=0, round_=1)
    np.testing.assert_array_equal(archive.latents(generator.version), codes)
    np.testing.assert_array_equal(archive.scores, scores)


def test_the_same_seed_gives_the_same_generator(
    retrainer: Retrainer, generator: VQVAE, archive: Archive
) -> None:
    first, second = (
        retrainer.retrain(generator, archive, seed=3, round_=2)[0].version for _ in range(2)
    )
    assert first == second
