"""How many threads a run takes: its own setting, else what cores and environment leave."""

import pytest

from pipeline.configuration.settings import ExperimentConfig
from pipeline.threads import MOST_THREADS, pools_of, threads_of


@pytest.mark.parametrize(
    ("environment", "threads"),
    [("1", 1), ("3", 3), ("2,4", 2), ("64", MOST_THREADS), ("", MOST_THREADS), ("many", 4)],
)
def test_the_environment_bounds_the_threads(
    environment: str, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.threads.available_cores", lambda: 8)
    monkeypatch.setenv("OMP_NUM_THREADS", environment)
    assert threads_of(ExperimentConfig(name="x")) == threads
    assert threads_of(ExperimentConfig(name="x", threads=7)) == 7


def test_a_worker_finds_its_share(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.threads.available_cores", lambda: 8)
    for key, value in pools_of(2).items():
        monkeypatch.setenv(key, value)
    assert threads_of(ExperimentConfig(name="x")) == 2
