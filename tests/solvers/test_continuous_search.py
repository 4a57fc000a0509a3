"""The search over real vectors: what it proposes, what it fits when, and that it arrives."""

from typing import Any

import numpy as np
import pytest
from gaussian_density import GaussianDensity
from numpy.typing import NDArray
from scipy.stats import norm

from solvers.continuous_search import ContinuousSearch
from solvers.surrogates.dngo import DNGO
from solvers.testing import SolverCase, answered
from vqlso.archive import Archive
from vqlso.errors import SolverError
from vqlso.records import Proposal, Scores, ScoreStatus, SolveStatus
from vqlso.spaces import RealVectors

Floats = NDArray[np.float64]
SPACE = RealVectors("z", (4,))


class CountedDNGO(DNGO):
    """Remembers what it was fitted to."""

    def __init__(self) -> None:
        super().__init__(hidden=(10, 10), epochs=5)
        self.rows: list[int] = []

    def fit(self, z: Floats, y: Floats, weight: Floats | None = None) -> Any:
        self.rows.append(len(z))
        return super().fit(z, y, weight)


class CountedFit:
    """Remembers what the density was fitted to."""

    def __init__(self) -> None:
        self.latents: list[Floats] = []

    def __call__(self, latents: Floats, rng: np.random.Generator) -> GaussianDensity:
        self.latents.append(latents)
        return GaussianDensity.fit(latents, rng)


def search(**settings: Any) -> ContinuousSearch:
    defaults = {"fit_density": GaussianDensity.fit, "samples": 500, "successes": 3}
    surrogate = settings.pop("surrogate", None) or CountedDNGO()
    return ContinuousSearch(SPACE, surrogate, **defaults | settings)


CASE = SolverCase(SPACE, lambda seed: search(seed=seed))


def expected_improvement(
    mean: NDArray[np.float64], deviation: NDArray[np.float64], best: float
) -> NDArray[np.float64]:
    """The textbook's form (Jones et al. 1998, eq. 15)."""
    gain = mean - best
    return gain * norm.cdf(gain / deviation) + deviation * norm.pdf(gain / deviation)


def started(**settings: Any) -> ContinuousSearch:
    solver = search(**settings)
    solver.rebase(CASE.archive())
    return solver


def test_a_proposal_states_what_it_rests_on() -> None:
    fit_density = CountedFit()
    solver = started(fit_density=fit_density, quantile=0.2)
    archive = CASE.archive()
    proposal = solver.ask(3)
    density = GaussianDensity.fit(archive.latents("first"), np.random.default_rng(0))
    assert proposal.status == (SolveStatus.UNPROVEN,) * 3
    assert np.isnan(proposal.bound).all()
    np.testing.assert_array_equal(proposal.predicted, solver.surrogate.predict(proposal.z))
    mean, deviation = solver.surrogate.posterior(proposal.z)
    np.testing.assert_allclose(
        proposal.acquisition, expected_improvement(mean, deviation, archive.scores.max())
    )
    assert (np.diff(proposal.acquisition) <= 0).all()
    assert proposal.details["threshold"] == pytest.approx(density.quantile(0.2))
    np.testing.assert_allclose(proposal.details["log_density"], density.log_likelihood(proposal.z))
    assert min(proposal.details["log_density"]) >= proposal.details["threshold"]
    assert proposal.details["seconds"].keys() == {"density", "fit", "solve"}


def test_the_reference_is_the_nearest_training_latent() -> None:
    solver = started()
    first = solver.ask(2)
    solver.tell(first, answered(first))
    # The told latents lie nearest, but are not of the training set.
    proposal = solver.ask(2)
    latents = CASE.archive().latents("first")
    distance = np.linalg.norm(proposal.z[:, None] - latents, axis=2)
    np.testing.assert_array_equal(proposal.parents, distance.argmin(axis=1))
    np.testing.assert_array_equal(proposal.controls["reference"], latents[proposal.parents])


def test_the_surrogate_is_fitted_to_everything_once_it_is_stale() -> None:
    surrogate = CountedDNGO()
    solver = started(surrogate=surrogate)
    solver.ask(1)
    proposal = solver.ask(2)
    assert solver.ask(1).details["seconds"]["fit"] == 0.0
    solver.tell(proposal, answered(proposal, failed=[0]))
    solver.ask(1)
    solver.rebase(CASE.archive("second"))
    solver.ask(1)
    assert surrogate.rows == [400, 401, 400]


def test_the_density_is_fitted_to_the_training_latents_after_each_rebase() -> None:
    fit_density = CountedFit()
    solver = search(fit_density=fit_density)
    archive = CASE.archive()
    archive.add(np.zeros((1, 3, 2, 2), np.uint8), np.ones(1), np.full((1, 4), 50.0), "first")
    solver.rebase(archive)
    assert not fit_density.latents
    for _ in range(2):
        proposal = solver.ask(1)
        solver.tell(proposal, answered(proposal))
    np.testing.assert_array_equal(fit_density.latents[0], CASE.archive().latents("first"))
    assert len(fit_density.latents) == 1
    solver.rebase(CASE.archive("second", seed=4))
    solver.ask(1)
    np.testing.assert_array_equal(
        fit_density.latents[1], CASE.archive("second", seed=4).latents("second")
    )


def test_the_incumbent_is_the_best_score_so_far() -> None:
    solver = started()
    proposal = solver.ask(1)
    told = Scores(
        proposal.ids, np.array([30.0]), (ScoreStatus.OK,), ("",), np.zeros((1, 3, 2, 2), np.uint8)
    )
    solver.tell(proposal, told)
    later = solver.ask(1)
    mean, deviation = solver.surrogate.posterior(later.z)
    np.testing.assert_allclose(later.acquisition, expected_improvement(mean, deviation, 30.0))


def test_each_confidence_finds_what_is_best_by_its_own_measure() -> None:
    found = {}
    for width in (3.0, -3.0):
        solver = started(confidence=width)
        proposal = solver.ask(1)
        mean, deviation = solver.surrogate.posterior(proposal.z)
        np.testing.assert_allclose(proposal.acquisition, mean + width * deviation)
        found[width] = mean[0], deviation[0]
    for width, other in ((3.0, -3.0), (-3.0, 3.0)):
        own, others = (mean + width * deviation for mean, deviation in (found[width], found[other]))
        assert own > others
    assert found[3.0][1] > found[-3.0][1]


def test_a_smaller_share_keeps_closer_to_the_data() -> None:
    strict, loose = started(quantile=0.9).ask(1), started(quantile=0.01).ask(1)
    assert strict.details["log_density"][0] > loose.details["log_density"][0]


def test_thirty_questions_come_close_to_the_constrained_optimum() -> None:
    """The score's peak lies outside; the nearest allowed point is on the threshold's sphere."""
    peak = np.array([3.0, -2.0, 2.0, 1.0])

    def score(z: Floats) -> Floats:
        return -np.sum((z - peak) ** 2, axis=1)

    density = GaussianDensity.standard(4)
    z = density.sample(200, np.random.default_rng(5))
    solver = ContinuousSearch(
        SPACE,
        DNGO(hidden=(20, 20), epochs=40),
        fit_density=lambda latents, rng: density,
        samples=1000,
        successes=3,
    )
    solver.rebase(Archive(np.zeros((200, 3, 2, 2), np.uint8), score(z), z, "first"))
    found: list[Proposal] = []
    for _ in range(30):
        found.append(solver.ask(1))
        scores = Scores(
            found[-1].ids, score(found[-1].z), (ScoreStatus.OK,), ("",),
            np.zeros((1, 3, 2, 2), np.uint8),
        )  # fmt: skip
        solver.tell(found[-1], scores)
    origin = density.log_likelihood(np.zeros((1, 4)))[0]
    radius = np.sqrt(2 * (origin - density.quantile(0.05)))
    optimum = -((np.linalg.norm(peak) - radius) ** 2)
    reached = max(score(each.z)[0] for each in found)
    allowed = z[density.log_likelihood(z) >= density.quantile(0.05)]
    assert optimum - 0.05 <= reached <= optimum + 1e-9
    assert reached > score(allowed).max() + 0.5


@pytest.mark.parametrize("setting", [{"quantile": 1.0}, {"quantile": -0.1}, {"samples": 0}])
def test_settings_outside_their_range_are_refused(setting: dict[str, Any]) -> None:
    with pytest.raises(SolverError, match="got"):
        search(**setting)


def test_only_vectors_are_searched() -> None:
    with pytest.raises(SolverError, match=r"'w\+' have shape \(3, 4\)"):
        ContinuousSearch(RealVectors("w+", (3, 4)), CountedDNGO(), fit_density=GaussianDensity.fit)
