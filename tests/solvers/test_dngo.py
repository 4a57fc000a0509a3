"""DNGO and its parts: the network against torch, the regression against its closed forms."""

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.stats import multivariate_normal

from solvers.contracts import ProbabilisticSurrogate
from solvers.surrogates import dngo
from solvers.surrogates.bayesian_linear import BayesianLinear
from solvers.surrogates.dngo import DNGO
from solvers.surrogates.tanh_network import TanhNetwork
from vqlso.errors import SolverError

Floats = NDArray[np.float64]


def waves(n: int = 300, seed: int = 0) -> tuple[Floats, Floats]:
    """Latents around (5, -1, 0) of unlike spread, and smooth scores with some noise."""
    rng = np.random.default_rng(seed)
    z = np.array([5.0, -1.0, 0.0]) + rng.normal(size=(n, 3)) * np.array([2.0, 0.1, 1.0])
    y = np.sin(z[:, 0]) + 3 * z[:, 1] + 0.05 * rng.normal(size=n)
    return z, y


def small(**settings: Any) -> DNGO:
    return DNGO(**{"hidden": (12, 8), "epochs": 30} | settings)


def problem(n: int = 40, m: int = 4) -> tuple[Floats, Floats, Floats]:
    """Features, targets and weights of a linear regression."""
    rng = np.random.default_rng(3)
    features = np.column_stack([np.tanh(rng.normal(size=(n, m - 1))), np.ones(n)])
    targets = features @ rng.normal(size=m) + 0.3 * rng.normal(size=n)
    weight = rng.uniform(0.2, 2, n)
    return features, targets / targets.std(), weight / weight.mean()


def log_marginal(features: Floats, targets: Floats, weight: Floats, alpha: float, beta: float):
    covariance = features @ features.T / alpha + np.diag(1 / (beta * weight))
    return multivariate_normal(np.zeros(len(targets)), covariance).logpdf(targets)


def test_training_is_torchs() -> None:
    """The same first weights, loss and step size lead to the same weights after 30 steps."""
    rng = np.random.default_rng(0)
    x, y, weight = rng.normal(size=(20, 3)), rng.normal(size=20), rng.uniform(0, 2, 20)
    network = TanhNetwork.drawn((3, 6, 5, 1), rng).double()
    peer = torch.nn.Sequential(
        torch.nn.Linear(3, 6), torch.nn.Tanh(), torch.nn.Linear(6, 5), torch.nn.Tanh(),
        torch.nn.Linear(5, 1),
    ).double()  # fmt: skip
    with torch.no_grad():
        for layer, weights, biases in zip(peer[::2], network.weights, network.biases, strict=True):
            layer.weight.copy_(torch.from_numpy(weights.T.copy()))
            layer.bias.copy_(torch.from_numpy(biases.copy()))
    adam = torch.optim.Adam(peer.parameters(), lr=0.01)
    for _ in range(30):
        adam.zero_grad()
        error = peer(torch.from_numpy(x))[:, 0] - torch.from_numpy(y)
        (torch.from_numpy(weight) * error**2).mean().backward()
        adam.step()
    network.train(x, y, weight, epochs=30, batch_size=20, learning_rate=0.01, rng=rng)
    for layer, weights, biases in zip(peer[::2], network.weights, network.biases, strict=True):
        np.testing.assert_allclose(weights.T, layer.weight.detach(), atol=1e-6)
        np.testing.assert_allclose(biases, layer.bias.detach(), atol=1e-6)


def test_every_sample_is_seen_once_an_epoch_in_another_order() -> None:
    seen: list[Floats] = []

    class Spy(TanhNetwork):
        def hidden(self, x: Any) -> Any:
            seen.append(x.copy())
            return super().hidden(x)

    x = np.arange(7.0, dtype=np.float32)[:, None]
    drawn = TanhNetwork.drawn((1, 2, 1), np.random.default_rng(0))
    Spy(drawn.sizes, drawn.parameters).train(
        x, x[:, 0], np.ones(7, dtype=np.float32),
        epochs=2, batch_size=3, learning_rate=0.01, rng=np.random.default_rng(0),
    )  # fmt: skip
    assert [len(batch) for batch in seen] == [3, 3, 1, 3, 3, 1]
    first, second = np.concatenate(seen[:3])[:, 0], np.concatenate(seen[3:])[:, 0]
    assert sorted(first) == sorted(second) == list(range(7))
    assert first.tolist() != second.tolist()


def test_the_regression_is_the_closed_form() -> None:
    features, targets, weight = problem()
    fitted = BayesianLinear.fit(features, targets, weight)
    noise = np.diag(weight)
    covariance = np.linalg.inv(
        fitted.alpha * np.eye(4) + fitted.beta * features.T @ noise @ features
    )
    coefficients = fitted.beta * covariance @ features.T @ noise @ targets
    new = np.random.default_rng(9).normal(size=(6, 4))
    mean, deviation = fitted.posterior(new)
    np.testing.assert_allclose(mean, new @ coefficients, rtol=1e-9)
    expected = np.sqrt([row @ covariance @ row + 1 / fitted.beta for row in new])
    np.testing.assert_allclose(deviation, expected, rtol=1e-9)


def test_the_evidence_is_the_density_of_the_targets() -> None:
    features, targets, weight = problem()
    fitted = BayesianLinear.fit(features, targets, weight)
    exact = log_marginal(features, targets, weight, fitted.alpha, fitted.beta)
    assert fitted.evidence == pytest.approx(exact, rel=1e-9)


def test_no_precisions_on_a_grid_are_more_likely() -> None:
    features, targets, weight = problem()
    fitted = BayesianLinear.fit(features, targets, weight)
    grid = np.geomspace(1e-3, 1e3, 61)
    values = np.array(
        [[log_marginal(features, targets, weight, alpha, beta) for beta in grid] for alpha in grid]
    )
    assert fitted.evidence >= values.max()
    alpha, beta = np.unravel_index(values.argmax(), values.shape)
    assert grid[alpha] == pytest.approx(fitted.alpha, rel=0.26)
    assert grid[beta] == pytest.approx(fitted.beta, rel=0.26)


def test_the_evidence_finds_the_noise() -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(5000, 3))
    targets = features @ np.array([0.5, -0.5, 0.5]) + 0.5 * rng.normal(size=5000)
    assert BayesianLinear.fit(features, targets, np.ones(5000)).beta == pytest.approx(4, rel=0.1)


def test_more_targets_make_the_regression_surer() -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(4000, 3))
    targets = features @ np.array([0.5, -0.5, 0.5]) + 0.5 * rng.normal(size=4000)
    few = BayesianLinear.fit(features[:40], targets[:40], np.ones(40)).root
    many = BayesianLinear.fit(features, targets, np.ones(4000)).root
    # The variance of a coefficient falls with the number of targets.
    assert np.trace(many @ many.T) == pytest.approx(np.trace(few @ few.T) / 100, rel=0.5)


def test_it_is_a_probabilistic_surrogate() -> None:
    assert isinstance(small(), ProbabilisticSurrogate)


def test_it_learns_what_it_was_not_shown() -> None:
    model = small()
    model.fit(*waves(1000))
    z, y = waves(500, seed=1)
    assert np.corrcoef(model.predict(z), y)[0, 1] > 0.95


def test_the_report_says_how_much_is_explained() -> None:
    z, y = waves()
    model = small()
    report = model.fit(z, y)
    residual = y - model.predict(z)
    assert report.rows == len(y)
    assert report.measures["r2"] == pytest.approx(1 - residual.var() / y.var(), abs=1e-3)


def test_gradients_are_those_of_the_posterior() -> None:
    model = small(hidden=(7, 6, 5))
    model.fit(*waves())
    z = waves(6, seed=2)[0]
    mean, deviation, mean_slope, deviation_slope = model.posterior_gradient(z)
    np.testing.assert_array_equal([mean, deviation], model.posterior(z))
    for axis, step in enumerate(1e-5 * np.eye(3)):
        above, below = model.posterior(z + step), model.posterior(z - step)
        for slope, high, low in zip((mean_slope, deviation_slope), above, below, strict=True):
            np.testing.assert_allclose(slope[:, axis], (high - low) / 2e-5, rtol=1e-4, atol=1e-7)


def test_the_seed_decides() -> None:
    z, y = waves()
    models = [small(seed=seed) for seed in (1, 1, 2)]
    for model in models:
        model.fit(z, y)
    first, same, other = (model.predict(z) for model in models)
    np.testing.assert_array_equal(first, same)
    assert not np.array_equal(first, other)


def test_the_units_of_scores_and_latents_do_not_matter() -> None:
    z, y = waves()
    plain, scaled = small(epochs=3), small(epochs=3)
    plain.fit(z, y)
    scaled.fit(8 * z, 64 * y - 1024)
    mean, deviation = plain.posterior(z)
    scaled_mean, scaled_deviation = scaled.posterior(8 * z)
    np.testing.assert_allclose(scaled_mean, 64 * mean - 1024, rtol=1e-4)
    np.testing.assert_allclose(scaled_deviation, 64 * deviation, rtol=1e-3)


def test_it_is_less_sure_off_the_data() -> None:
    model = small(epochs=300)
    z = np.linspace(-1, 1, 40)[:, None]
    model.fit(z, np.sin(3 * z[:, 0]))
    on, off = model.posterior(z)[1], model.posterior(np.array([[-4.0], [4.0]]))[1]
    assert off.min() > 3 * on.max()


def test_samples_of_weight_zero_are_as_if_they_were_not_there() -> None:
    z, y = waves()
    without, weighted = small(), small()
    kept = np.arange(len(y)) % 3 > 0
    without.fit(z[kept], y[kept])
    weighted.fit(z, np.where(kept, y, 1e6), 0.5 * kept)
    np.testing.assert_array_equal(without.predict(z), weighted.predict(z))


def test_equal_scores_are_predicted_as_they_are() -> None:
    z = waves(30)[0]
    z[:, 1] = 4.0
    model = small(epochs=1)
    report = model.fit(z, np.full(30, 1.7))
    np.testing.assert_allclose(model.predict(z), 1.7, atol=1e-4)
    assert report.measures["r2"] == 0
    assert all(np.isfinite(part).all() for part in model.posterior_gradient(z))


def test_chunks_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    model = small(epochs=1)
    z, y = waves()
    model.fit(z, y)
    whole = model.posterior(z)
    monkeypatch.setattr(dngo, "CHUNK", 7)
    np.testing.assert_allclose(model.posterior(z), whole, rtol=1e-12)


@pytest.mark.parametrize(
    ("z", "y", "weight", "said"),
    [
        (np.zeros((3, 2)), np.zeros(2), None, "3 latents"),
        (np.zeros((0, 2)), np.zeros(0), None, "0 latents"),
        (np.zeros((3, 2), dtype=int), np.zeros(3), None, "real vectors"),
        (np.zeros((3, 2, 2)), np.zeros(3), None, "real vectors"),
        (np.full((3, 2), np.inf), np.zeros(3), None, "finite"),
        (np.zeros((3, 2)), np.array([0, np.nan, 0]), None, "Scores must be finite"),
        (np.zeros((3, 2)), np.zeros(3), np.ones(2), "as many weights"),
        (np.zeros((3, 2)), np.zeros(3), -np.ones(3), "Weights must be"),
        (np.zeros((3, 2)), np.zeros(3), np.zeros(3), "Weights must be"),
    ],
)
def test_bad_samples_are_refused(z: Any, y: Any, weight: Any, said: str) -> None:
    with pytest.raises(SolverError, match=said):
        small().fit(z, y, weight)


def test_it_predicts_only_what_it_was_fitted_to() -> None:
    model = small(epochs=1)
    with pytest.raises(SolverError, match="has not been fitted"):
        model.predict(np.zeros((1, 3)))
    model.fit(*waves(20))
    with pytest.raises(SolverError, match="3 dimensions; got latents of 2"):
        model.posterior_gradient(np.zeros((1, 2)))


@pytest.mark.parametrize(
    "setting", [{"hidden": ()}, {"hidden": (0,)}, {"epochs": 0}, {"batch_size": 0},
                {"learning_rate": 0.0}],
)  # fmt: skip
def test_settings_are_positive(setting: dict[str, Any]) -> None:
    with pytest.raises(SolverError, match="DNGO needs"):
        DNGO(**setting)
