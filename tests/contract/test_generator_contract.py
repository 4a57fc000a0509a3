"""What every generator promises: valid latents both ways, and a version that is its weights'."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from toys import Mosaic

from vqlso.contracts import EncodingGenerator, Generator, RetrainableGenerator
from vqlso.errors import LatentSpaceError
from vqlso.generators.pgan.generator import PGAN
from vqlso.generators.pgan.network import PGANNetwork
from vqlso.generators.pgan.settings import PGANSettings
from vqlso.generators.stylegan2.generator import StyleGAN2
from vqlso.generators.stylegan2.network import StyleGAN2Network
from vqlso.generators.stylegan2.settings import StyleGAN2Settings
from vqlso.generators.vae import VAE, VAENetwork, VAESettings
from vqlso.generators.vqvae import VQVAE, VQVAENetwork, VQVAESettings

SMALL = VQVAESettings(image_size=16, width=2, categories=5, dimension=3, residual_blocks=1)


def vqvae(seed: int = 0) -> VQVAE:
    torch.manual_seed(seed)
    return VQVAE(VQVAENetwork(SMALL))


def vae(seed: int = 0) -> VAE:
    torch.manual_seed(seed)
    return VAE(VAENetwork(VAESettings(image_size=32, width=2, dimension=3)))


def stylegan2(seed: int = 0) -> StyleGAN2:
    torch.manual_seed(seed)
    settings = StyleGAN2Settings(8, 3, 4, mapping_layers=1, channel_base=16, channel_max=4)
    return StyleGAN2(StyleGAN2Network(settings))


def pgan(seed: int = 0) -> PGAN:
    torch.manual_seed(seed)
    return PGAN(PGANNetwork(PGANSettings(z_dim=3, classes=(2, 3), channels=(4, 3))))


@pytest.fixture(params=[vqvae, vae, Mosaic])
def generator(request: pytest.FixtureRequest) -> RetrainableGenerator:
    """One that encodes and is retrained."""
    return request.param()


@pytest.fixture(params=[vqvae, vae, stylegan2, pgan, Mosaic])
def decoder(request: pytest.FixtureRequest) -> Generator:
    """One that need not encode."""
    return request.param()


def latents(generator: Generator, n: int = 5) -> np.ndarray:
    return generator.space.sample(n, np.random.default_rng(3))


def decoded(generator: Generator, z: np.ndarray) -> torch.Tensor:
    return generator.decode(z, generator.space.name)


def test_it_is_a_generator(decoder: Generator) -> None:
    assert isinstance(decoder, Generator)


def test_it_encodes_and_can_be_kept(generator: RetrainableGenerator) -> None:
    assert isinstance(generator, EncodingGenerator)
    assert isinstance(generator, RetrainableGenerator)


@pytest.mark.parametrize("n", [0, 1, 5])
def test_latents_become_images(decoder: Generator, n: int) -> None:
    images = decoded(decoder, latents(decoder, n))
    assert images.shape == (n, *decoder.image_shape)
    assert images.dtype == torch.float32
    assert ((images >= 0) & (images <= 1)).all()


def test_each_latent_is_decoded_by_itself(decoder: Generator) -> None:
    z = latents(decoder)
    alone = torch.cat([decoded(decoder, z[row : row + 1]) for row in range(len(z))])
    torch.testing.assert_close(decoded(decoder, z), alone, atol=2e-2, rtol=0)


def test_images_become_valid_latents(generator: RetrainableGenerator) -> None:
    images = decoded(generator, latents(generator))
    z = generator.encode(images)
    np.testing.assert_array_equal(generator.space.validate(z), z)
    np.testing.assert_array_equal(generator.encode(images), z)


def test_a_file_keeps_version_and_images(decoder: Any, tmp_path: Path) -> None:
    decoder.save(tmp_path / "generator.safetensors")
    loaded = type(decoder).load(tmp_path / "generator.safetensors")
    z = latents(decoder)
    assert loaded.version == decoder.version
    torch.testing.assert_close(decoded(loaded, z), decoded(decoder, z), atol=1e-5, rtol=0)


def test_other_weights_are_another_version() -> None:
    assert vqvae(0).version == vqvae(0).version
    assert vqvae(0).version != vqvae(1).version
    assert vae(0).version == vae(0).version
    assert vae(0).version != vae(1).version
    assert stylegan2(0).version == stylegan2(0).version
    assert stylegan2(0).version != stylegan2(1).version
    assert pgan(0).version == pgan(0).version
    assert pgan(0).version != pgan(1).version
    assert Mosaic(0).version != Mosaic(1).version


def test_latents_of_another_shape_are_refused(decoder: Generator) -> None:
    with pytest.raises(LatentSpaceError, match="shape"):
        decoded(decoder, latents(decoder)[:, :1])


def test_it_names_the_space_that_it_decodes_by_default(decoder: Generator) -> None:
    assert decoder.spaces[decoder.space.name] is decoder.space
