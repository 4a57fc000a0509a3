"""What every generator promises: valid latents both ways, and a version that is its weights'."""

from pathlib import Path

import numpy as np
import pytest
import torch
from toys import Mosaic

from vqlso.contracts import EncodingGenerator, Generator, RetrainableGenerator
from vqlso.errors import LatentSpaceError
from vqlso.generators.vqvae import VQVAE, VQVAENetwork, VQVAESettings

SMALL = VQVAESettings(image_size=16, width=2, categories=5, dimension=3, residual_blocks=1)


def vqvae(seed: int = 0) -> VQVAE:
    torch.manual_seed(seed)
    return VQVAE(VQVAENetwork(SMALL))


@pytest.fixture(params=[vqvae, Mosaic])
def generator(request: pytest.FixtureRequest) -> RetrainableGenerator:
    return request.param()


def latents(generator: Generator, n: int = 5) -> np.ndarray:
    return generator.spaces["codes"].sample(n, np.random.default_rng(3))


def test_it_is_a_generator(generator: RetrainableGenerator) -> None:
    assert isinstance(generator, Generator)
    assert isinstance(generator, EncodingGenerator)
    assert isinstance(generator, RetrainableGenerator)


@pytest.mark.parametrize("n", [0, 1, 5])
def test_latents_become_images(generator: RetrainableGenerator, n: int) -> None:
    images = generator.decode(latents(generator, n), "codes")
    assert images.shape == (n, *generator.image_shape)
    assert images.dtype == torch.float32
    assert ((images >= 0) & (images <= 1)).all()


def test_each_latent_is_decoded_by_itself(generator: RetrainableGenerator) -> None:
    z = latents(generator)
    alone = torch.cat([generator.decode(z[row : row + 1], "codes") for row in range(len(z))])
    torch.testing.assert_close(generator.decode(z, "codes"), alone, atol=2e-2, rtol=0)


def test_images_become_valid_latents(generator: RetrainableGenerator) -> None:
    images = generator.decode(latents(generator), "codes")
    z = generator.encode(images)
    np.testing.assert_array_equal(generator.spaces["codes"].validate(z), z)
    np.testing.assert_array_equal(generator.encode(images), z)


def test_a_file_keeps_version_and_images(generator: RetrainableGenerator, tmp_path: Path) -> None:
    generator.save(tmp_path / "generator.safetensors")
    loaded = type(generator).load(tmp_path / "generator.safetensors")
    z = latents(generator)
    assert loaded.version == generator.version
    assert torch.equal(loaded.decode(z, "codes"), generator.decode(z, "codes"))


def test_other_weights_are_another_version() -> None:
    assert vqvae(0).version == vqvae(0).version
    assert vqvae(0).version != vqvae(1).version
    assert Mosaic(0).version != Mosaic(1).version


def test_latents_of_another_shape_are_refused(generator: RetrainableGenerator) -> None:
    with pytest.raises(LatentSpaceError, match="shape"):
        generator.decode(latents(generator)[:, :1], "codes")
