"""The decoding benchmark: what it measures of the packaged networks, and its table on the page."""

import json
from pathlib import Path

import pytest

from benchmarks import decoding
from benchmarks.recording import RESULTS

PAGE = Path(__file__).parents[2] / "docs" / "generators.md"


@pytest.mark.parametrize(("name", "weights"), [("PGAN", 439_967), ("StyleGAN2", 670_344)])
def test_one_measurement(name: str, weights: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "SECONDS", 0.0)
    monkeypatch.setattr(decoding.torch, "set_num_threads", lambda _: None)
    found = decoding.measured(name, decoding.PACKAGED_AT, False)
    assert (found.weights, found.dtype) == (weights, "float32")
    assert found.images_a_second > 0
    # Activations of a chunk are bound by 256 MiB.
    assert 1 <= found.chunk <= 256 * 2**20 // (4 * 4 * 64**2)
    assert found.peak_mib >= found.loaded_mib > 50


def test_every_case_is_measured_in_both_precisions() -> None:
    cases = list(decoding.cases(256))
    assert len(cases) == len(set(cases)) == 2 * (4 * 2 + 2)
    assert {resolution for _, resolution, _ in cases} == {64, 128, 256}


def test_the_page_shows_what_was_measured() -> None:
    page = PAGE.read_text(encoding="utf-8")
    record = json.loads((RESULTS / "generators" / "decoding.json").read_text())
    assert decoding.table(record) in page
    assert record["command"] in page
    importing = json.loads((RESULTS / "generators" / "importing.json").read_text())
    assert importing["command"] in page
    assert f"{importing['file_mib']:.0f} MiB" in page
