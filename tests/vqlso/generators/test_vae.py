"""The VAE: the paper's tables layer by layer, and the immutable generator around the network."""

import copy
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from vqlso.contracts import EncodingGenerator, RetrainableGenerator
from vqlso.errors import CheckpointError, ConfigError, DataError, LatentSpaceError
from vqlso.generators.vae import VAE, Posterior, VAENetwork, VAESettings
from vqlso.generators.vqvae import VQVAE, VQVAENetwork, VQVAESettings
from vqlso.portions import BatchNorm2d, Portion, dividing

SMALL = VAESettings(image_size=64, width=4, dimension=6)

# Paper 003, tables 5 and 6: layer, output (height, filters) or features, activation and
# normalisation. All kernels are 3 and all paddings 1.
ENCODER = [
    ("conv", 2, (32, 32), "leaky norm"),
    ("conv", 2, (16, 64), "leaky norm"),
    ("conv", 2, (8, 128), "leaky norm"),
    ("conv", 2, (4, 256), "leaky norm"),
    ("conv", 2, (2, 512), "leaky norm"),
    ("dense", None, 128, ""),
]
DECODER = [
    ("dense", None, 2048, "leaky norm"),
    ("transposed", 2, (4, 256), "leaky norm"),
    ("transposed", 2, (8, 128), "leaky norm"),
    ("transposed", 2, (16, 64), "leaky norm"),
    ("transposed", 2, (32, 32), "leaky norm"),
    ("transposed", 2, (64, 32), "leaky norm"),
    ("conv", 1, (64, 3), ""),
]
Row = tuple[str, int | None, tuple[int, int] | int, str]


def table(layers: nn.Sequential, x: Tensor) -> list[Row]:
    """The rows of the paper's table."""
    rows: list[Row] = []
    for layer in layers:
        x = layer(x)
        match layer:
            case nn.Linear():
                rows.append(("dense", None, x.shape[1], ""))
            case nn.Conv2d() | nn.ConvTranspose2d():
                kind = "conv" if isinstance(layer, nn.Conv2d) else "transposed"
                assert (layer.kernel_size, layer.padding) == ((3, 3), (1, 1))
                assert layer.output_padding == ((0, 0) if kind == "conv" else (1, 1))
                rows.append((kind, layer.stride[0], (x.shape[2], x.shape[1]), ""))
            case nn.LeakyReLU():
                rows[-1] = (*rows[-1][:3], "leaky")
            case BatchNorm2d():
                rows[-1] = (*rows[-1][:3], f"{rows[-1][3]} norm")
    return rows


@torch.no_grad()
def test_layers_are_those_of_the_papers_tables() -> None:
    network = VAENetwork(VAESettings()).eval()
    assert table(network.encoder, torch.zeros(1, 3, 64, 64)) == ENCODER
    assert table(network.decoder, torch.zeros(1, 64)) == DECODER


def parameters(width: int, dimension: int, size: int) -> int:
    """Weights and biases of tables 5 and 6, and two of each normalised feature, by hand."""
    widths = [width, 2 * width, 4 * width, 8 * width, 16 * width]
    features = 16 * width * (size // 32) ** 2
    encoder = sum(9 * a * b + 3 * b for a, b in pairwise([3, *widths]))
    decoder = sum(9 * a * b + 3 * b for a, b in pairwise([*reversed(widths), width]))
    dense = features * 2 * dimension + 2 * dimension + dimension * features + 3 * features
    return encoder + decoder + dense + 9 * width * 3 + 3


@pytest.mark.parametrize(("width", "dimension", "size"), [(32, 64, 64), (4, 6, 32), (5, 3, 96)])
def test_widths_scale_together(width: int, dimension: int, size: int) -> None:
    network = VAENetwork(VAESettings(size, width, dimension))
    assert sum(p.numel() for p in network.parameters()) == parameters(width, dimension, size)


@pytest.mark.parametrize("size", [0, -32, 48, 100])
def test_a_size_that_cannot_be_halved_five_times_is_refused(size: int) -> None:
    with pytest.raises(DataError, match=f"multiple of 32, got {size}"):
        VAESettings(image_size=size)


@pytest.mark.parametrize("field", ["width", "dimension"])
def test_a_network_without_filters_or_latents_is_refused(field: str) -> None:
    with pytest.raises(ConfigError, match=f"at least 1.*{field}=0"):
        VAESettings(**{field: 0})


def posterior(n: int = 7) -> Posterior:
    generator = torch.Generator().manual_seed(2)
    mean, log_scale = torch.randn(2, n, 6, generator=generator, dtype=torch.float64)
    return Posterior(mean, log_scale)


def test_the_divergence_is_that_of_torchs_distributions() -> None:
    q = posterior()
    normal = torch.distributions.Normal(q.mean, q.log_scale.exp())
    prior = torch.distributions.Normal(torch.zeros(6).double(), torch.ones(6).double())
    expected = torch.distributions.kl_divergence(normal, prior).sum(1)
    torch.testing.assert_close(q.divergence(), expected)
    standard = Posterior(torch.zeros(2, 6), torch.zeros(2, 6))
    assert torch.equal(standard.divergence(), torch.zeros(2))


def test_samples_have_the_posteriors_moments() -> None:
    q = posterior(1)
    many = Posterior(q.mean.expand(40_000, -1), q.log_scale.expand(40_000, -1))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        z = (many.sample() - q.mean) / q.log_scale.exp()
    assert z.mean(0).abs().max() < 0.02
    assert (z.std(0) - 1).abs().max() < 0.02


def test_a_process_samples_its_rows_as_one_process_would() -> None:
    whole = posterior(7)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        expected = whole.sample()
        after = torch.get_rng_state()
        for rank in range(3):
            portion = Portion.of(7, rank, 3)
            torch.manual_seed(0)
            with dividing(portion):
                own = Posterior(whole.mean[portion.own], whole.log_scale[portion.own]).sample()
            assert torch.equal(own, expected[portion.own])
            assert torch.equal(torch.get_rng_state(), after)


def test_training_decodes_samples_and_evaluation_means() -> None:
    network = VAENetwork(SMALL)
    pixels = 2 * images() - 1
    with torch.no_grad(), torch.random.fork_rng():
        torch.manual_seed(0)
        assert not torch.equal(network(pixels)[0], network(pixels)[0])
        network.eval()
        reconstruction, q = network(pixels)
        assert torch.equal(network.unit_images(q.mean) * 2 - 1, reconstruction)


@pytest.fixture(scope="module")
def generator() -> VAE:
    """Random weights; the running statistics are those of some images."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = VAENetwork(SMALL)
        with torch.no_grad():
            for _ in range(20):
                network(2 * images() - 1)
    return VAE(network, batch_size=16)


def images(n: int = 40) -> Tensor:
    """Smooth colour gradients, so that latents vary from image to image."""
    generator = torch.Generator().manual_seed(1)
    corners = torch.rand(n, 3, 3, 3, generator=generator)
    return nn.functional.interpolate(corners, size=64, mode="bilinear").clamp(0, 1)


def latents(n: int = 40) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((n, 6))


def test_keeps_the_contracts(generator: VAE) -> None:
    assert isinstance(generator, EncodingGenerator)
    assert isinstance(generator, RetrainableGenerator)
    assert {name: space.shape for name, space in generator.spaces.items()} == {"z": (6,)}
    assert generator.space is generator.spaces["z"]
    assert generator.image_shape == (3, 64, 64)
    assert not any(module.training for module in generator.network.modules())
    assert not any(p.requires_grad for p in generator.network.parameters())


@pytest.mark.parametrize("n", [0, 1, 16, 17, 40])
def test_shapes_types_and_ranges(n: int, generator: VAE) -> None:
    z = generator.encode(images()[:n])
    assert z.shape == (n, 6)
    assert z.dtype == np.float64
    decoded = generator.decode(z)
    assert decoded.shape == (n, 3, 64, 64)
    assert decoded.dtype == torch.float32
    assert ((decoded >= 0) & (decoded <= 1)).all()


def test_latents_are_posterior_means(generator: VAE) -> None:
    with torch.no_grad():
        _, q = generator.network(2 * images() - 1)
    np.testing.assert_allclose(generator.encode(images()), q.mean.double().numpy(), atol=1e-5)
    assert generator.encode(images()).std(axis=0).min() > 0.01


def test_each_latent_is_decoded_by_itself_and_changes_nothing(generator: VAE) -> None:
    # Batch statistics would mix latents, and running statistics would drift with each decoding.
    before = copy.deepcopy(generator.network.state_dict())
    z = latents()
    together = VAE(generator.network, batch_size=40).decode(z)
    alone = VAE(generator.network, batch_size=1).decode(z)
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=0)
    for name, value in generator.network.state_dict().items():
        assert torch.equal(value, before[name])


def test_tensors_decode_as_arrays_do_and_pass_gradients(generator: VAE) -> None:
    z = torch.from_numpy(latents(3)).requires_grad_()
    decoded = generator.decode_tensor(z)
    torch.testing.assert_close(decoded.detach(), generator.decode(latents(3)))
    weights = torch.randn(decoded.shape[1:], generator=torch.Generator().manual_seed(0))
    (gradient,) = torch.autograd.grad((decoded * weights).sum(), z)
    assert gradient.dtype == torch.float64
    direction = latents(6)[3:]
    step = 1e-3  # the leaky ReLUs' kinks forbid longer ones, float32 shorter ones
    ahead, behind = (generator.decode(latents(3) + s * direction) for s in (step, -step))
    slope = ((ahead - behind).double() * weights).sum((1, 2, 3)) / (2 * step)
    found = (gradient * torch.from_numpy(direction)).sum(1)
    torch.testing.assert_close(found, slope, rtol=0, atol=0.03 * float(slope.abs().max()))


@pytest.mark.parametrize("shape", [(2, 3, 32, 32), (2, 1, 64, 64), (3, 64, 64)])
def test_images_of_another_size_are_refused(shape: tuple[int, ...], generator: VAE) -> None:
    with pytest.raises(DataError, match=r"This VAE takes .*\(n, 3, 64, 64\); got"):
        generator.encode(torch.zeros(shape))


def test_latents_that_are_not_its_own_are_refused(generator: VAE) -> None:
    for bad in (np.zeros((1, 7)), np.zeros(6), np.zeros((1, 6), int), np.full((1, 6), np.nan)):
        with pytest.raises(LatentSpaceError):
            generator.decode(bad)
    with pytest.raises(LatentSpaceError, match="'z', not 'w'"):
        generator.decode(np.zeros((1, 6)), "w")


def changed(generator: VAE, name: str) -> VAE:
    """A copy whose tensor of this name differs in one entry."""
    network = copy.deepcopy(generator.network)
    tensor = network.state_dict()[name]
    tensor[(0,) * tensor.dim()] += 1e-4 if tensor.is_floating_point() else 1
    return VAE(network)


def test_the_version_changes_with_any_weight_or_statistic(generator: VAE) -> None:
    names = list(generator.network.state_dict())
    versions = {changed(generator, name).version for name in names}
    assert generator.version not in versions
    assert len(versions) == len(names)
    assert VAE(copy.deepcopy(generator.network), batch_size=3).version == generator.version


def test_save_and_load_round_trip(generator: VAE, tmp_path: Path) -> None:
    generator.save(tmp_path / "g.safetensors")
    loaded = VAE.load(tmp_path / "g.safetensors")
    assert loaded.settings == SMALL
    assert loaded.version == generator.version
    loaded = VAE(loaded.network, generator.batch_size)
    z = generator.encode(images())
    np.testing.assert_array_equal(loaded.encode(images()), z)
    torch.testing.assert_close(loaded.decode(z), generator.decode(z), atol=1e-5, rtol=0)


def test_a_vqvaes_file_is_refused(tmp_path: Path) -> None:
    VQVAE(VQVAENetwork(VQVAESettings(8, 2, 4, 2, 0))).save(tmp_path / "v.safetensors")
    with pytest.raises(CheckpointError, match="'vqvae', where 'vae'"):
        VAE.load(tmp_path / "v.safetensors")
