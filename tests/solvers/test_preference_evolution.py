"""Evolution by picks: the contract, what children are made of, the size's rule, ways back."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from solvers.preference import CodeVariation, PreferenceEvolution, Variation, VectorVariation
from solvers.testing import SolverCase, SolverContract, assert_same
from vqlso.archive import Archive
from vqlso.errors import DataError, LatentSpaceError, SolverError
from vqlso.records import Proposal, Scores, ScoreStatus
from vqlso.spaces import CodeGrid, RealVectors

CODES = CodeGrid(categories=6, height=3, width=2)
VECTORS = RealVectors("z", (3,))
LAYERED = RealVectors("w+", (2, 3), lambda n, rng: 5 + 2 * rng.standard_normal((n, 2, 3)))
GRIDS = np.random.default_rng(0).integers(0, 4, (40, *CODES.shape))
VARIATIONS: dict[str, Variation] = {
    "vectors": VectorVariation(VECTORS),
    "layers": VectorVariation(LAYERED),
    "codes": CodeVariation(CODES, GRIDS),
}


class TestPreferenceEvolution(SolverContract):
    @pytest.fixture(params=VARIATIONS)
    def case(self, request: pytest.FixtureRequest) -> SolverCase:
        variation = VARIATIONS[request.param]
        return SolverCase(variation.space, lambda seed: PreferenceEvolution(variation, seed=seed))


def started(variation: Variation, **settings: Any) -> PreferenceEvolution:
    z = variation.sample(1, np.random.default_rng(9))
    solver = PreferenceEvolution(variation, **settings)
    solver.rebase(Archive(np.zeros((1, 3, 2, 2), np.uint8), np.zeros(1), z, "v"))
    return solver


def picked(solver: PreferenceEvolution, counts: dict[int, int], n: int = 8) -> Proposal:
    """The next generation, of which these rows were picked so often."""
    proposal = solver.ask(n)
    values = np.array([counts.get(row, 0) for row in range(n)], dtype=np.float64)
    solver.tell(
        proposal,
        Scores(
            proposal.ids,
            values,
            (ScoreStatus.OK,) * n,
            ("",) * n,
            np.zeros((n, 3, 2, 2), np.uint8),
        ),
    )
    return proposal


@pytest.mark.parametrize("name", VARIATIONS)
def test_the_favourite_comes_first_again(name: str) -> None:
    solver = started(VARIATIONS[name])
    first = picked(solver, {1: 1, 4: 3, 6: 1})
    following = solver.ask(8)
    np.testing.assert_array_equal(following.z[0], first.z[4])
    assert following.parents.tolist() == [5] * 8  # the archive's first row is the start
    assert solver.line[0].favourite == 1
    assert solver.line[0].rows.tolist() == [1, 4, 6]


def test_codes_come_from_parents_or_from_the_prior_of_their_cell() -> None:
    solver = started(VARIATIONS["codes"], mutation=0.3)
    parents = picked(solver, {0: 1, 3: 2}).z[[0, 3]]
    children = solver.ask(400).z
    seen = np.concatenate([parents, GRIDS])
    for cell in np.ndindex(CODES.shape):
        assert set(children[:, *cell]) <= set(seen[:, *cell])
    unchanged = (children == parents[0]) | (children == parents[1])
    chance = (parents[0] == GRIDS) | (parents[1] == GRIDS)
    share = np.clip(0.3 * 2 ** np.linspace(-1, 1, 400), 0, 1).mean()
    expected = 1 - share * (1 - chance.mean())
    assert unchanged.mean() == pytest.approx(expected, abs=0.04)


def test_what_was_picked_twice_counts_double() -> None:
    rng = np.random.default_rng(1)
    parents = np.array([[[0] * 2] * 3, [[5] * 2] * 3])
    codes = VARIATIONS["codes"].recombined(parents, np.array([1.0, 2.0]), 2000, rng)
    assert (codes == 5).mean() == pytest.approx(2 / 3, abs=0.03)
    vectors = np.array([[0.0, 0.0, 0.0], [3.0, 3.0, 3.0]])
    mixed = VARIATIONS["vectors"].recombined(vectors, np.array([1.0, 2.0]), 2000, rng)
    assert mixed.mean() == pytest.approx(2, abs=0.1)
    assert ((mixed >= 0) & (mixed <= 3)).all()


def test_one_parent_has_no_other_to_be_mixed_with() -> None:
    """The paper's way with clothes: averaging performs poorly (section V-D3)."""
    for variation in VARIATIONS.values():
        parent = variation.sample(1, np.random.default_rng(3))
        children = variation.recombined(parent, np.ones(1), 5, np.random.default_rng(4))
        np.testing.assert_allclose(children, np.repeat(parent, 5, axis=0))


def test_mutations_have_the_scale_of_the_space() -> None:
    z = np.full((4000, 2, 3), 7.0)
    moved = VARIATIONS["layers"].mutated(z, np.full(4000, 0.5), np.random.default_rng(5)) - z
    assert moved.mean() == pytest.approx(0, abs=0.05)
    assert moved.std() == pytest.approx(0.5 * 2, rel=0.03)


def test_children_differ_more_from_the_first_to_the_last() -> None:
    solver = started(VARIATIONS["vectors"], first=np.zeros(3), mutation=0.2)
    lengths = np.linalg.norm(solver.ask(4000).z, axis=1)
    assert lengths[0] == 0
    near, far = (lengths[part].mean() for part in (slice(1, 400), slice(-400, None)))
    assert far / near == pytest.approx(4, rel=0.4)


def size(place: int, n: int, mutation: float) -> float:
    return min(1.0, mutation * 2 ** (2 * place / (n - 1) - 1))


@given(st.dictionaries(st.integers(0, 7), st.integers(1, 3), min_size=1), st.floats(0.1, 1.0))
def test_the_rule_takes_the_geometric_mean_of_the_picked_sizes(
    counts: dict[int, int], mutation: float
) -> None:
    solver = started(VARIATIONS["vectors"], first=np.zeros(3), mutation=mutation)
    picked(solver, counts)
    product = np.prod([size(place, 8, mutation) ** count for place, count in counts.items()])
    assert solver.mutation == pytest.approx(product ** (1 / sum(counts.values())))


def test_random_images_say_nothing_of_the_size() -> None:
    solver = started(VARIATIONS["vectors"], mutation=0.4)
    picked(solver, {0: 1})
    assert solver.mutation == 0.4
    picked(solver, {0: 1})
    assert solver.mutation == pytest.approx(0.2)


def test_a_fixed_size_stays() -> None:
    solver = started(VARIATIONS["vectors"], first=np.zeros(3), mutation=0.4, adapts=False)
    picked(solver, {0: 1})
    assert solver.mutation == 0.4


def test_a_person_may_set_the_size_of_one_generation() -> None:
    solver = started(VARIATIONS["vectors"], mutation=0.4)
    solver.choose(0.9)
    picked(solver, {2: 1})
    assert solver.mutation == 0.9
    assert solver.ask(8).details["mutation"] == 0.9
    picked(solver, {0: 1})
    assert solver.mutation == pytest.approx(0.45)
    for wrong in (0.0, 1.5, -1.0, float("nan")):
        with pytest.raises(SolverError, match="size"):
            solver.choose(wrong)


@pytest.mark.parametrize("name", VARIATIONS)
def test_an_earlier_generation_looks_as_it_did_under_new_ids(name: str) -> None:
    solver = started(VARIATIONS[name], seed=3)
    shown = [picked(solver, {1: 1, 2: 2}) for _ in range(3)]
    shown.append(solver.ask(8))
    for generation in (2, 0):
        solver.back_to(generation)
        again = solver.ask(8)
        np.testing.assert_array_equal(again.z, shown[generation].z)
        assert again.details["generation"] == generation
        assert again.ids.min() > max(each.ids.max() for each in shown)
        shown.append(again)


def test_another_pick_leads_elsewhere() -> None:
    solver = started(VARIATIONS["vectors"])
    picked(solver, {1: 1})
    there = solver.ask(8)
    solver.back_to(0)
    picked(solver, {2: 1})
    assert not np.array_equal(solver.ask(8).z[1:], there.z[1:])


def test_there_is_no_way_back_to_what_was_not_answered() -> None:
    solver = started(VARIATIONS["vectors"])
    picked(solver, {0: 1})
    for wrong in (1, -1):
        with pytest.raises(SolverError, match="no way back"):
            solver.back_to(wrong)


def test_a_generation_without_picks_is_asked_for_again() -> None:
    solver = started(VARIATIONS["vectors"])
    shown = picked(solver, {})
    assert solver.line == ()
    again = solver.ask(8)
    np.testing.assert_array_equal(again.z, shown.z)
    assert again.ids.tolist() == list(range(8, 16))


def test_a_retrained_generator_begins_again() -> None:
    solver = started(VARIATIONS["codes"])
    picked(solver, {0: 1})
    solver.rebase(Archive(np.zeros((1, 3, 2, 2), np.uint8), np.zeros(1), GRIDS[:1], "w"))
    assert solver.line == ()
    assert solver.ask(2).version == "w"


def test_the_order_of_scores_does_not_matter() -> None:
    straight, permuted = (started(VARIATIONS["codes"]) for _ in range(2))
    picked(straight, {1: 1, 5: 2})
    proposal = permuted.ask(8)
    order = np.array([5, 0, 1, 7, 2, 3, 4, 6])
    values: NDArray[np.float64] = np.array([0, 1, 0, 0, 0, 2, 0, 0], dtype=np.float64)
    permuted.tell(
        proposal,
        Scores(
            proposal.ids[order],
            values[order],
            (ScoreStatus.OK,) * 8,
            ("",) * 8,
            np.zeros((8, 3, 2, 2), np.uint8),
        ),
    )
    assert_same(straight.ask(8), permuted.ask(8))


def test_the_first_size_suits_the_space() -> None:
    assert started(VARIATIONS["codes"]).mutation == 0.1
    assert started(VARIATIONS["vectors"]).mutation == 0.5
    assert started(VARIATIONS["codes"], mutation=0.9).mutation == 0.9


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(SolverError, match="size"):
        PreferenceEvolution(VARIATIONS["vectors"], mutation=0)
    with pytest.raises(LatentSpaceError, match="shape"):
        PreferenceEvolution(VARIATIONS["vectors"], first=np.zeros(4))
    with pytest.raises(DataError, match="at least one"):
        CodeVariation(CODES, GRIDS[:0])


def test_a_first_generation_of_codes_is_of_different_grids() -> None:
    z = started(VARIATIONS["codes"]).ask(40).z
    assert {grid.tobytes() for grid in z} == {grid.tobytes() for grid in GRIDS}
