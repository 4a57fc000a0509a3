"""Weighted retraining: the weights it uses, what it draws, and what it leaves alone."""

import numpy as np
import pytest
import torch
from toys import Mosaic, training_set

from pipeline.retraining import NoRetraining, WeightedRetraining, weighted
from vqlso.archive import Archive
from vqlso.errors import ConfigError
from vqlso.generators.vqvae import VQVAE, VQVAENetwork, VQVAESettings
from vqlso.images import to_unit
from vqlso.training.weighting import Batches, rank_weights

SMALL = VQVAESettings(image_size=16, width=2, categories=5, dimension=3, residual_blocks=1)


@pytest.fixture
def generator() -> VQVAE:
    torch.manual_seed(0)
    return VQVAE(VQVAENetwork(SMALL))


@pytest.fixture
def archive(generator: VQVAE) -> Archive:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (50, 3, 16, 16), dtype=np.uint8)
    archive = Archive(images, rng.random(50), generator.encode(to_unit(images)), generator.version)
    archive.add(images[:2], np.array([7.0, 8.0]), np.zeros((2, 2, 2), int), generator.version)
    return archive


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Batches]:
    """The batches of every retraining, which then does nothing."""
    kept: list[Batches] = []

    def keep(generator: VQVAE, fetch: object, batches: Batches, **how: object):
        kept.append(batches)
        return generator, None

    monkeypatch.setattr(weighted, "finetune_vqvae", keep)
    return kept


def test_weights_are_the_rank_weights_of_all_scores(archive: Archive) -> None:
    weights = WeightedRetraining(k=0.01).weights(archive)
    np.testing.assert_array_equal(weights, rank_weights(archive.scores, 0.01))
    assert weights.argmax() == 51


@pytest.mark.parametrize(
    ("round_", "draws"), [(1, 104), (2, 26), (3, 26)], ids=["first", "second", "third"]
)
def test_epochs_are_counted_in_draws(
    round_: int, draws: int, generator: VQVAE, archive: Archive, drawn: list[Batches]
) -> None:
    how = WeightedRetraining(initial_epochs=2.0, epochs=0.5, batch_size=10)
    how.retrain(generator, archive, seed=0, round_=round_)
    (batches,) = drawn
    assert sum(map(len, batches)) == draws
    assert max(map(len, batches)) == 10


def test_draws_follow_the_weights(generator: VQVAE, archive: Archive, drawn: list[Batches]) -> None:
    """The best two of 52 carry 2/3 of the weight at k = 1e-3 (closed form), so of the draws."""
    how = WeightedRetraining(k=1e-3, initial_epochs=100)
    how.retrain(generator, archive, seed=0, round_=1)
    rows = np.concatenate(drawn[0])
    expected = 1 / (1e-3 * 52 + np.array([1, 0]))
    share = expected / (1 / (1e-3 * 52 + np.arange(52))).sum()
    measured = [np.mean(rows == 50), np.mean(rows == 51)]
    np.testing.assert_allclose(measured, share, atol=4 * np.sqrt(0.25 / len(rows)))


def test_every_round_draws_anew(generator: VQVAE, archive: Archive, drawn: list[Batches]) -> None:
    how = WeightedRetraining(initial_epochs=1.0, epochs=1.0)
    for seed, round_ in ((0, 1), (0, 2), (1, 1), (0, 1)):
        how.retrain(generator, archive, seed=seed, round_=round_)
    first, second, other, again = (np.concatenate(batches) for batches in drawn)
    assert not np.array_equal(first, second)
    assert not np.array_equal(first, other)
    np.testing.assert_array_equal(first, again)


def test_retraining_changes_weights_and_version(generator: VQVAE, archive: Archive) -> None:
    retrained, report = WeightedRetraining(batch_size=16).retrain(
        generator, archive, seed=0, round_=1
    )
    assert retrained.version != generator.version
    assert report.rows == 52
    assert report.measures["reconstruction"] > 0


def test_another_seed_gives_another_generator(generator: VQVAE, archive: Archive) -> None:
    versions = {
        WeightedRetraining().retrain(generator, archive, seed=seed, round_=1)[0].version
        for seed in (0, 1)
    }
    assert len(versions) == 2


def test_it_is_due_before_the_first_query_and_after_every_r() -> None:
    due = [queries for queries in range(12) if WeightedRetraining(every=5).due(queries)]
    assert due == [0, 5, 10]
    assert not any(NoRetraining().due(queries) for queries in range(12))


def test_no_retraining_keeps_generator_and_weights_even() -> None:
    archive = training_set(8)
    generator, report = NoRetraining().retrain(Mosaic(), archive, seed=0, round_=1)
    assert generator == Mosaic()
    assert report.rows == 8
    np.testing.assert_array_equal(NoRetraining().weights(archive), np.full(8, 1 / 8))


def test_only_a_vqvae_can_be_fine_tuned() -> None:
    with pytest.raises(ConfigError, match=r"not a Mosaic: use retrainer=none"):
        WeightedRetraining().retrain(Mosaic(), training_set(8), seed=0, round_=1)


@pytest.mark.parametrize(
    ("settings", "key"),
    [({"every": 0}, "retrainer.every"), ({"k": 0}, "retrainer.k"), ({"k": np.nan}, "retrainer.k")],
)
def test_settings_that_mean_nothing_are_refused(settings: dict, key: str) -> None:
    with pytest.raises(ConfigError, match=key):
        WeightedRetraining(**settings)


def test_a_long_run_meets_few_lengths_of_batches(
    generator: VQVAE, archive: Archive, drawn: list[Batches], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of an archive that grows by one from round to round; before, its share is drawn exactly."""
    monkeypatch.setattr(weighted, "LONG_RUN", 42)
    how = WeightedRetraining(epochs=1.0, batch_size=64)
    image, code = np.zeros((1, 3, 16, 16), np.uint8), np.zeros((1, 2, 2), int)
    for round_ in range(2, 102):
        how.retrain(generator, archive, seed=0, round_=round_)
        archive.add(image, np.zeros(1), code, generator.version)
    draws = np.array([sum(map(len, batches)) for batches in drawn])
    archived = 52 + np.arange(100)
    np.testing.assert_array_equal(draws[:40], archived[:40])
    assert np.abs(draws[40:] - archived[40:]).max() <= weighted.GRAIN / 2
    assert {len(batches[-1]) for batches in drawn[40:]} <= {16, 32, 48, 64}
