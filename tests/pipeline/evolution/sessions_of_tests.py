"""Small sessions with untrained generators, for the tests beside."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from pipeline.evolution.session import EvolutionSession, EvolutionSettings
from pipeline.runs.folder import RunFolder
from vqlso.generators.diffusion.generator import DDIM
from vqlso.generators.diffusion.network import DDIMNetwork
from vqlso.generators.diffusion.settings import DDIMSettings, Sampling
from vqlso.generators.pgan.generator import PGAN
from vqlso.generators.pgan.network import PGANNetwork
from vqlso.generators.pgan.settings import PGANSettings
from vqlso.generators.stylegan2.generator import StyleGAN2
from vqlso.generators.stylegan2.network import StyleGAN2Network
from vqlso.generators.stylegan2.settings import StyleGAN2Settings
from vqlso.generators.vae import VAE, VAENetwork, VAESettings
from vqlso.generators.vqvae import VQVAE, VQVAENetwork, VQVAESettings

KINDS = ("stylegan2", "vae", "vqvae", "pgan", "ddim")


def save_generators(folder: Path) -> dict[str, Path]:
    """Untrained generators of 16 pixels, 32 of the VAE and the DDIM."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made = {
            "stylegan2": StyleGAN2(StyleGAN2Network(StyleGAN2Settings(16, 4, 4, 0, 1, 64, 8))),
            "vae": VAE(VAENetwork(VAESettings(32, 2, 4))),
            "vqvae": VQVAE(_with_varied_codes(VQVAENetwork(VQVAESettings(16, 2, 8, 4, 1)))),
            "pgan": PGAN(PGANNetwork(PGANSettings(3, (3,), (4, 4, 4)))),
            "ddim": DDIM(DDIMNetwork(DDIMSettings(32, 8, (1, 1), 4)), Sampling(2)),
        }
    for name, generator in made.items():
        generator.save(folder / f"{name}.safetensors")
    return {name: folder / f"{name}.safetensors" for name in made}


def _with_varied_codes(network: VQVAENetwork) -> VQVAENetwork:
    """An untrained encoder's outputs lie close together: its codebook is made of some of them."""
    with torch.no_grad():
        encoded = network.encoder(torch.rand(2, 3, 16, 16) * 2 - 1)
        network.quantizer.embedding.copy_(encoded.permute(0, 2, 3, 1).reshape(-1, 4))
    return network


def begun(path: Path, generator: Path, **settings: Any) -> EvolutionSession:
    """A new session of few images."""
    given = {"population": 6, "picks": 3, **settings}
    return EvolutionSession.create(
        RunFolder(path), EvolutionSettings(generator=str(generator), **given)
    )


def counts(*rows: int, population: int = 6) -> list[int]:
    """Clicks on these rows."""
    return np.bincount(rows, minlength=population).tolist()


def same(one: EvolutionSession, other: EvolutionSession) -> None:
    """Both show the same, and know the same way there."""
    np.testing.assert_array_equal(one.images, other.images)
    assert (one.step, one.mutation, one.favourite) == (other.step, other.mutation, other.favourite)
    assert [step.rows for step in one.history] == [step.rows for step in other.history]
    for mine, theirs in zip(one.history, other.history, strict=True):
        assert (mine.number, mine.counts, mine.mutation) == (
            theirs.number,
            theirs.counts,
            theirs.mutation,
        )
        np.testing.assert_array_equal(mine.thumbnails, theirs.thumbnails)


def picture(width: int = 40, height: int = 30, kind: str = "PNG", seed: int = 0) -> bytes:
    """A file of coloured noise."""
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind)
    return buffer.getvalue()


def plain_picture(width: int, height: int) -> bytes:
    """A small file of many pixels."""
    buffer = io.BytesIO()
    Image.new("RGB", (width, height)).save(buffer, "PNG")
    return buffer.getvalue()
