"""Contenders take turns, and the statistics are those of their rounds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.paired import Case, Spread, measure

SECONDS = st.lists(st.floats(1e-3, 1e3), min_size=1, max_size=9)


class FakeClock:
    """Stands still but for what contenders spend."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Scripted:
    """A contender that spends given seconds, call by call, and notes when it was called."""

    def __init__(self, clock: FakeClock, name: str, seconds: list[float], log: list[str]) -> None:
        self.clock, self.name, self.seconds, self.log = clock, name, iter(seconds), log

    def __call__(self) -> None:
        self.log.append(self.name)
        self.clock.now += next(self.seconds)


def scripted(seconds: dict[str, list[float]], **options: object) -> tuple[Case, list[str]]:
    clock, log = FakeClock(), []
    contenders = {name: Scripted(clock, name, spent, log) for name, spent in seconds.items()}
    case = measure("case", contenders, clock=clock, **options)  # type: ignore[arg-type]
    return case, log


def test_warm_ups_do_not_count() -> None:
    case, _ = scripted({"ours": [9, 1, 2, 3], "peer": [9, 2, 2, 9]}, rounds=3, warmups=1)
    assert case.seconds == {"ours": [1, 2, 3], "peer": [2, 2, 9]}


def test_contenders_alternate_and_every_second_round_is_turned_round() -> None:
    _, log = scripted({"a": [1] * 4, "b": [1] * 4}, rounds=3, warmups=1)
    assert log == ["a", "b", "b", "a", "a", "b", "b", "a"]


def test_ratios_are_of_rounds_not_of_medians() -> None:
    case, _ = scripted({"ours": [1, 2, 10], "peer": [4, 6, 10]}, rounds=3, warmups=0)
    assert case.ratio("peer") == Spread(3, 1, 4)
    assert case.shown("peer") == Spread(6, 4, 10)
    assert (case.ours, case.peers) == ("ours", ["peer"])


def test_a_contender_may_report_its_own_seconds() -> None:
    clock = FakeClock()

    def with_preparation() -> float:
        clock.now += 100
        return 0.5

    case = measure("case", {"ours": with_preparation}, rounds=2, clock=clock)
    assert case.seconds == {"ours": [0.5, 0.5]}


def test_what_else_a_contender_returns_is_not_taken_for_seconds() -> None:
    clock = FakeClock()

    def work() -> int:
        clock.now += 3
        return 7

    assert measure("case", {"ours": work}, rounds=1, clock=clock).seconds == {"ours": [3]}


def test_units_a_second() -> None:
    case, _ = scripted({"ours": [1, 2, 4]}, rounds=3, warmups=0, work=640, unit="images")
    assert case.shown("ours") == Spread(320, 160, 640)


@given(SECONDS)
def test_a_spread_holds_its_median_between_its_ends(values: list[float]) -> None:
    spread = Spread.of(values)
    assert spread.least <= spread.median <= spread.greatest
    assert {spread.least, spread.greatest} <= set(values)


@given(SECONDS, st.floats(0.1, 10))
def test_a_peer_that_always_takes_k_times_as_long_is_k_times_slower(
    values: list[float], k: float
) -> None:
    ratio = Case("case", {"ours": values, "peer": [k * value for value in values]}).ratio("peer")
    assert (ratio.least, ratio.median, ratio.greatest) == pytest.approx((k, k, k))


def test_rounds_must_match() -> None:
    with pytest.raises(ValueError, match="shorter"):
        Case("case", {"ours": [1, 2], "peer": [1]}).ratio("peer")
