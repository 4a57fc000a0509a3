"""What a retraining changes, on codes whose changes are known."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from small_starts import generator, start
from tiny_runs import TINY

from benchmarks.held_out import held_out_r2
from benchmarks.reencoding import Encoded, change, encoded, main, margins_of
from solvers.surrogates import GridBoosting

ROWS = 100


def _encoded(codes: np.ndarray, margins: np.ndarray) -> Encoded:
    return Encoded(codes, margins.astype(np.float32), 1.0)


def test_shares_of_what_changed() -> None:
    rng = np.random.default_rng(0)
    codes, scores = rng.integers(3, size=(ROWS, 2, 2)), rng.normal(size=ROWS)
    margins = np.ones((ROWS, 2, 2))
    margins[:10, 0, 0] = np.linspace(0, 0.9, 10)
    changed = codes.copy()
    # Of ten images with narrow margins the last changes, and of those the widest but one.
    changed[4, 0, 0] += 1
    changed[9, 1] += 1
    found = change(_encoded(codes, margins), _encoded(changed, margins), scores, trees=2)
    assert found.codes == pytest.approx(3 / (4 * ROWS))
    assert found.images == pytest.approx(2 / ROWS)
    assert found.needed == pytest.approx({"99%": 0.1, "100%": 0.1})


def test_nothing_changed() -> None:
    rng = np.random.default_rng(0)
    same = _encoded(rng.integers(3, size=(ROWS, 2, 2)), np.ones((ROWS, 2, 2)))
    found = change(same, same, rng.normal(size=ROWS), trees=2)
    assert (found.codes, found.images) == (0, 0)
    assert found.needed == {"99%": 0, "100%": 0}
    assert found.fresh == found.stale


def test_margins_are_between_the_two_nearest() -> None:
    images = start().archive.images(slice(0, 5))
    codes = encoded(generator(), start().archive).codes
    margins = margins_of(generator(), images)
    assert margins.shape == codes[:5].shape
    assert (margins >= 0).all()
    double = generator().network.quantizer.embedding.clone()
    # Where every code is there twice, no code is nearer than the second.
    twin = generator()
    embedding = twin.network.quantizer.embedding
    try:
        embedding[len(double) // 2 :] = double[: len(double) // 2]
        assert margins_of(twin, images).max() == pytest.approx(0, abs=1e-5)
    finally:
        with torch.no_grad():
            embedding.copy_(double)


def test_r2_is_of_rows_that_were_not_fitted_to() -> None:
    rng = np.random.default_rng(0)
    z = rng.integers(4, size=(500, 4))
    y = 1.0 * (z[:, 0] > 1)
    told = held_out_r2(GridBoosting(4, trees=200), z, y)
    other = held_out_r2(GridBoosting(4, trees=200), z, y, learnt_from=rng.permutation(z))
    noise = held_out_r2(GridBoosting(4, trees=200), z, rng.normal(size=500))
    assert told > 0.95
    assert other < 0.1
    assert noise < 0.1


def test_from_the_command_line(tmp_path: Path, cache: Path) -> None:
    chosen = ("surrogate.", "generator.", "data.", "retrainer.batch")
    tiny = [each for each in TINY if each.startswith(chosen)]
    asked = ["--retrainings=2", f"--results={tmp_path}", "threads=1"]
    main([*asked, "size=tiny", f"cache={cache}", *tiny])
    changes = json.loads((tmp_path / "reencoding.json").read_text())["changes"]
    assert len(changes) == 2
    assert all(0 <= each["codes"] <= each["images"] <= 1 for each in changes)
