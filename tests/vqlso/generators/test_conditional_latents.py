"""Latents given their score, where the truth is known: scores that are linear in the latent."""

import numpy as np
import pytest

from vqlso.errors import DataError
from vqlso.generators.conditional_latents import ConditionalLatents
from vqlso.spaces import RealVectors

D = 5
MIXING = np.random.default_rng(8).standard_normal((D, D))
SLOPE = np.array([1.0, -2.0, 0.0, 0.5, 0.0])


def draw(n: int, rng: np.random.Generator) -> np.ndarray:
    return 3 + rng.standard_normal((n, D)) @ MIXING


SPACE = RealVectors("w", (D,), draw)
COVARIANCE = MIXING.T @ MIXING


def fitted(noise: float, n: int = 2000) -> ConditionalLatents:
    rng = np.random.default_rng(0)
    z = SPACE.sample(n, rng)
    spread = float(np.sqrt(SLOPE @ COVARIANCE @ SLOPE))
    scores = z @ SLOPE + noise * spread * rng.standard_normal(n)
    return ConditionalLatents.fit(SPACE, z, scores, rng)


def test_slope_and_path_are_those_of_the_normal_distribution() -> None:
    known = fitted(noise=0.0)
    np.testing.assert_allclose(known.slope, SLOPE, atol=0.05)
    path = COVARIANCE @ SLOPE / (SLOPE @ COVARIANCE @ SLOPE)
    np.testing.assert_allclose(known.path, path, atol=0.05 * np.abs(path).max())
    assert known.explained == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("noise", [0.5, 1.0, 2.0])
def test_latents_are_those_of_the_score(noise: float) -> None:
    """The conditional normal distribution: its mean and its covariance, in closed form."""
    known, asked = fitted(noise), 4.0
    rng = np.random.default_rng(1)
    latents = known.latents(SPACE.sample(20_000, rng), asked, rng)
    variance = SLOPE @ COVARIANCE @ SLOPE * (1 + noise**2)
    assert known.explained == pytest.approx(1 / (1 + noise**2), abs=0.05)
    along = COVARIANCE @ SLOPE / variance
    mean = known.centre + along * (asked - known.score)
    covariance = COVARIANCE - np.outer(along, along) * variance
    scale = np.sqrt(np.diag(COVARIANCE))
    np.testing.assert_allclose(latents.mean(0) / scale, mean / scale, atol=0.15)
    difference = (np.cov(latents.T) - covariance) / np.outer(scale, scale)
    assert np.abs(difference).max() < 0.1


def test_scores_that_latents_do_not_explain_move_nothing() -> None:
    rng = np.random.default_rng(2)
    z = SPACE.sample(200, rng)
    known = ConditionalLatents.fit(SPACE, z, rng.standard_normal(200), rng)
    assert known.explained < 0.05
    samples = SPACE.sample(5000, rng)
    moved = known.latents(samples, 3.0, rng).mean(0) - samples.mean(0)
    assert (np.abs(moved) < 0.35 * samples.std(0)).all()


@pytest.mark.parametrize(
    ("n", "scores"), [(7, np.arange(7.0)), (20, np.ones(20))], ids=["few", "alike"]
)
def test_too_few_or_equal_scores_are_refused(n: int, scores: np.ndarray) -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(DataError, match="8 or more"):
        ConditionalLatents.fit(SPACE, SPACE.sample(n, rng), scores, rng)
