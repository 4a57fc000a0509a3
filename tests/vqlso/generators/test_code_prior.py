"""The mixture prior over code grids: EM's guarantees, exact special cases, sampling."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from vqlso.errors import ConfigError, DataError, LatentSpaceError
from vqlso.generators.code_prior import CodePrior

Codes = NDArray[np.int64]
Floats = NDArray[np.float64]


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def planted(n: int, seed: int) -> tuple[Codes, Floats, Floats]:
    """Grids of a 2-component mixture, with its weights and its (2, 3, 4, 5) probabilities."""
    random = rng(seed)
    mixing = np.array([0.3, 0.7])
    probabilities = random.dirichlet(np.full(5, 0.3), size=(2, 3, 4))
    component = random.choice(2, size=n, p=mixing)
    cumulative = probabilities.cumsum(axis=-1)[component]
    codes = (random.random((n, 3, 4, 1)) > cumulative).sum(axis=-1).clip(max=4)
    return codes, mixing, probabilities


def weighted_frequencies(codes: Codes, weights: Floats, categories: int) -> Floats:
    """(h, w, K) by loops."""
    out = np.zeros((*codes.shape[1:], categories))
    for grid, weight in zip(codes, weights / weights.sum(), strict=True):
        for i, j in itertools.product(*map(range, grid.shape)):
            out[i, j, grid[i, j]] += weight
    return out


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    n=st.integers(1, 40),
    components=st.integers(1, 6),
    smoothing=st.sampled_from([0.0, 0.01, 1.0, 50.0]),
    uniform=st.booleans(),
)
def test_em_never_loses_penalised_likelihood(
    seed: int, n: int, components: int, smoothing: float, uniform: bool
) -> None:
    codes = rng(seed).integers(0, 4, (n, 2, 3))
    weights = None if uniform else rng(seed + 1).random(n) ** 3 * (rng(seed + 2).random(n) > 0.3)
    if weights is not None and not weights.any():
        weights = None
    prior = CodePrior.fit(
        codes,
        weights,
        categories=4,
        components=components,
        smoothing=smoothing,
        iterations=15,
        rng=rng(seed + 3),
    )
    steps = np.diff(prior.trace)
    assert (steps >= -1e-9 * np.abs(prior.trace[1:])).all()
    assert np.isfinite(prior.trace).all()
    assert prior.mixing.sum() == pytest.approx(1)
    alive = prior.mixing > 0
    np.testing.assert_allclose(prior.probabilities[alive].sum(axis=-1), 1)


def test_the_trace_is_the_weighted_log_likelihood_where_nothing_is_smoothed() -> None:
    codes, weights = rng().integers(0, 3, (30, 2, 2)), rng(1).random(30)
    prior = CodePrior.fit(
        codes, weights, categories=3, components=3, smoothing=0, iterations=4, rng=rng(2)
    )
    expected = 30 * weights / weights.sum() @ prior.log_likelihood(codes)
    assert prior.trace[-1] == pytest.approx(expected)


@pytest.mark.parametrize("seed", range(5))
def test_recovers_a_planted_mixture(seed: int) -> None:
    codes, mixing, probabilities = planted(4000, seed)
    prior = CodePrior.fit(
        codes, categories=5, components=2, iterations=60, smoothing=1, rng=rng(seed)
    )
    order = np.argsort(prior.mixing)
    np.testing.assert_allclose(prior.mixing[order], mixing, atol=0.04)
    np.testing.assert_allclose(prior.probabilities[order], probabilities, atol=0.08)
    independent = CodePrior.fit(codes, categories=5, components=1, smoothing=1, rng=rng(seed))
    fresh = planted(4000, seed)[0]
    assert prior.log_likelihood(fresh).mean() > independent.log_likelihood(fresh).mean() + 0.3


@pytest.mark.parametrize("smoothing", [0.0, 0.5, 20.0])
def test_one_component_is_the_smoothed_weighted_frequencies(smoothing: float) -> None:
    codes, weights = rng(0).integers(0, 5, (12, 2, 3)), rng(1).random(12)
    prior = CodePrior.fit(
        codes, weights, categories=5, components=1, smoothing=smoothing, rng=rng()
    )
    frequency = weighted_frequencies(codes, weights, 5)
    towards = (12 * frequency + 1 / 5) / 13
    expected = (12 * frequency + smoothing * towards) / (12 + smoothing)
    np.testing.assert_allclose(prior.probabilities, expected[None], atol=1e-12)
    np.testing.assert_array_equal(prior.mixing, [1.0])


def test_scaling_the_weights_changes_nothing_and_zero_weights_remove_rows() -> None:
    codes, weights = rng(0).integers(0, 4, (50, 2, 2)), rng(1).random(50)
    one, other = (
        CodePrior.fit(codes, w, categories=4, components=4, rng=rng(2)).log_likelihood(codes)
        for w in (weights, 1000 * weights)
    )
    np.testing.assert_allclose(one, other)
    weights[10:] = 0
    only = CodePrior.fit(codes, weights, categories=4, components=1, smoothing=0, rng=rng())
    np.testing.assert_allclose(
        only.probabilities[0], weighted_frequencies(codes[:10], weights[:10], 4), atol=1e-12
    )


def test_log_likelihood_equals_the_sum_written_out_and_sums_to_one() -> None:
    codes = rng().integers(0, 3, (20, 2, 2))
    prior = CodePrior.fit(codes, categories=3, components=3, smoothing=0.5, rng=rng(1))
    every = np.array(list(itertools.product(range(3), repeat=4))).reshape(-1, 2, 2)
    by_hand = [
        sum(
            mix * np.prod([p[i, j, grid[i, j]] for i in range(2) for j in range(2)])
            for mix, p in zip(prior.mixing, prior.probabilities, strict=True)
        )
        for grid in every
    ]
    likelihood = np.exp(prior.log_likelihood(every))
    np.testing.assert_allclose(likelihood, by_hand, rtol=1e-10)
    assert likelihood.sum() == pytest.approx(1)


def test_samples_follow_the_likelihood() -> None:
    codes = rng().integers(0, 2, (12, 1, 3))
    prior = CodePrior.fit(codes, categories=2, components=4, smoothing=1, rng=rng(1))
    every = np.array(list(itertools.product(range(2), repeat=3))).reshape(-1, 1, 3)
    drawn = prior.sample(40_000, rng(2)).reshape(-1, 3) @ [4, 2, 1]
    share = np.bincount(drawn, minlength=8) / 40_000
    np.testing.assert_allclose(share, np.exp(prior.log_likelihood(every)), atol=0.01)


def test_unsmoothed_samples_contain_only_codes_seen_in_their_cell() -> None:
    codes = rng().choice([1, 4, 6], size=(30, 3, 3))
    codes[:, 0, 0] = 7  # the last code: nothing may lie beyond it
    codes[:, 2, 2] = 0
    prior = CodePrior.fit(codes, categories=8, components=5, smoothing=0, rng=rng(1))
    grids = prior.sample(2000, rng(2))
    assert grids.dtype == np.int64
    assert grids.shape == (2000, 3, 3)
    for i, j in itertools.product(range(3), repeat=2):
        assert set(grids[:, i, j]) <= set(codes[:, i, j])
    assert np.isfinite(prior.log_likelihood(grids)).all()
    assert prior.log_likelihood(np.full((1, 3, 3), 5))[0] == -np.inf


class _Extreme(np.random.Generator):
    """Draws the same number each time: the ends of [0, 1) are where rounding bites."""

    def __init__(self, value: float) -> None:
        super().__init__(np.random.PCG64(0))
        self.value = value

    def random(self, size: tuple[int, ...]) -> Floats:  # type: ignore[override]
        return np.full(size, self.value)


@pytest.mark.parametrize(("value", "expected"), [(0.0, 1), (np.nextafter(1, 0), 10)])
def test_the_ends_of_the_unit_interval_fall_on_codes_with_mass(value: float, expected: int) -> None:
    # Ten equal frequencies add up to 0.9999999999999999 in float64; codes 0 and 11 have no mass.
    codes = np.arange(1, 11).repeat(64).reshape(10, 8, 8)
    prior = CodePrior.fit(codes, categories=12, components=1, smoothing=0, rng=rng())
    assert set(prior.sample(3, _Extreme(value)).ravel()) == {expected}


def test_smoothing_leaves_no_grid_impossible() -> None:
    codes = np.zeros((10, 2, 2), dtype=np.int64)
    prior = CodePrior.fit(codes, categories=3, components=2, rng=rng())
    unseen = prior.log_likelihood(np.full((1, 2, 2), 2))[0]
    assert np.isfinite(unseen)
    assert unseen < prior.log_likelihood(codes[:1])[0]


def test_the_same_stream_repeats_fit_and_samples() -> None:
    codes = planted(300, 0)[0]
    for max_rows in (100, 1000):
        first, second = (
            CodePrior.fit(codes, categories=5, components=4, max_rows=max_rows, rng=rng(7))
            for _ in range(2)
        )
        np.testing.assert_array_equal(first.probabilities, second.probabilities)
        np.testing.assert_array_equal(first.sample(50, rng(8)), second.sample(50, rng(8)))
    assert not np.array_equal(first.sample(50, rng(8)), first.sample(50, rng(9)))


def test_too_many_rows_are_drawn_by_weight() -> None:
    codes = np.repeat(np.arange(2), 500).reshape(-1, 1, 1)
    weights = np.where(codes[:, 0, 0] == 1, 9.0, 1.0)
    prior = CodePrior.fit(
        codes, weights, categories=2, components=1, smoothing=0, max_rows=800, rng=rng()
    )
    assert prior.probabilities[0, 0, 0, 1] == pytest.approx(0.9, abs=0.04)


def test_there_are_no_more_components_than_distinct_grids() -> None:
    codes = np.array([0, 1, 0, 1, 2]).reshape(-1, 1, 1)
    prior = CodePrior.fit(codes, categories=3, components=10, smoothing=0, rng=rng())
    assert len(prior.mixing) == 3
    np.testing.assert_allclose(np.sort(prior.mixing), [0.2, 0.4, 0.4])


@pytest.mark.parametrize(
    "weights", [np.zeros(4), np.array([1, 1, 1, -1.0]), np.full(4, np.nan), np.ones(3)]
)
def test_unusable_weights_are_refused(weights: Floats) -> None:
    with pytest.raises(DataError, match="Weights"):
        CodePrior.fit(np.zeros((4, 1, 1), np.int64), weights, categories=2, rng=rng())


@pytest.mark.parametrize(
    ("codes", "error"),
    [
        (np.zeros((0, 2, 2), np.int64), DataError),
        (np.zeros((4, 2), np.int64), DataError),
        (np.full((4, 2, 2), 2), LatentSpaceError),
        (np.zeros((4, 2, 2)), LatentSpaceError),
    ],
)
def test_unusable_codes_are_refused(codes: Codes, error: type[Exception]) -> None:
    with pytest.raises(error):
        CodePrior.fit(codes, categories=2, rng=rng())


def test_unusable_settings_are_refused() -> None:
    codes = np.zeros((4, 2, 2), np.int64)
    for setting in ({"components": 0}, {"iterations": 0}, {"smoothing": -1.0}, {"max_rows": 0}):
        with pytest.raises(ConfigError, match="components"):
            CodePrior.fit(codes, categories=2, rng=rng(), **setting)  # type: ignore[arg-type]
