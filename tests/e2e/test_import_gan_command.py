"""`vqlso import-gan`: from a stranger's file to a search over its latents."""

import json
from pathlib import Path

import pytest
import torch
from gan_layouts import rosinality_state
from tiny_runs import said, vqlso

from vqlso.checkpoints import kind_of
from vqlso.errors import CheckpointError
from vqlso.generators import load_generator
from vqlso.generators.stylegan2.network import StyleGAN2Network
from vqlso.generators.stylegan2.settings import StyleGAN2Settings

SETTINGS = StyleGAN2Settings(
    resolution=16, z_dim=8, w_dim=8, mapping_layers=2, channel_base=64, channel_max=8
)


@pytest.fixture
def converted(tmp_path: Path) -> Path:
    """A file as rosinality's convert_weight.py writes it."""
    torch.manual_seed(0)
    state = {name: each.numpy() for name, each in StyleGAN2Network(SETTINGS).state_dict().items()}
    tensors = {name: torch.from_numpy(each) for name, each in rosinality_state(state).items()}
    path = tmp_path / "faces.pt"
    torch.save({"g_ema": tensors, "latent_avg": torch.zeros(8)}, path)
    return path


def test_what_was_found_is_told_and_written(converted: Path, tmp_path: Path) -> None:
    out = tmp_path / "g.safetensors"
    result = vqlso("import-gan", converted, "-o", out, "--json")
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert "16" in " ".join(told.values())
    assert kind_of(out) == "stylegan2"
    assert load_generator(out).image_shape == (3, 16, 16)


def test_the_table_says_how_to_go_on(converted: Path, tmp_path: Path) -> None:
    result = vqlso("import-gan", converted, "-o", tmp_path / "g.safetensors")
    assert "generator.checkpoint=" in result.output


def test_a_page_that_was_saved_as_a_checkpoint(tmp_path: Path) -> None:
    page, out = tmp_path / "stylegan3.pkl", tmp_path / "g.safetensors"
    page.write_text("<!DOCTYPE html><html><body>Not found</body></html>")
    result = vqlso("import-gan", page, "-o", out)
    assert result.exit_code == CheckpointError.exit_code
    said(result, "a web page")
    assert not out.exists()


def test_an_imported_generator_is_searched(converted: Path, tmp_path: Path, cache: Path) -> None:
    out = tmp_path / "g.safetensors"
    assert vqlso("import-gan", converted, "-o", out).exit_code == 0
    result = vqlso(
        *("run", "smile_shift", "size=tiny", "threads=1", "queries=3", "data.count=300"),
        *("data.size=16", "generator=stylegan2", f"generator.checkpoint={out}"),
        *("generator.samples=30", "solver=local_search", "retrainer=none"),
        *(f"out={tmp_path / 'run'}", f"cache={cache}"),
    )
    assert result.exit_code == 0, result.output
    page = (tmp_path / "run" / "report.html").read_text()
    assert "the search proposed a latent" in page


def test_a_generator_without_an_encoder_is_not_retrained(converted: Path, tmp_path: Path) -> None:
    out = tmp_path / "g.safetensors"
    assert vqlso("import-gan", converted, "-o", out).exit_code == 0
    result = vqlso(
        *("run", "smile_shift", "data.size=16", "generator=stylegan2"),
        *(f"generator.checkpoint={out}", "solver=local_search"),
    )
    said(result, "encodes images", "retrainer=none")
