"""The study of evolution by picks: what is counted, and that it goes on where it stood."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import evolution
from benchmarks.evolution import METHODS, Outcome, main, table


def outcome(method: str, target: int, distance: float) -> Outcome:
    return Outcome(method, target, dict.fromkeys(evolution.networks(), distance), [], 0.1)


def test_shares_are_of_the_same_targets_with_exact_intervals() -> None:
    """22 of 30 is the paper's 73.3 % with its interval of 54.1 % to 87.7 % (section V-D1)."""
    random = [outcome("random", target, 2.0) for target in range(30)]
    ours = [outcome("evolution", target, 1.0 if target < 22 else 3.0) for target in range(30)]
    rows = table([*random, *ours, outcome("evolution", 99, 0.0)])["rows"]
    assert [row[0] for row in rows] == [METHODS[name].line for name in ("random", "evolution")]
    assert rows[0][2:4] == ["30", "2.00"]
    assert rows[1][2:4] == ["30", "1.53, nearer in 73% [54%, 88%]"]


def test_an_interrupted_study_is_gone_on_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, int]] = []

    def searched(name: str, target: int, wanted: np.ndarray) -> Outcome:
        asked.append((name, target))
        if len(asked) == 3:
            raise KeyboardInterrupt
        return outcome(name, target, float(len(asked)))

    monkeypatch.setattr(evolution, "searched", searched)
    arguments: list[Any] = ["--targets", "2", "--methods", "random,evolution"]
    arguments += ["--results", str(tmp_path)]
    with pytest.raises(KeyboardInterrupt):
        main(arguments)
    main(arguments)
    assert asked[2:] == [("evolution", 0), ("evolution", 0), ("evolution", 1)]
    main(arguments)
    assert len(asked) == 5
    written = json.loads((tmp_path / "evolution.json").read_text())
    assert len(written["outcomes"]) == 4
    assert len(written["tables"][0]["rows"]) == 2
