"""What tests of the page share: an untrained generator of 16 pixels, and sessions with it."""

from pathlib import Path

import pytest
import torch

from pipeline.evolution.settings import EvolutionSettings
from vqlso.generators.stylegan2.generator import StyleGAN2
from vqlso.generators.stylegan2.network import StyleGAN2Network
from vqlso.generators.stylegan2.settings import StyleGAN2Settings

POPULATION = 12


@pytest.fixture(scope="session")
def tiny_gan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of an untrained StyleGAN2 of 16 pixels."""
    path = tmp_path_factory.mktemp("generator") / "tiny.safetensors"
    with torch.random.fork_rng():
        torch.manual_seed(0)
        StyleGAN2(StyleGAN2Network(StyleGAN2Settings(16, 4, 4, 0, 1, 64, 8))).save(path)
    return path


@pytest.fixture(scope="session")
def defaults(tiny_gan: Path) -> EvolutionSettings:
    """Of small sessions."""
    return EvolutionSettings(generator=str(tiny_gan), population=POPULATION)
