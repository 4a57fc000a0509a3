"""The ex-post density: exact special cases, its gradient, its samples."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from vqlso.errors import ConfigError, DataError, LatentSpaceError
from vqlso.generators.latent_density import LatentDensity

Floats = NDArray[np.float64]


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def mixture(C: int, d: int, seed: int) -> tuple[LatentDensity, Floats]:
    """A mixture whose covariances are known, and these."""
    random = rng(seed)
    roots = random.standard_normal((C, d, d)) + 2 * np.eye(d)
    covariances = roots @ roots.transpose(0, 2, 1)
    whitening = np.stack([np.linalg.inv(np.linalg.cholesky(c)).T for c in covariances])
    means = 3 * random.standard_normal((C, d))
    mixing = random.dirichlet(np.full(C, 3.0))
    return LatentDensity(mixing, means, whitening, np.empty(0)), covariances


def planted(n: int, seed: int = 0) -> Floats:
    """Two clusters far apart, 30 % in the first."""
    random = rng(seed)
    first = random.random(n) < 0.3
    return np.where(first[:, None], -5.0, 5.0) + random.standard_normal((n, 3))


def test_one_component_is_the_multivariate_normal_of_the_data() -> None:
    z = rng().standard_normal((500, 4)) @ rng(1).standard_normal((4, 4)) + 2
    density = LatentDensity.fit(z, rng=rng(), components=1)
    covariance = np.cov(z.T, bias=True) + 1e-6 * np.eye(4)  # scikit-learn's regularisation
    expected = stats.multivariate_normal(z.mean(0), covariance).logpdf(z)
    np.testing.assert_allclose(density.log_likelihood(z), expected, rtol=1e-6)
    np.testing.assert_allclose(density.fitted, expected, rtol=1e-6)


@settings(max_examples=30, deadline=None)
@given(C=st.integers(1, 5), d=st.integers(1, 6), seed=st.integers(0, 1000))
def test_log_likelihood_is_that_of_scipys_normals(C: int, d: int, seed: int) -> None:
    density, covariances = mixture(C, d, seed)
    z = 4 * rng(seed + 1).standard_normal((20, d))
    normals = [
        stats.multivariate_normal(mean, covariance)
        for mean, covariance in zip(density.means, covariances, strict=True)
    ]
    total = sum(w * normal.pdf(z) for w, normal in zip(density.mixing, normals, strict=True))
    np.testing.assert_allclose(np.exp(density.log_likelihood(z)), total, rtol=1e-6)


def test_the_density_integrates_to_one() -> None:
    density, _ = mixture(3, 2, seed=4)
    axis, width = np.linspace(-40, 40, 801, retstep=True)
    grid = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    volume = np.exp(density.log_likelihood(grid)).sum() * width**2
    assert volume == pytest.approx(1, abs=1e-3)


@settings(max_examples=30, deadline=None)
@given(C=st.integers(1, 5), d=st.integers(1, 6), seed=st.integers(0, 1000))
def test_the_gradient_is_that_of_finite_differences(C: int, d: int, seed: int) -> None:
    density, _ = mixture(C, d, seed)
    z = 4 * rng(seed + 1).standard_normal((5, d))
    step = 1e-5
    expected = np.empty_like(z)
    for j in range(d):
        offset = step * np.eye(d)[j]
        rise = density.log_likelihood(z + offset) - density.log_likelihood(z - offset)
        expected[:, j] = rise / (2 * step)
    np.testing.assert_allclose(density.log_likelihood_gradient(z), expected, rtol=1e-4, atol=1e-5)


def test_far_from_all_components_the_gradient_is_finite() -> None:
    density, _ = mixture(3, 2, seed=1)
    z = np.full((1, 2), 1e4)
    assert np.isfinite(density.log_likelihood(z)).all()
    assert np.isfinite(density.log_likelihood_gradient(z)).all()


def test_samples_have_the_mixtures_moments_and_repeat() -> None:
    density, covariances = mixture(3, 4, seed=2)
    z = density.sample(200_000, rng())
    mean = density.mixing @ density.means
    spread = density.means - mean
    covariance = np.einsum("c,cij->ij", density.mixing, covariances)
    covariance += np.einsum("c,ci,cj->ij", density.mixing, spread, spread)
    scale = np.sqrt(np.diag(covariance))
    assert np.abs((z.mean(0) - mean) / scale).max() < 0.015
    assert np.abs((np.cov(z.T) - covariance) / np.outer(scale, scale)).max() < 0.02
    np.testing.assert_array_equal(density.sample(50, rng(3)), density.sample(50, rng(3)))
    assert density.sample(0, rng()).shape == (0, 4)


def test_clusters_are_found_with_their_shares() -> None:
    density = LatentDensity.fit(planted(3000), rng=rng(), components=2)
    order = np.argsort(density.means[:, 0])
    np.testing.assert_allclose(density.mixing[order], [0.3, 0.7], atol=0.03)
    np.testing.assert_allclose(density.means[order], [[-5] * 3, [5] * 3], atol=0.15)
    assert density.log_likelihood(np.zeros((1, 3)))[0] < density.quantile(0.001)


def test_weights_shift_the_density() -> None:
    z = planted(3000)
    weights = np.where(z[:, 0] < 0, 7.0, 3.0)  # 0.3 * 7 = 0.7 * 3: the clusters weigh the same
    density = LatentDensity.fit(z, weights, rng=rng(), components=2)
    np.testing.assert_allclose(density.mixing, [0.5, 0.5], atol=0.04)
    alone = LatentDensity.fit(z, (z[:, 0] < 0).astype(float), rng=rng(), components=1)
    np.testing.assert_allclose(alone.means, [[-5] * 3], atol=0.15)


def test_of_many_rows_some_are_drawn() -> None:
    z = planted(3000)
    density = LatentDensity.fit(z, rng=rng(), components=2, max_rows=400)
    assert len(density.fitted) == 400
    np.testing.assert_allclose(np.sort(density.mixing), [0.3, 0.7], atol=0.08)
    weighted = LatentDensity.fit(z, np.ones(3000), rng=rng(), components=2, max_rows=400)
    assert len(weighted.fitted) == 400


def test_few_rows_get_few_components() -> None:
    z = rng().standard_normal((40, 9))
    density = LatentDensity.fit(z, rng=rng(), components=10)
    assert len(density.mixing) == 4
    assert len(LatentDensity.fit(z[:5], rng=rng()).mixing) == 1
    held_out = density.log_likelihood(rng(1).standard_normal((200, 9)))
    assert np.isfinite(held_out).all()


def test_a_fit_repeats_whatever_the_global_stream() -> None:
    z = planted(400)
    one = LatentDensity.fit(z, rng=rng(), components=3)
    np.random.seed(5)  # noqa: NPY002
    state = np.random.get_state()  # noqa: NPY002
    other = LatentDensity.fit(z, rng=rng(), components=3)
    np.testing.assert_array_equal(one.means, other.means)
    np.testing.assert_array_equal(one.fitted, other.fitted)
    assert state[2] == np.random.get_state()[2]  # noqa: NPY002


def test_quantiles_are_shares_of_the_fitted_latents() -> None:
    z = planted(1000)
    density = LatentDensity.fit(z, rng=rng(), components=2)
    below = density.log_likelihood(z) < density.quantile(0.1)
    assert below.sum() == 100
    assert density.quantile(0) == density.fitted.min()
    assert density.quantile(1) == density.fitted.max()
    for share in (-0.1, 1.1, np.nan):
        with pytest.raises(ConfigError, match="in \\[0, 1\\]"):
            density.quantile(share)


def test_wrong_latents_weights_and_settings_are_refused() -> None:
    z = planted(20)
    for bad in (z.astype(int), np.full((5, 3), np.nan)):
        with pytest.raises(LatentSpaceError):
            LatentDensity.fit(bad, rng=rng())
    for bad in (z[:1], z[0], z[None]):
        with pytest.raises(DataError, match="at least two latents"):
            LatentDensity.fit(bad, rng=rng())
    for weights in (np.ones(19), -np.ones(20), np.zeros(20), np.full(20, np.inf)):
        with pytest.raises(DataError, match="Weights of 20 latents"):
            LatentDensity.fit(z, weights, rng=rng())
    for setting in ({"components": 0}, {"max_rows": 0}):
        with pytest.raises(ConfigError, match="at least 1"):
            LatentDensity.fit(z, rng=rng(), **setting)
    density = LatentDensity.fit(z, rng=rng())
    for method in (density.log_likelihood, density.log_likelihood_gradient):
        with pytest.raises(LatentSpaceError, match="shape"):
            method(np.zeros((2, 4)))
