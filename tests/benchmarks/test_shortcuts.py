"""Cheaper refits: that each does what its name says, and how searches with them are compared."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_starts import start
from tiny_runs import TINY

from benchmarks.shortcut_surrogates import FULL, SHORTCUTS, ContinuedLightGBM, SeldomFitted
from benchmarks.shortcuts import Outcome, main, searched, shortcut_r2, table
from solvers.surrogates import GridBoosting, LightGBM

K, TREES = 6, 20


@pytest.fixture
def samples() -> tuple[np.ndarray, np.ndarray]:
    """Codes whose first two cells decide the score."""
    rng = np.random.default_rng(0)
    z = rng.integers(K, size=(600, 2, 2))
    return z, 1.0 * (z[:, 0, 0] > 2) * (z[:, 0, 1] > 1) + 0.1 * rng.normal(size=len(z))


@pytest.mark.parametrize("name", SHORTCUTS)
def test_every_shortcut_learns(name: str, samples: tuple[np.ndarray, np.ndarray]) -> None:
    z, y = samples
    surrogate = SHORTCUTS[name](K, 200)
    for rows in (500, 550, 600):
        surrogate.fit(z[:rows], y[:rows])
    assert np.corrcoef(surrogate.predict(z), y)[0, 1] > 0.8
    flat = z.reshape(len(z), -1)
    np.testing.assert_allclose(surrogate.ensemble().predict(flat), surrogate.predict(z), atol=1e-9)


def test_the_full_refit_is_ours(samples: tuple[np.ndarray, np.ndarray]) -> None:
    assert isinstance(SHORTCUTS[FULL](K, TREES), GridBoosting)
    assert next(iter(SHORTCUTS)) == FULL


def test_trees_are_added_to_those_that_there_are(samples: tuple[np.ndarray, np.ndarray]) -> None:
    z, y = samples
    whole, continued = LightGBM(K, trees=TREES + 6), ContinuedLightGBM(K, trees=TREES, more=3)
    whole.fit(z, y)
    for _ in range(3):
        continued.fit(z, y)
    # Of the same rows they are the trees that come next anyway.
    np.testing.assert_allclose(continued.predict(z), whole.predict(z), atol=1e-6)
    moved = ContinuedLightGBM(K, trees=TREES, more=3)
    for _ in range(3):
        moved.fit(z, 1e6 + 64 * y)
    np.testing.assert_allclose(moved.predict(z) - 1e6, 64 * continued.predict(z), atol=1e-2)


def test_what_is_seldom_fitted(samples: tuple[np.ndarray, np.ndarray]) -> None:
    z, y = samples
    seldom, always = SeldomFitted(GridBoosting(K, trees=TREES), 2), GridBoosting(K, trees=TREES)
    last = []
    for rows in (300, 400, 500, 600):
        seldom.fit(z[:rows], y[:rows])
        always.fit(z[:rows], y[:rows])
        last.append((seldom.predict(z), always.predict(z)))
    same = [np.array_equal(ours, theirs) for ours, theirs in last]
    assert same == [True, False, True, False]
    assert np.array_equal(last[1][0], last[0][0])


def test_searches_of_a_seed_share_their_references() -> None:
    outcomes = searched(0, start=start(), shortcuts=[FULL, FULL], queries=2, trees=5, t=2)
    assert [outcome.shortcut for outcome in outcomes] == [FULL]
    begun = start()
    refits = [FULL, "refit every 2nd query"]
    first, second = searched(1, start=begun, shortcuts=refits, queries=1, trees=5, t=2)
    assert first.scorer == second.scorer
    assert first.judge == {}
    assert len(begun.archive) == 200


@pytest.mark.parametrize("name", [FULL, "LightGBM continued by 2 trees"])
def test_r2_is_of_rows_that_were_not_fitted_to(
    samples: tuple[np.ndarray, np.ndarray], name: str
) -> None:
    z, y = samples
    assert 0.5 < shortcut_r2(z, y, name, K, 200) < 1
    # Trees reproduce noise on their own rows, and on no others.
    noise = np.random.default_rng(1).permutation(y)
    assert shortcut_r2(z, noise, name, K, 200) < 0.1


def test_differences_are_paired() -> None:
    outcomes = [
        Outcome(name, seed, seconds, {"best": best + 10 * seed}, {})
        for seed in range(3)
        for name, seconds, best in ((FULL, 2.0, 5.0), ("LightGBM with bagging .5", 1.0, 4.0))
    ]
    full, bagging = table(outcomes, {FULL: 0.5, "LightGBM with bagging .5": 0.4})["rows"]
    assert full[-1] == "15.000"
    # One less for every seed, whatever the seed does to both.
    assert bagging[-1] == "14.000 (-1.000 ± 0.000)*"
    assert bagging[2].startswith("2.00")


def test_from_the_command_line(tmp_path: Path, cache: Path) -> None:
    chosen = ("surrogate.", "generator.", "data.")
    tiny = [each for each in TINY if each.startswith(chosen)]
    asked = [
        "--queries=2",
        "--seeds=2",
        "--workers=2",
        f"--results={tmp_path}",
        "--only=LightGBM continued by 2 trees",
    ]
    main([*asked, "size=tiny", f"cache={cache}", *tiny])
    written = json.loads((tmp_path / "shortcuts.json").read_text())
    assert [each["seed"] for each in written["outcomes"]] == [0, 0, 1, 1]
    assert set(written["r2"]) == {FULL, "LightGBM continued by 2 trees"}
    assert len(written["tables"][0]["rows"]) == 2

    def left(command: str) -> None:
        kept = [each | {"seconds": 77.0} for each in written["outcomes"] if each["seed"] == 0]
        there = written | {"outcomes": kept, "command": command}
        (tmp_path / "shortcuts.json").write_text(json.dumps(there))

    def again() -> list[dict[str, Any]]:
        main([*asked, "--continue", "size=tiny", f"cache={cache}", *tiny])
        return json.loads((tmp_path / "shortcuts.json").read_text())["outcomes"]

    left(written["command"])
    outcomes = again()
    assert [each["seconds"] == 77 for each in outcomes] == [True, True, False, False]
    assert [each["scorer"] for each in outcomes] == [e["scorer"] for e in written["outcomes"]]
    # Nothing is left to search.
    assert again() == outcomes
    left("another command")
    assert all(each["seconds"] != 77 for each in again())
