"""Discriminators as files, and that the packaged one tells faces from samples."""

from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline.runs.shelf import PACKAGED
from vqlso.data.faces import procedural_faces
from vqlso.errors import CheckpointError, ConfigError, DataError
from vqlso.generators import load_discriminator, load_generator
from vqlso.generators.stylegan2.discriminator import Discriminator, StyleGAN2Discriminator
from vqlso.generators.stylegan2.settings import StyleGAN2Settings
from vqlso.images import to_unit

TINY = StyleGAN2Settings(8, 4, 4, mapping_layers=1, channel_base=32, channel_max=4)


def untrained() -> StyleGAN2Discriminator:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return StyleGAN2Discriminator(Discriminator(TINY))


def images(n: int) -> torch.Tensor:
    return torch.rand(n, 3, 8, 8, generator=torch.Generator().manual_seed(1)) * 2 - 1


def test_a_file_holds_what_was_saved(tmp_path: Path) -> None:
    made = untrained()
    made.save(tmp_path / "d.safetensors")
    loaded = load_discriminator(tmp_path / "d.safetensors")
    assert loaded.version == made.version
    torch.testing.assert_close(loaded(images(5)), made(images(5)), rtol=0, atol=0)
    made.save(tmp_path / "half.safetensors", half=True)
    half = load_discriminator(tmp_path / "half.safetensors")
    assert half.version != made.version
    torch.testing.assert_close(half(images(5)), made(images(5)), rtol=1e-2, atol=1e-2)


def test_an_image_is_scored_without_its_neighbours() -> None:
    made = untrained()
    alone = torch.cat([made(each) for each in images(6).split(1)])
    torch.testing.assert_close(made(images(6)), alone)


def test_gradients_reach_the_image() -> None:
    pixels = images(2).requires_grad_(True)
    untrained()(pixels).sum().backward()
    assert pixels.grad is not None
    assert pixels.grad.abs().amax(dim=(1, 2, 3)).min() > 0


def test_files_of_other_kinds() -> None:
    with pytest.raises(CheckpointError, match="'stylegan2', which is no discriminator"):
        load_discriminator(PACKAGED / "stylegan2-faces.safetensors")
    with pytest.raises(CheckpointError, match="which is no generator"):
        load_generator(PACKAGED / "stylegan2-faces-discriminator.safetensors")
    with pytest.raises(CheckpointError, match="There is no checkpoint"):
        load_discriminator(PACKAGED / "none.safetensors")


def test_what_it_cannot_judge() -> None:
    with pytest.raises(DataError, match="3, 8, 8"):
        untrained()(torch.zeros(1, 3, 16, 16))
    labelled = StyleGAN2Settings(8, 4, 4, c_dim=2, mapping_layers=1, channel_base=32, channel_max=4)
    with pytest.raises(ConfigError, match="without labels"):
        StyleGAN2Discriminator(Discriminator(labelled))


def test_the_packaged_one_tells_faces_from_samples() -> None:
    discriminator = load_discriminator(PACKAGED / "stylegan2-faces-discriminator.safetensors")
    generator = load_generator(PACKAGED / "stylegan2-faces.safetensors")
    z = np.random.default_rng(5).standard_normal((100, 64))
    faces = to_unit(procedural_faces(100, seed=77).images)
    with torch.inference_mode():
        real, fake = (discriminator(2 * x - 1) for x in (faces, generator.decode(z, "z")))
        noise = discriminator(torch.rand(10, 3, 64, 64, generator=torch.Generator()) * 2 - 1)
    # The share of pairs in the right order; 0.85 on 500 of each.
    assert (real[:, None] > fake[None]).float().mean() > 0.75
    assert noise.max() < fake.min()
