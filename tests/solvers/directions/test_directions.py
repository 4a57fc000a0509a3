"""Solvers of directions on a linear generator, where the right answer is known."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from linear_faces import SMILE, LinearFaces, age, cosine, smile

from solvers.directions import (
    DirectionCMAES,
    DirectionFromSamples,
    DirectionSearch,
    EnjoyEditing,
    FindsDirection,
    FoundDirection,
    LinearFit,
    MeanDifference,
    SvmNormal,
    find_direction,
    start_from,
)
from solvers.directions.enjoy_editing import EditingLoss, RegressorLoss
from solvers.directions.finding import numerical_failures
from solvers.testing import SolverCase, SolverContract
from vqlso.errors import ObjectiveError, SolverError, TrainingError
from vqlso.objectives.feature_networks import RandomTaps
from vqlso.problems.direction import Direction
from vqlso.records import Context

Make = Callable[[Direction, int], FindsDirection]

MAKERS: dict[str, tuple[Make, int]] = {
    "local_search": (lambda p, seed: DirectionSearch(p, radius=0.05, seed=seed), 2),
    "one_fifth": (lambda p, seed: DirectionSearch(p, radius=0.02, adapts=True, seed=seed), 2),
    "restarts": (
        lambda p, seed: DirectionSearch(p, radius=0.05, restart_after=400, judges=20, seed=seed),
        2,
    ),
    "cma_es": (lambda p, seed: DirectionCMAES(p, radius=0.1, seed=seed), 11),
    "enjoy_editing": (
        lambda p, seed: EnjoyEditing(p, learning_rate=0.01, steps=20, seed=seed),
        1,
    ),
    "svm": (lambda p, seed: DirectionFromSamples(p, SvmNormal(0.1), seed=seed), 1),
    "fit": (lambda p, seed: DirectionFromSamples(p, LinearFit(), seed=seed), 1),
    "means": (lambda p, seed: DirectionFromSamples(p, MeanDifference(), seed=seed), 1),
}
EACH = pytest.mark.parametrize("name", list(MAKERS))


def problem(**settings) -> Direction:
    return Direction(LinearFaces(), smile(), **{"longest": 1.0, "anchors": 8} | settings)


def solver(name: str, direction: Direction, seed: int = 0) -> FindsDirection:
    if name == "cma_es":
        pytest.importorskip("cmaes")
    return MAKERS[name][0](direction, seed)


class TestContract(SolverContract):
    @pytest.fixture(params=list(MAKERS))
    def case(self, request: pytest.FixtureRequest) -> SolverCase:
        direction = problem(anchors=2)
        return SolverCase(direction.space, lambda seed: solver(request.param, direction, seed))


@EACH
def test_the_known_direction_is_found(name: str) -> None:
    direction = problem()
    found = find_direction(direction, solver(name, direction), images=8000, batch=MAKERS[name][1])
    assert cosine(found.d, SMILE) > 0.95
    assert direction.effect(found.d).change > 0.1
    assert found.images <= 8000
    assert found.failures == 0


@EACH
def test_the_opposite_attribute_gives_the_opposite_direction(name: str) -> None:
    """The sign convention: adding d raises the attribute."""
    opposite = replace(problem(), objective=lambda images: 1 - smile()(images))
    if name == "enjoy_editing":
        opposite = replace(problem(), objective=Opposite())
    found = find_direction(opposite, solver(name, opposite), images=5000, batch=MAKERS[name][1])
    assert cosine(found.d, SMILE) < -0.8


class Opposite:
    def __call__(self, images: torch.Tensor) -> np.ndarray:
        return 1 - smile()(images)

    def value(self, images: torch.Tensor) -> torch.Tensor:
        return 1 - smile().value(images)


@EACH
def test_same_seed_same_vector(name: str) -> None:
    direction = problem(anchors=2)

    def run(seed: int) -> np.ndarray:
        return find_direction(
            direction, solver(name, direction, seed), images=1500, batch=MAKERS[name][1], seed=seed
        ).d

    np.testing.assert_array_equal(run(1), run(1))
    assert not np.array_equal(run(1), run(2))


@EACH
def test_no_candidate_is_longer_than_allowed(name: str) -> None:
    direction = problem(longest=0.05, anchors=2)
    search = solver(name, direction)
    search.rebase(start_from(direction))
    for _ in range(12):
        proposal = search.ask(MAKERS[name][1])
        assert np.linalg.norm(proposal.z, axis=1).max() <= 0.05 * (1 + 1e-9)
        search.tell(proposal, direction.evaluate(proposal, Context(0, 0)))


@EACH
def test_layers_of_w_plus_are_searched_likewise(name: str) -> None:
    direction = problem(space_name="w+", longest=2.0)
    found = find_direction(direction, solver(name, direction), images=8000, batch=MAKERS[name][1])
    assert found.d.shape == (2, 12)
    assert cosine(found.d.sum(0), SMILE) > 0.9


def test_alg_1_moves_only_by_strict_improvement_under_shared_conditions() -> None:
    direction = problem(anchors=1)
    search = DirectionSearch(direction, radius=0.1)
    search.rebase(start_from(direction))
    moves = 0
    for _ in range(60):
        before = search.direction.copy()
        proposal = search.ask(2)
        np.testing.assert_array_equal(proposal.z[0], before)
        scores = direction.evaluate(proposal, Context(0, 0))
        search.tell(proposal, scores)
        better = scores.values[1] > scores.values[0]
        np.testing.assert_array_equal(search.direction, proposal.z[int(better)])
        moves += better
    assert 10 < moves < 55


def test_ties_are_not_accepted() -> None:
    flat = replace(problem(), objective=lambda images: np.zeros(len(images)))
    found = find_direction(flat, DirectionSearch(flat), images=600)
    assert not found.d.any()


def test_steps_are_standard_normal_times_the_radius() -> None:
    """r is a deviation, not a variance."""
    direction = problem()
    search = DirectionSearch(direction, radius=1e-4)
    search.rebase(start_from(direction))
    steps = search.ask(3001).z[1:]
    assert steps.std() == pytest.approx(1e-4, rel=0.03)


def test_restarts_keep_the_best_by_the_fixed_anchors() -> None:
    direction = problem(anchors=1, longest=5.0)
    search = DirectionSearch(direction, radius=0.03, restart_after=20, judges=50)
    search.rebase(start_from(direction))
    ends, kept = [], []
    for number in range(1, 121):
        cost = search.images_of(2)
        proposal = search.ask(2)
        scores = direction.evaluate(proposal, Context(0, 0))
        last = proposal.z[int(scores.values[1] > scores.values[0])]
        search.tell(proposal, scores)
        assert cost == proposal.details["images"] == (150 if number % 20 == 0 else 0)
        if number % 20 == 0:
            ends.append(direction.effect(last, anchors=50).change)
            kept.append(direction.effect(search.direction, anchors=50).change)
            assert not search.ask(2).z[0].any()
    assert kept == list(np.maximum.accumulate(ends))
    assert len(set(kept)) > 1


def test_a_search_can_go_on_from_a_vector() -> None:
    direction = problem()
    search = DirectionSearch(direction)
    search.rebase(start_from(direction, 0.4 * SMILE))
    np.testing.assert_array_equal(search.ask(2).z[0], 0.4 * SMILE)


def test_a_generation_in_small_proposals_is_ordered_by_ranks() -> None:
    pytest.importorskip("cmaes")
    direction = problem()
    found = find_direction(direction, DirectionCMAES(direction, radius=0.1), images=16_000, batch=4)
    assert cosine(found.d, SMILE) > 0.9
    with pytest.raises(SolverError, match="rebase"):
        _ = DirectionCMAES(direction).direction


class Saturating:
    """Sure of everything: many of its levels are 0 or 1 in float32."""

    def __call__(self, images: torch.Tensor) -> np.ndarray:
        return self.value(images).double().detach().numpy()

    def value(self, images: torch.Tensor) -> torch.Tensor:
        w = (images.float().flatten(1) - 0.5) * 100
        return torch.sigmoid(100 * (w @ torch.from_numpy(SMILE).float()))


def test_plain_cross_entropy_fails_where_the_others_do_not() -> None:
    """Section 4.1 of Meißner et al., counted over ten seeds."""
    direction = replace(problem(), objective=Saturating())

    def failures(loss: EditingLoss) -> list[str]:
        def search(seed: int):
            editing = EnjoyEditing(direction, loss=loss, learning_rate=1e-2, steps=5, seed=seed)
            return find_direction(direction, editing, images=400, batch=1, seed=seed)

        return numerical_failures(search, range(10))

    plain = failures(EditingLoss("cross_entropy"))
    assert all("The loss is not finite" in reason for reason in plain)
    assert failures(EditingLoss("clamped_cross_entropy")) == [""] * 10
    assert failures(EditingLoss("squared_error")) == [""] * 10


def test_a_regressor_of_nans_is_a_counted_failure() -> None:
    nothing = replace(problem(), objective=lambda images: np.full(len(images), np.nan))

    def search(seed: int):
        return find_direction(nothing, DirectionSearch(nothing, seed=seed), images=10_000)

    with pytest.raises(ObjectiveError, match="20 times in a row"):
        search(0)
    assert all("returned nan" in reason for reason in numerical_failures(search, range(3)))


def test_candidates_without_a_value_are_counted_and_the_search_goes_on() -> None:
    calls = np.random.default_rng(0)

    def moody(images: torch.Tensor) -> np.ndarray:
        return np.where(calls.random(len(images)) < 0.02, np.nan, smile()(images))

    direction = replace(problem(), objective=moody)
    found = find_direction(direction, DirectionSearch(direction, radius=0.05), images=10_000)
    assert found.failures > 30
    assert cosine(found.d, SMILE) > 0.9


def test_samples_without_a_level_are_left_out() -> None:
    def moody(images: torch.Tensor) -> np.ndarray:
        return np.where(images[:, 0, 0, 1].numpy() > 0.5, np.nan, smile()(images))

    direction = replace(problem(), objective=moody)
    search = DirectionFromSamples(direction, MeanDifference(0.3), samples=4000)
    search.rebase(start_from(direction))
    assert cosine(search.ask(1).z, SMILE) > 0.9
    flat = replace(problem(), objective=lambda images: np.ones(len(images)))
    search = DirectionFromSamples(flat, MeanDifference())
    search.rebase(start_from(flat))
    with pytest.raises(SolverError, match="do not differ"):
        search.ask(1)


def test_the_plane_parts_what_it_was_not_fitted_to() -> None:
    latents, levels = problem().samples(2000, np.random.default_rng(0))
    normal, accuracy = SvmNormal(0.1).parted(latents, levels, seed=0)
    assert cosine(normal, SMILE) > 0.95
    assert accuracy == 1
    _, chance = SvmNormal(0.5).parted(latents, np.random.default_rng(1).random(2000), seed=0)
    assert 0.35 < chance < 0.65
    with pytest.raises(SolverError, match="share"):
        SvmNormal(0.6)


def test_a_fit_leaves_out_what_only_goes_with_the_attribute() -> None:
    rng = np.random.default_rng(0)
    cause = rng.standard_normal(3000)
    companion = 0.9 * cause + 0.3 * rng.standard_normal(3000)
    latents = np.stack([cause, companion, rng.standard_normal(3000)], axis=1)
    levels = 1 / (1 + np.exp(-cause))
    slopes = LinearFit(1e-3)(latents, levels, 0)
    assert abs(slopes[1]) < 0.1 * slopes[0]
    means = MeanDifference()(latents, levels, 0)
    assert means[1] > 0.7 * means[0]
    with pytest.raises(SolverError, match="penalty"):
        LinearFit(0)


def test_gradients_need_a_differentiable_objective_and_searches_do_not() -> None:
    blackbox = replace(problem(), objective=lambda images: np.round(smile()(images), 2))
    with pytest.raises(SolverError, match="local search"):
        EnjoyEditing(blackbox)
    found = find_direction(blackbox, DirectionSearch(blackbox, radius=0.05), images=8000)
    assert cosine(found.d, SMILE) > 0.9


def test_the_loss_by_hand() -> None:
    images = torch.rand(2, 3, 4, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    levels, wanted = torch.tensor([0.2, 0.9]), torch.tensor([0.5, 0.5])
    plain = -0.5 * (np.log([0.2, 0.9]) + np.log([0.8, 0.1])).mean()
    loss = EditingLoss("cross_entropy")
    assert float(loss(images, images, levels, wanted)) == pytest.approx(10 * plain)
    squared = EditingLoss(
        "squared_error", content=RandomTaps(), realism=lambda x: x.mean((1, 2, 3))
    )
    value = float(squared(images.float(), images.float(), levels, wanted))
    realism = np.log1p(np.exp(-(2 * images - 1).mean((1, 2, 3)).numpy())).mean()
    assert value == pytest.approx(10 * (0.09 + 0.16) / 2 + 0.05 * realism, rel=1e-5)
    moved = float(squared(images.float(), images.float().flip(3), levels, wanted))
    assert moved > value
    saturated = EditingLoss("clamped_cross_entropy")(
        images, images, torch.tensor([0.0, 2.0]), wanted
    )
    assert np.isfinite(float(saturated))
    with pytest.raises(SolverError, match="compared"):
        EditingLoss("hinge")


def test_content_and_realism_shorten_the_vector() -> None:
    class Keeps:
        name = "the image itself"

        def __call__(self, images: torch.Tensor) -> list[torch.Tensor]:
            return [100 * images]

    direction = problem()
    lengths = []
    for content in (None, Keeps()):
        loss = EditingLoss(content=content, content_weight=5.0)
        editing = EnjoyEditing(direction, loss=loss, learning_rate=0.02, steps=100)
        lengths.append(np.linalg.norm(find_direction(direction, editing, images=3000, batch=1).d))
    assert lengths[1] < 0.8 * lengths[0]


class Linear:
    """Levels are no probabilities: some lie outside [0, 1]."""

    def __call__(self, images: torch.Tensor) -> np.ndarray:
        return self.value(images).double().detach().numpy()

    def value(self, images: torch.Tensor) -> torch.Tensor:
        w = (images.float().flatten(1) - 0.5) * 100
        return 0.5 + 0.25 * (w @ torch.from_numpy(SMILE).float())


def test_a_loss_of_nan_with_a_finite_gradient_ends_the_search() -> None:
    """Else Adam would go on from it, and nobody would know."""
    level, target = torch.tensor([-0.1], requires_grad=True), torch.tensor([0.5])
    images = torch.zeros(1, 3, 4, 4)
    loss = EditingLoss("cross_entropy")
    value = loss(images, images, level, target)
    assert torch.isnan(value)
    assert torch.isfinite(torch.autograd.grad(value, level)[0]).all()

    direction = replace(problem(), objective=Linear())
    editing = EnjoyEditing(direction, loss=loss, learning_rate=0.01, steps=1)
    editing.rebase(start_from(direction))
    with pytest.raises(TrainingError, match=r"loss is not finite after \d+ steps .* levels are "):
        editing.ask(200)
    assert np.isfinite(editing.direction).all()
    assert editing.direction.any()


def test_a_gradient_that_is_not_finite_ends_the_search() -> None:
    class Cusp(Linear):
        def value(self, images: torch.Tensor) -> torch.Tensor:
            return (0 * super().value(images)).sqrt()

    direction = replace(problem(), objective=Cusp())
    editing = EnjoyEditing(direction)
    editing.rebase(start_from(direction))
    with pytest.raises(TrainingError, match="gradient is not finite after 0 steps"):
        editing.ask(1)
    assert not editing.direction.any()


@pytest.mark.parametrize("loss", ["cross_entropy", "clamped_cross_entropy", "squared_error"])
def test_a_differentiable_regressor_of_nans_is_a_counted_failure(loss: RegressorLoss) -> None:
    class Nothing(Linear):
        def value(self, images: torch.Tensor) -> torch.Tensor:
            return super().value(images) * np.nan

    direction = replace(problem(), objective=Nothing())

    def search(seed: int) -> FoundDirection:
        editing = EnjoyEditing(direction, loss=EditingLoss(loss), seed=seed)
        return find_direction(direction, editing, images=1000, batch=1)

    assert all("levels are nan to nan" in why for why in numerical_failures(search, range(2)))


def test_unequal_attributes_are_told_apart() -> None:
    direction = replace(problem(), objective=age())
    found = find_direction(direction, DirectionSearch(direction, radius=0.05), images=8000)
    assert abs(cosine(found.d, SMILE)) < 0.3
