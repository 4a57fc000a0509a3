"""Groups of images of a score ascent: what collapse and distance look like in their figures."""

import numpy as np
import pytest
import torch
from tuned_images import Brightness, LinearNetworkImages

from pipeline.ascent import groups
from pipeline.ascent.groups import SIZE, Group
from pipeline.ascent.problem import Ascended
from vqlso.objectives.degree_classifier import DegreeClassifier, ScorerSettings
from vqlso.objectives.scorer_networks import PlainScorer
from vqlso.problems.score_ascent import ScoreAscent


def images(n: int, seed: int, lowest: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.integers(lowest, 256, (n, 3, 16, 16), dtype=np.uint8)


@pytest.fixture(scope="module")
def known() -> Ascended:
    """Bright noise is what is wanted; the judge is untrained, but it sees."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        judge = DegreeClassifier(PlainScorer(), ScorerSettings("plain", 16))
    objective = Brightness()
    problem = ScoreAscent(LinearNetworkImages(), objective)
    return Ascended(problem, objective, "here", judge, images(3 * SIZE, seed=1, lowest=150))


def test_the_best_are_kept_in_order(known: Ascended) -> None:
    scored = groups.scored(images(2 * SIZE, seed=2), known)
    best = groups.best_of(scored)
    assert best.scores.tolist() == sorted(scored.scores, reverse=True)[:SIZE]
    np.testing.assert_allclose(best.scores, best.images.mean(axis=(1, 2, 3)) / 255, atol=1e-6)
    assert len(best.judged) == len(best.images) == SIZE


def test_what_is_chosen_keeps_its_scores_together(known: Ascended) -> None:
    scored = groups.scored(images(4, seed=6), known)
    once = scored.only(np.array([True, False, True, False]))
    np.testing.assert_array_equal(once.images, scored.images[::2])
    np.testing.assert_array_equal(once.scores, scored.scores[::2])
    np.testing.assert_array_equal(once.judged, scored.judged[::2])


def test_one_image_again_and_again_has_no_differences(known: Ascended) -> None:
    many = groups.scored(images(SIZE, seed=3), known)
    one = groups.scored(np.repeat(images(1, seed=3), SIZE, axis=0), known)
    told, collapsed = (groups.facts(each, known, 0) for each in (many, one))
    assert collapsed["pixel_distance"] == 0
    assert collapsed["feature_distance"] == pytest.approx(0, abs=1e-4)
    assert told["pixel_distance"] > 0.3
    assert told["feature_distance"] > 10 * collapsed["feature_distance"]


def test_real_images_are_nearest_to_the_target(known: Ascended) -> None:
    real = groups.real_ones(known, 0)
    assert real is not None
    near, far = (
        groups.facts(each, known, 0)["frechet"]
        for each in (real, groups.scored(images(SIZE, seed=4), known))
    )
    assert near < far / 2


def test_without_a_judge_there_are_pixels_only(known: Ascended) -> None:
    alone = Ascended(known.problem, known.objective, "here", None, known.target[:0])
    assert groups.real_ones(alone, 0) is None
    told = groups.facts(groups.scored(images(4, seed=5), alone), alone, 0)
    assert told["judge"] is told["frechet"] is told["feature_distance"] is None
    assert told["pixel_distance"] > 0


def test_samples_are_of_the_same_latents_each_time(known: Ascended) -> None:
    judgeless = Ascended(known.problem, known.objective, "here", None, known.target)
    first, second = (groups.sampled(known.problem.generator, judgeless, 7) for _ in range(2))
    assert isinstance(first, Group)
    np.testing.assert_array_equal(first.images, second.images)
    assert len(np.unique(first.images.reshape(SIZE, -1), axis=0)) > SIZE // 2
