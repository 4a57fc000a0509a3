"""Search on the second domain: a PGAN's z and class, or z with a class held."""

from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_runs import said, vqlso

from pipeline.configuration.composition import composed
from pipeline.preparation.sources import load_data
from pipeline.runs.folder import RunFolder
from vqlso.data.textures import CLASSES, procedural_textures
from vqlso.generators.pgan.generator import PGAN
from vqlso.generators.pgan.network import PGANNetwork
from vqlso.generators.pgan.settings import PGANSettings
from vqlso.progress import SILENT

QUERIES = 3


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained PGAN of two groups of classes and 16 pixels."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made = PGAN(PGANNetwork(PGANSettings(3, (2, 3), (6, 6, 4))))
    path = tmp_path_factory.mktemp("small") / "pgan.safetensors"
    made.save(path)
    return path


def searched(small: Path, cache: Path, out: Path, *overrides: str) -> RunFolder:
    result = vqlso(
        *("run", "texture_search", "size=tiny", "threads=1", f"queries={QUERIES}"),
        *("data.size=16", "data.count=160", "generator.samples=30", "shift.samples=0"),
        *(f"generator.checkpoint={small}", f"out={out}", f"cache={cache}", *overrides),
    )
    assert result.exit_code == 0, result.output
    return RunFolder.existing(out)


def latents(run: RunFolder) -> np.ndarray:
    return np.array([event["z"] for event in run.journal.events("query")])


def test_z_and_class_are_searched_together(small: Path, cache: Path, tmp_path: Path) -> None:
    run = searched(small, cache, tmp_path / "run")
    assert latents(run).shape == (QUERIES, 3 + 2 + 3)
    summary = run.read_json("summary.json")
    assert summary["latents"] == "z x class"
    assert summary["judge"] is not None
    assert "5 for bricks" in run.read_json("preparation.json")["data"]["label_origin"]
    assert run.report.is_file()


def test_a_held_class_leaves_z(small: Path, cache: Path, tmp_path: Path) -> None:
    run = searched(small, cache, tmp_path / "run", "generator.held=[1,2]", "solver=local_search")
    assert latents(run).shape == (QUERIES, 3)
    settings = ("data.size=16", f"generator.checkpoint={small}", "generator.held=[1,3]")
    said(vqlso("run", "texture_search", *settings), "held = (1, 3)")


def test_the_wanted_class_has_the_label_5() -> None:
    config = composed("texture_search", ["data.wanted=marble", "data.count=40", "data.size=16"])
    data = load_data(config.data, Path(), SILENT)
    plain = procedural_textures(40, 0, 16)
    marble = plain.labels == CLASSES.index("marble")
    np.testing.assert_array_equal(data.labels, 5.0 * marble)
    np.testing.assert_array_equal(data.images, plain.images)
    other = composed("texture_search", ["data.count=40", "data.size=16"])
    assert load_data(other.data, Path(), SILENT).fingerprint != data.fingerprint
    classes = composed("train_pgan", ["data.count=40", "data.size=16"])
    assert load_data(classes.data, Path(), SILENT).fingerprint == plain.fingerprint


def test_an_unknown_class_and_a_setting_of_textures_only(tmp_path: Path) -> None:
    out = f"out={tmp_path / 'run'}"
    said(vqlso("run", "texture_search", "data.wanted=brick", out), "did you mean 'bricks'?")
    said(vqlso("run", "smile_shift", "data.wanted=bricks", out), "data=textures")
    said(vqlso("run", "smile_shift", "generator.held=[1]", out), "generator=pgan")
