"""How the generator's own samples are measured, and when they have settled."""

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from toys import Mosaic, WeightedGrey, training_set

from pipeline.shift import Samples, Settled, ShiftMonitor
from vqlso.archive import Archive
from vqlso.images import to_unit


def even(archive: Archive) -> np.ndarray:
    return np.full(len(archive), 1 / len(archive))


def observed(archive: Archive, weights: np.ndarray, round_: int = 0, **settings) -> Samples:
    monitor = ShiftMonitor(WeightedGrey(), **{"samples": 300, "components": 4} | settings)
    return monitor.observe(Mosaic(), archive, weights, round_)


def test_samples_resemble_the_archive() -> None:
    archive = training_set(200)
    samples = observed(archive, even(archive), judge=WeightedGrey())
    assert samples.images.shape == (300, 3, 4, 4)
    np.testing.assert_array_equal(samples.degrees, samples.judged)
    np.testing.assert_allclose(samples.degrees, WeightedGrey()(to_unit(samples.images)))
    spread = archive.scores.std() / np.sqrt(200)
    assert samples.degrees.mean() == pytest.approx(archive.scores.mean(), abs=5 * spread)


def test_weights_move_the_samples() -> None:
    archive = training_set(200)
    best = (archive.scores >= np.quantile(archive.scores, 0.9)).astype(float)
    plain = observed(archive, even(archive))
    weighted = observed(archive, best / best.sum())
    assert weighted.degrees.mean() > plain.degrees.mean() + archive.scores.std() / 2


def test_each_round_and_seed_samples_anew_and_repeatably() -> None:
    archive = training_set()
    first, again, later, other = (
        observed(archive, even(archive), round_, seed=seed).degrees
        for round_, seed in ((0, 0), (0, 0), (1, 0), (0, 1))
    )
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, later)
    assert not np.array_equal(first, other)


@dataclass(frozen=True)
class Fails(WeightedGrey):
    """Fails for images brighter than the limit, with all images of their batch."""

    limit: float = 0.5

    def __call__(self, images: Tensor) -> np.ndarray:
        if images.mean(dim=(1, 2, 3)).max() > self.limit:
            raise RuntimeError("too bright")
        return super().__call__(images)


def test_samples_that_cannot_be_scored_are_left_out() -> None:
    archive = training_set()
    monitor = ShiftMonitor(Fails(), judge=WeightedGrey(), samples=100, components=4)
    samples = monitor.observe(Mosaic(), archive, even(archive), 0)
    assert 0 < len(samples.degrees) < 100
    assert len(samples.images) == len(samples.judged) == len(samples.degrees)
    assert to_unit(samples.images).mean(dim=(1, 2, 3)).max() <= 0.5


def test_no_sample_at_all_is_no_measurement() -> None:
    archive = training_set()
    monitor = ShiftMonitor(Fails(limit=-1.0), samples=20, components=4)
    assert monitor.observe(Mosaic(), archive, even(archive), 0).facts() == {}


def test_facts_are_mean_and_quantiles() -> None:
    degrees = np.arange(101.0)
    facts = Samples(np.empty((101, 3, 4, 4), np.uint8), degrees, degrees / 2).facts()
    assert facts == {"mean": 50, "q05": 5, "median": 50, "q95": 95, "judge_mean": 25}
    without = Samples(np.empty((101, 3, 4, 4), np.uint8), degrees, np.empty(0)).facts()
    assert without["judge_mean"] is None


@pytest.mark.parametrize(
    ("means", "reached"),
    [
        ([1.0, 1.0, 1.0], False),  # fewer than twice the patience
        ([1.0, 1.0, 1.0, 1.0], True),
        ([0.0, 5.0, 1.0, 1.0, 1.0, 1.0], True),  # what lay before does not matter
        ([1.0, 1.0, 1.0, 1.05], True),  # 0.025 between the means of two rounds
        ([1.0, 1.0, 1.0, 1.07], False),
        ([1.0, 1.0, 1.0, 0.93], False),  # falling is moving, too
        ([1.0, 3.0, 3.0, 1.0], True),  # swings with the same mean
    ],
)
def test_settled_compares_the_means_of_two_spans(means: list[float], reached: bool) -> None:
    assert Settled(patience=2, tolerance=0.03).reached(means) is reached


@given(st.lists(st.floats(-5, 5), max_size=12))
def test_without_patience_nothing_ever_settles(means: list[float]) -> None:
    assert not Settled(patience=0).reached(means)


@given(st.integers(1, 4), st.floats(0.01, 1), st.floats(-5, 5), st.floats(-2, 2))
def test_a_straight_line_settles_when_its_rise_over_a_span_is_small(
    patience: int, tolerance: float, start: float, slope: float
) -> None:
    """Two spans of p rounds on a line lie p * slope apart."""
    means = [start + slope * round_ for round_ in range(2 * patience)]
    rise = abs(patience * slope)
    if abs(rise - tolerance) > 1e-9:
        assert Settled(patience, tolerance).reached(means) is (rise < tolerance)
