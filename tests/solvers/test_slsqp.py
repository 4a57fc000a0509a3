"""The inner search against closed forms, and against an engine that lies."""

from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from gaussian_density import GaussianDensity
from numpy.typing import NDArray
from scipy.spatial.distance import pdist

from solvers import slsqp
from solvers.contracts import LatentDensityLike
from solvers.slsqp import maximize_acquisition
from vqlso.errors import SolverError

Floats = NDArray[np.float64]
DENSITY = GaussianDensity(
    np.array([1.0, -2.0, 0.5]),
    np.array([[2.0, 0.5, 0.0], [0.5, 1.0, -0.3], [0.0, -0.3, 0.5]]),
    np.empty((0, 3)),
)
THRESHOLD = -7.0
SLOPE = np.array([1.0, 2.0, -1.0])


@dataclass(frozen=True)
class Known:
    """An acquisition of given value and slope."""

    value: Callable[[Floats], Floats]
    slope: Callable[[Floats], Floats]

    def __call__(self, z: Floats) -> Floats:
        return self.value(z)

    def gradient(self, z: Floats) -> tuple[Floats, Floats]:
        return self.value(z), self.slope(z)


LINEAR = Known(lambda z: z @ SLOPE, lambda z: np.broadcast_to(SLOPE, z.shape))
# Many hills, so that starts end apart.
HILLS = Known(lambda z: np.cos(4 * z).sum(axis=1), lambda z: -4 * np.sin(4 * z))


def run(acquisition: Known = LINEAR, count: int = 3, **settings: Any) -> Floats:
    settings = {"samples": 2000, "successes": 4, "rng": np.random.default_rng(0)} | settings
    return maximize_acquisition(acquisition, DENSITY, THRESHOLD, count=count, **settings)


def feasible(z: Floats) -> bool:
    return bool((DENSITY.log_likelihood(z) >= THRESHOLD).all())


def best_samples(acquisition: Known, count: int) -> Floats:
    """What the search starts from."""
    z = DENSITY.sample(2000, np.random.default_rng(0))
    z = z[DENSITY.log_likelihood(z) >= THRESHOLD]
    return z[np.argsort(-acquisition(z))[:count]]


def test_the_toy_is_a_density() -> None:
    assert isinstance(DENSITY, LatentDensityLike)


def test_the_best_lies_where_the_boundary_is_furthest() -> None:
    best = run()[0]
    exact = DENSITY.furthest(SLOPE, THRESHOLD)
    assert feasible(best[None])
    assert SLOPE @ best == pytest.approx(SLOPE @ exact, abs=1e-4)
    np.testing.assert_allclose(best, exact, atol=1e-2)


def test_an_optimum_inside_is_found_without_the_boundary() -> None:
    target = DENSITY.mean + 0.3
    bowl = Known(lambda z: -np.sum((z - target) ** 2, axis=1), lambda z: -2 * (z - target))
    np.testing.assert_allclose(run(bowl)[0], target, atol=1e-3)


@pytest.mark.parametrize("acquisition", [LINEAR, HILLS], ids=["linear", "hills"])
@pytest.mark.parametrize("threshold_share", [0.05, 0.5, 0.95])
def test_every_latent_is_feasible_sorted_and_apart(
    acquisition: Known, threshold_share: float
) -> None:
    threshold = float(
        np.quantile(
            DENSITY.log_likelihood(DENSITY.sample(500, np.random.default_rng(1))), threshold_share
        )
    )
    z = maximize_acquisition(
        acquisition,
        DENSITY,
        threshold,
        count=6,
        samples=2000,
        min_distance=0.2,
        rng=np.random.default_rng(0),
    )
    assert z.shape == (6, 3)
    assert (DENSITY.log_likelihood(z) >= threshold).all()
    assert (np.diff(acquisition(z)) <= 0).all()
    assert pdist(z).min() >= 0.2


def test_hills_are_climbed_to_their_tops() -> None:
    z = run(HILLS, count=4)
    assert HILLS(z)[0] == pytest.approx(3.0, abs=1e-5)
    assert (HILLS(z) >= HILLS(best_samples(HILLS, 4))).all()


def test_equal_ends_are_dropped_and_samples_fill_up() -> None:
    """A linear acquisition has one maximiser, whatever the start."""
    z = run(count=5, successes=3)
    samples = best_samples(LINEAR, 12)
    from_samples = [bool((samples == each).all(axis=1).any()) for each in z]
    assert from_samples == [False, True, True, True, True]
    np.testing.assert_array_equal(z[1:], samples[3:7])


def lying(z: Callable[[Floats], Floats], success: bool = True) -> Callable[..., Any]:
    return lambda loss, start, **_: SimpleNamespace(x=z(start), success=success)


@pytest.mark.parametrize(
    "end",
    [
        lambda start: start + 100 * SLOPE,
        lambda start: start - 0.01 * SLOPE,
        lambda start: np.full_like(start, np.nan),
    ],
    ids=["infeasible", "worse", "no number"],
)
def test_bad_ends_give_way_to_their_starts(monkeypatch: pytest.MonkeyPatch, end) -> None:
    monkeypatch.setattr(slsqp, "minimize", lying(end))
    np.testing.assert_array_equal(run(count=3), best_samples(LINEAR, 3))


@pytest.mark.parametrize(
    ("step", "success", "runs"),
    [
        (0.0, True, 4),
        (0.0, False, 4 * slsqp.PATIENCE),
        (100.0, True, 4 * slsqp.PATIENCE),
    ],
    ids=["converged", "not converged", "infeasible"],
)
def test_runs_end_with_the_successes_or_with_the_patience(
    monkeypatch: pytest.MonkeyPatch, step: float, success: bool, runs: int
) -> None:
    starts = []

    def recorded(loss, start, **_: Any) -> Any:
        starts.append(start)
        return SimpleNamespace(x=start + step * SLOPE, success=success)

    monkeypatch.setattr(slsqp, "minimize", recorded)
    run(successes=4)
    np.testing.assert_array_equal(starts, best_samples(LINEAR, runs))


def test_an_end_that_did_not_converge_counts_if_it_is_better(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    inside = DENSITY.mean + 0.99 * (DENSITY.furthest(SLOPE, THRESHOLD) - DENSITY.mean)
    monkeypatch.setattr(slsqp, "minimize", lying(lambda _: inside, success=False))
    np.testing.assert_array_equal(run(count=1)[0], inside)


def test_chunks_do_not_change_what_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slsqp, "CHUNK", 300)
    monkeypatch.setattr(slsqp, "minimize", lying(lambda start: start))
    np.testing.assert_array_equal(run(count=3), best_samples(LINEAR, 3))


def test_the_same_stream_gives_the_same_latents() -> None:
    np.testing.assert_array_equal(run(HILLS), run(HILLS))
    assert not np.array_equal(run(HILLS), run(HILLS, rng=np.random.default_rng(1)))


def test_a_threshold_above_the_density_is_an_error() -> None:
    with pytest.raises(SolverError, match="lower the quantile"):
        maximize_acquisition(
            LINEAR, DENSITY, 10.0, count=1, samples=100, rng=np.random.default_rng(0)
        )


def test_too_few_distinct_latents_are_an_error() -> None:
    with pytest.raises(SolverError, match="draw more samples"):
        run(count=3, min_distance=1e3)
