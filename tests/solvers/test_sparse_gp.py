"""The sparse GP against an exact one, and what its settings choose."""

import sys
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from solvers.contracts import ProbabilisticSurrogate
from solvers.surrogates import gaussian_process
from solvers.surrogates.gaussian_process import SparseGP
from vqlso.errors import MissingExtraError, SolverError

pytest.importorskip("gpytorch")

Floats = NDArray[np.float64]


def waves(n: int = 200, seed: int = 0) -> tuple[Floats, Floats]:
    rng = np.random.default_rng(seed)
    z = np.array([3.0, 0.0]) + rng.normal(size=(n, 2)) * np.array([4.0, 0.3])
    return z, np.sin(0.5 * z[:, 0]) + 2 * z[:, 1] + 0.1 * rng.normal(size=n)


def small(**settings: Any) -> SparseGP:
    return SparseGP(**{"inducing": 40, "epochs": 30, "batch_size": 100} | settings)


@pytest.fixture(scope="module")
def fitted() -> SparseGP:
    model = small()
    model.fit(*waves())
    return model


def test_it_is_a_probabilistic_surrogate(fitted: SparseGP) -> None:
    assert isinstance(fitted, ProbabilisticSurrogate)


def test_it_learns_what_it_was_not_shown(fitted: SparseGP) -> None:
    z, y = waves(300, seed=1)
    assert np.corrcoef(fitted.predict(z), y)[0, 1] > 0.95


def test_with_an_inducing_point_a_sample_it_is_the_exact_process() -> None:
    """Rasmussen and Williams 2006, eqs. 2.25 and 2.26, at the fitted kernel and noise."""
    z, y = waves(40)
    model = small(inducing=40, epochs=400, batch_size=40, learning_rate=1e-4)
    model.fit(z, y)
    network = model._fitted()
    lengths = network.covar_module.base_kernel.lengthscale.numpy()[0]
    size, noise = network.covar_module.outputscale.item(), network.likelihood.noise.item()
    prior = network.mean_module.constant.item()

    def scaled(latents: Floats) -> Floats:
        return (latents - z.mean(axis=0)) / z.std(axis=0) / lengths

    def kernel(first: Floats, second: Floats) -> Floats:
        return size * np.exp(-0.5 * ((first[:, None] - second) ** 2).sum(axis=2))

    x, new = scaled(z), waves(20, seed=2)[0]
    cross = kernel(scaled(new), x)
    inverse = np.linalg.inv(kernel(x, x) + noise * np.eye(40))
    mean = prior + cross @ inverse @ ((y - y.mean()) / y.std() - prior)
    variance = size - np.einsum("ij,jk,ik->i", cross, inverse, cross)
    found_mean, found_deviation = model.posterior(new)
    np.testing.assert_allclose(found_mean, y.mean() + y.std() * mean, atol=0.01 * y.std())
    np.testing.assert_allclose(found_deviation, y.std() * np.sqrt(variance), rtol=0.05)


def test_gradients_are_those_of_the_posterior(fitted: SparseGP) -> None:
    z = waves(5, seed=3)[0]
    mean, deviation, mean_slope, deviation_slope = fitted.posterior_gradient(z)
    np.testing.assert_allclose([mean, deviation], fitted.posterior(z), rtol=1e-9)
    for axis, step in enumerate(1e-4 * np.eye(2)):
        above, below = fitted.posterior(z + step), fitted.posterior(z - step)
        for slope, high, low in zip((mean_slope, deviation_slope), above, below, strict=True):
            np.testing.assert_allclose(slope[:, axis], (high - low) / 2e-4, rtol=1e-3, atol=1e-5)


def test_it_is_less_sure_off_the_data(fitted: SparseGP) -> None:
    z = waves()[0]
    on, off = fitted.posterior(z)[1], fitted.posterior(z + 100)[1]
    assert off.min() > 3 * np.median(on)


def test_the_units_of_scores_and_latents_do_not_matter(fitted: SparseGP) -> None:
    z, y = waves()
    model = small()
    model.fit(8 * z, 64 * y - 1024)
    mean, deviation = fitted.posterior(z)
    scaled_mean, scaled_deviation = model.posterior(8 * z)
    np.testing.assert_allclose(scaled_mean, 64 * mean - 1024, rtol=1e-6)
    np.testing.assert_allclose(scaled_deviation, 64 * deviation, rtol=1e-6)


def test_the_best_samples_and_random_others_are_taken() -> None:
    z, y = waves(100)
    model = small(rows=(10, 30), epochs=1)
    chosen = model._chosen(gaussian_process.checked_vectors(z, y, None))
    assert len(chosen.y) == 40
    assert set(np.sort(y)[-10:]) <= set(chosen.y)
    assert len(set(chosen.y)) == 40
    assert chosen.y.min() < np.median(y)
    assert model.fit(z, y).rows == 40


def test_fewer_samples_are_all_taken() -> None:
    z, y = waves(25)
    assert small(rows=(20, 30), epochs=1).fit(z, y).rows == 25


def test_heavy_samples_draw_the_fit() -> None:
    z, y = waves()
    model = small()
    model.fit(z, y, np.where(y > 0, 1.0, 0.01))
    high = model.predict(z).mean()
    model.fit(z, y)
    assert high > model.predict(z).mean()


def test_the_seed_decides_and_the_global_one_is_left_alone() -> None:
    import torch

    z, y = waves(60)
    torch.manual_seed(3)
    expected = torch.rand(1)
    models = [small(seed=seed, epochs=2, inducing=10) for seed in (1, 1, 2)]
    for model in models:
        torch.manual_seed(3)
        model.fit(z, y)
        assert torch.rand(1) == expected
    first, same, other = (model.predict(z) for model in models)
    np.testing.assert_array_equal(first, same)
    assert not np.array_equal(first, other)


def test_chunks_do_not_show(fitted: SparseGP, monkeypatch: pytest.MonkeyPatch) -> None:
    z = waves(20)[0]
    whole = fitted.posterior(z)
    monkeypatch.setattr(gaussian_process, "CHUNK", 7)
    np.testing.assert_allclose(fitted.posterior(z), whole, rtol=1e-9)


def test_it_predicts_only_what_it_was_fitted_to(fitted: SparseGP) -> None:
    with pytest.raises(SolverError, match="has not been fitted"):
        small().predict(np.zeros((1, 2)))
    with pytest.raises(SolverError, match="2 dimensions; got latents of 3"):
        fitted.predict(np.zeros((1, 3)))


@pytest.mark.parametrize(
    "setting",
    [{"inducing": 0}, {"epochs": 0}, {"rows": (0, 0)}, {"rows": (-1, 5)}, {"learning_rate": 0.0}],
)
def test_settings_are_positive(setting: dict[str, Any]) -> None:
    with pytest.raises(SolverError):
        SparseGP(**setting)


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gpytorch", None)
    monkeypatch.delitem(sys.modules, "solvers.surrogates.variational_gp", raising=False)
    with pytest.raises(MissingExtraError, match=r"gpytorch.*\.\[bayes\]"):
        SparseGP()
