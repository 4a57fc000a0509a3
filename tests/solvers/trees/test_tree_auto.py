"""`auto` hands over where its first engine takes long, and loses nothing by it."""

import numpy as np
import pytest
from random_ensembles import neighbourhood, random_ensemble

from solvers.trees import Limits, PairTerm, maximize
from solvers.trees.backends import auto
from vqlso.records import SolveStatus


@pytest.fixture(scope="module")
def frustrated():
    """8 cells that interact in threes, which takes the search many nodes; its optimum."""
    ensemble = random_ensemble(11, cells=8, categories=4, trees=150, depth=3)
    everything = neighbourhood(ensemble, np.arange(8), np.zeros(8, dtype=int))
    return ensemble, ensemble.predict(everything).max()


def solved(ensemble, **limits):
    return maximize(
        ensemble, free=range(8), reference=[0] * 8, backend="auto", limits=Limits(**limits)
    )


def test_hard_instances_go_to_highs_once_patience_ends(frustrated, monkeypatch):
    ensemble, best = frustrated
    monkeypatch.setattr(auto, "_PATIENCE", 1)
    found = solved(ensemble)
    assert found.backend == "highs"
    assert found.status is SolveStatus.OPTIMAL
    assert found.value == pytest.approx(best)


def test_tables_of_pairs_of_codes_stay_with_tables(monkeypatch):
    """Stated for HiGHS they are large; trees that couple two cells are not."""
    ensemble = random_ensemble(1, cells=8, categories=6, trees=300, depth=2)
    monkeypatch.setattr(auto, "_PATIENCE", 0)
    assert solved(ensemble).backend == "highs"
    prior = PairTerm(0, 1, np.random.default_rng(0).normal(size=(6, 6)))
    found = maximize(ensemble, free=range(8), reference=[0] * 8, backend="auto", terms=[prior])
    assert found.backend == "tables"
    assert found.status is SolveStatus.OPTIMAL


@pytest.mark.parametrize("nodes", [1, 2, 5])
def test_the_limit_is_that_of_both_together(frustrated, monkeypatch, nodes):
    ensemble, best = frustrated
    monkeypatch.setattr(auto, "_PATIENCE", 1)
    found = solved(ensemble, nodes=nodes)
    assert found.value <= best + 1e-9 <= found.bound + 2e-9
    assert found.nodes <= nodes + 1
