import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vqlso.data.splits import split_people
from vqlso.errors import DataError

many_people = st.lists(st.integers(0, 60), min_size=400, max_size=600).map(
    lambda people: np.array([*people, *range(61)], dtype=np.int64)
)
shares = st.sampled_from([[0.5, 0.5], [0.4, 0.3, 0.3], [0.1] * 10, [0.6, 0.2], [1.0]])


@given(people=many_people, shares=shares, seed=st.integers(0, 1000))
def test_parts_are_disjoint_by_person_and_have_about_their_shares(
    people: np.ndarray, shares: list[float], seed: int
) -> None:
    parts = split_people(people, shares, seed)
    assert len(parts) == len(shares)
    members = [set(people[rows].tolist()) for rows in parts]
    assert sum(map(len, members)) == len(set().union(*members))
    most_photographed = np.bincount(people).max()
    for rows, share in zip(parts, shares, strict=True):
        assert abs(len(rows) - share * len(people)) <= most_photographed
        assert (np.diff(rows) > 0).all()


@given(people=many_people, seed=st.integers(0, 1000))
def test_shares_that_sum_to_one_use_every_image(people: np.ndarray, seed: int) -> None:
    parts = split_people(people, [0.2, 0.3, 0.5], seed)
    np.testing.assert_array_equal(np.sort(np.concatenate(parts)), np.arange(len(people)))


def test_the_seed_alone_decides() -> None:
    people = np.arange(100).repeat(3)
    first, second = (split_people(people, [0.5, 0.5], seed=1) for _ in range(2))
    np.testing.assert_array_equal(first[0], second[0])
    assert split_people(people, [0.5, 0.5], seed=2)[0].tolist() != first[0].tolist()


def test_who_comes_with_whom_does_not_depend_on_the_order_of_the_images() -> None:
    people = np.arange(100).repeat(3)
    shuffled = np.random.default_rng(0).permutation(people)
    for rows, shuffled_rows in zip(
        split_people(people, [0.5, 0.5], 1), split_people(shuffled, [0.5, 0.5], 1), strict=True
    ):
        assert set(people[rows]) == set(shuffled[shuffled_rows])


@pytest.mark.parametrize("shares", [[0.5, 0.6], [0.5, 0.0], [-0.1, 0.5], []])
def test_unusable_shares_are_refused(shares: list[float]) -> None:
    with pytest.raises(DataError, match="positive and sum to at most 1"):
        split_people(np.arange(100), shares, seed=0)


def test_too_few_people_are_refused() -> None:
    with pytest.raises(DataError, match="1 people are too few"):
        split_people(np.zeros(50, dtype=np.int64), [0.5, 0.5], seed=0)
