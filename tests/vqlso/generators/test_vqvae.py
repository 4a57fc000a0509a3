"""The VQ-VAE: the paper's tables layer by layer, and the immutable generator around the network."""

import copy
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from vqlso.contracts import EncodingGenerator, RetrainableGenerator
from vqlso.errors import CheckpointError, ConfigError, DataError, LatentSpaceError
from vqlso.generators.quantizer import CodebookSettings
from vqlso.generators.vqvae import VQVAE, VQVAENetwork, VQVAESettings
from vqlso.hardware import autocast
from vqlso.objectives.degree_classifier import DegreeClassifier, ScorerSettings
from vqlso.objectives.scorer_networks import PlainScorer
from vqlso.spaces import CodeGrid

SMALL = VQVAESettings(image_size=32, width=8, categories=16, dimension=4)

# Paper 003, tables 2 and 3: layer, output (height, filters), kernel, padding, stride.
ENCODER = [
    ("conv", (32, 64), 4, 1, 2),
    ("conv", (16, 128), 4, 1, 2),
    ("conv", (8, 256), 4, 1, 2),
    ("conv", (8, 256), 3, 1, 1),
    ("residual", (8, 256), None, None, None),
    ("residual", (8, 256), None, None, None),
    ("conv", (8, 64), 1, 0, 1),
]
DECODER = [
    ("conv", (8, 256), 3, 1, 1),
    ("residual", (8, 256), None, None, None),
    ("residual", (8, 256), None, None, None),
    ("transposed", (16, 128), 4, 1, 2),
    ("transposed", (32, 64), 4, 1, 2),
    ("transposed", (64, 3), 4, 1, 2),
]
KINDS = {nn.Conv2d: "conv", nn.ConvTranspose2d: "transposed"}
Row = tuple[str, tuple[int, int], int | None, int | None, int | None]


def table(layers: nn.Sequential, x: Tensor) -> tuple[list[Row], list[bool]]:
    """The rows of the paper's table, and whether a leaky ReLU follows each."""
    rows: list[Row] = []
    activated: list[bool] = []
    for layer in layers:
        x = layer(x)
        shape = (x.shape[2], x.shape[1])
        assert x.shape[2] == x.shape[3]
        if isinstance(layer, nn.LeakyReLU):
            activated[-1] = True
            continue
        activated.append(False)
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            assert layer.out_channels == shape[1]
            assert layer.kernel_size[0] == layer.kernel_size[1]
            rows.append(
                (
                    KINDS[type(layer)],
                    shape,
                    layer.kernel_size[0],
                    int(layer.padding[0]),
                    layer.stride[0],
                )
            )
            assert set(layer.output_padding) == {0}
        else:
            rows.append(("residual", shape, None, None, None))
    return rows, activated


@torch.no_grad()
def test_layers_are_those_of_the_papers_tables() -> None:
    network = VQVAENetwork().eval()
    encoder, encoder_activated = table(network.encoder, torch.zeros(1, 3, 64, 64))
    assert encoder == ENCODER
    assert encoder_activated == [True, True, True, True, False, False, True]
    decoder, decoder_activated = table(network.decoder, torch.zeros(1, 64, 8, 8))
    assert decoder == DECODER
    assert decoder_activated == [True, False, False, True, True, False]
    assert network.quantizer.embedding.shape == (256, 64)


def parameters(width: int, dimension: int, blocks: int) -> int:
    """Weights and biases of tables 2 and 3, counted by hand."""
    a, b, c = width, 2 * width, 4 * width
    block = (9 * c * c + c) + (c * c + c)
    encoder = (16 * 3 * a + a) + (16 * a * b + b) + (16 * b * c + c) + (9 * c * c + c)
    decoder = (9 * dimension * c + c) + (16 * c * b + b) + (16 * b * a + a) + (16 * a * 3 + 3)
    return encoder + (c * dimension + dimension) + decoder + 2 * blocks * block


@pytest.mark.parametrize(("width", "dimension", "blocks"), [(64, 64, 2), (8, 4, 0), (12, 5, 3)])
def test_widths_scale_together(width: int, dimension: int, blocks: int) -> None:
    settings = VQVAESettings(width=width, dimension=dimension, residual_blocks=blocks)
    counted = sum(p.numel() for p in VQVAENetwork(settings).parameters())
    assert counted == parameters(width, dimension, blocks)


def test_a_residual_block_adds_to_its_input() -> None:
    block = VQVAENetwork(SMALL).encoder[8]
    x = torch.randn(2, 32, 4, 4)
    with torch.no_grad():
        by_hand = block.mix(block.spatial(x.clamp(min=0)).clamp(min=0)) + x
        assert torch.allclose(block(x), by_hand)
        block.mix.weight.zero_()
        block.mix.bias.zero_()
        assert torch.equal(block(x), x)
    assert (block.spatial.kernel_size, block.mix.kernel_size) == ((3, 3), (1, 1))


def test_defaults_are_the_papers() -> None:
    settings = VQVAESettings()
    assert (settings.image_size, settings.categories, settings.dimension) == (64, 256, 64)
    network = VQVAENetwork(VQVAESettings(width=8))
    assert VQVAE(network).space == CodeGrid(256, 8, 8)


@pytest.mark.parametrize("downsampling", [2, 4, 8, 16])
def test_cells_of_other_sizes(downsampling: int, tmp_path: Path) -> None:
    settings = VQVAESettings(32, 4, 16, 4, 1, downsampling=downsampling)
    generator = VQVAE(VQVAENetwork(settings))
    side = 32 // downsampling
    assert generator.space == CodeGrid(16, side, side)
    codes = generator.encode(images())
    assert codes.shape == (len(images()), side, side)
    assert generator.decode(codes).shape == images().shape
    generator.save(tmp_path / "g.safetensors")
    assert VQVAE.load(tmp_path / "g.safetensors").version == generator.version


@pytest.mark.parametrize("downsampling", [0, 1, 3, -2, 12])
def test_cells_that_halving_does_not_make_are_refused(downsampling: int) -> None:
    with pytest.raises(ConfigError, match=f"got {downsampling}"):
        VQVAESettings(downsampling=downsampling)


@pytest.mark.parametrize("size", [0, -8, 60, 63])
def test_a_size_that_has_no_whole_cells_is_refused(size: int) -> None:
    with pytest.raises(DataError, match=f"multiple of it, got {size}"):
        VQVAESettings(image_size=size)


@pytest.mark.parametrize("field", ["width", "categories", "dimension"])
def test_a_network_without_filters_or_codes_is_refused(field: str) -> None:
    with pytest.raises(ConfigError, match=f"at least 1.*{field}=0"):
        VQVAESettings(**{field: 0})
    with pytest.raises(ConfigError, match="residual_blocks=-1"):
        VQVAESettings(residual_blocks=-1)


@pytest.fixture(scope="module")
def generator() -> VQVAE:
    """Random weights; the codebook is spread over the encoder's outputs of some images."""
    torch.manual_seed(0)
    network = VQVAENetwork(SMALL)
    with torch.no_grad():
        network(2 * images() - 1)
    return VQVAE(network, batch_size=16)


def images(n: int = 40) -> Tensor:
    """Smooth colour gradients, so that codes vary from image to image."""
    generator = torch.Generator().manual_seed(1)
    corners = torch.rand(n, 3, 3, 3, generator=generator)
    return nn.functional.interpolate(corners, size=32, mode="bilinear").clamp(0, 1)


def test_keeps_the_contracts(generator: VQVAE) -> None:
    assert isinstance(generator, EncodingGenerator)
    assert isinstance(generator, RetrainableGenerator)
    assert dict(generator.spaces) == {"codes": CodeGrid(16, 4, 4)}
    assert generator.image_shape == (3, 32, 32)
    assert not generator.network.training
    assert not any(p.requires_grad for p in generator.network.parameters())


@pytest.mark.parametrize("n", [0, 1, 16, 17, 40])
def test_shapes_types_and_ranges(n: int, generator: VQVAE) -> None:
    codes = generator.encode(images()[:n])
    assert codes.shape == (n, 4, 4)
    assert codes.dtype == np.int64
    decoded = generator.decode(codes)
    assert decoded.shape == (n, 3, 32, 32)
    assert decoded.dtype == torch.float32
    assert ((decoded >= 0) & (decoded <= 1)).all()


def test_codes_tell_images_apart(generator: VQVAE) -> None:
    codes = generator.encode(images())
    assert len(np.unique(codes)) > 8
    assert len(np.unique(codes.reshape(40, -1), axis=0)) > 30


def test_decoded_images_stay_in_range_whatever_the_decoder_says(generator: VQVAE) -> None:
    network = copy.deepcopy(generator.network)
    network.decoder[-1].weight.mul_(1000)
    decoded = VQVAE(network).decode(generator.encode(images()))
    assert decoded.min() == 0
    assert decoded.max() == 1


def test_encode_and_decode_are_the_networks_own_steps(generator: VQVAE) -> None:
    with torch.no_grad(), autocast(torch.device("cpu")):
        reconstruction, quantized = generator.network(2 * images() - 1)
    codes = generator.encode(images())
    assert (codes != quantized.codes.numpy()).mean() < 0.002
    decoded = generator.decode(quantized.codes.numpy())
    assert torch.allclose(decoded, ((reconstruction.float() + 1) / 2).clamp(0, 1), atol=1e-2)


def test_the_batch_size_changes_no_code(generator: VQVAE) -> None:
    expected = generator.encode(images())
    for batch_size in (1, 3, 40, 1000):
        other = VQVAE(generator.network, batch_size)
        # Convolutions may add in another order; a near tie may then fall the other way.
        assert (other.encode(images()) != expected).mean() < 0.002
        assert torch.allclose(other.decode(expected), generator.decode(expected), atol=1e-2)


@pytest.mark.parametrize("shape", [(2, 3, 64, 64), (2, 1, 32, 32), (3, 32, 32), (2, 3, 32, 40)])
def test_images_of_another_size_are_refused(shape: tuple[int, ...], generator: VQVAE) -> None:
    with pytest.raises(DataError, match=r"\(n, 3, 32, 32\); got"):
        generator.encode(torch.zeros(shape))


def test_latents_that_are_not_its_code_grids_are_refused(generator: VQVAE) -> None:
    for bad in (np.full((1, 4, 4), 16), np.full((1, 4, 4), -1), np.zeros((1, 8, 8), np.int64)):
        with pytest.raises(LatentSpaceError):
            generator.decode(bad)
    with pytest.raises(LatentSpaceError, match="'codes', not 'w'"):
        generator.decode(np.zeros((1, 4, 4), np.int64), "w")


def changed(generator: VQVAE, name: str) -> VQVAE:
    """A copy whose tensor of this name differs in one entry."""
    network = copy.deepcopy(generator.network)
    tensor = network.state_dict()[name].reshape(-1)
    tensor[0] = ~tensor[0] if tensor.dtype == torch.bool else tensor[0] + 1e-4
    return VQVAE(network)


def test_the_version_changes_with_any_weight(generator: VQVAE) -> None:
    names = list(generator.network.state_dict())
    versions = {changed(generator, name).version for name in names}
    assert generator.version not in versions
    assert len(versions) == len(names)
    assert all(len(v) == 12 and int(v, 16) >= 0 for v in versions)


def test_the_version_survives_copying_and_depends_on_the_settings(generator: VQVAE) -> None:
    assert VQVAE(copy.deepcopy(generator.network), batch_size=3).version == generator.version
    network = copy.deepcopy(generator.network)
    network.settings = VQVAESettings(
        image_size=64, width=8, categories=16, dimension=4, codebook=SMALL.codebook
    )
    assert VQVAE(network).version != generator.version


@pytest.mark.parametrize("update", ["ema", "gradient"])
def test_save_and_load_round_trip(update: str, tmp_path: Path) -> None:
    settings = VQVAESettings(
        32,
        8,
        16,
        4,
        1,
        CodebookSettings(update=update, revival=False),  # type: ignore[arg-type]
    )
    original = VQVAE(VQVAENetwork(settings))
    original.save(tmp_path / "g.safetensors")
    loaded = VQVAE.load(tmp_path / "g.safetensors")
    assert loaded.settings == settings
    assert loaded.version == original.version
    codes = original.encode(images())
    np.testing.assert_array_equal(loaded.encode(images()), codes)
    torch.testing.assert_close(loaded.decode(codes), original.decode(codes), atol=1e-5, rtol=0)


def drop(state: dict[str, Tensor]) -> None:
    del state["encoder.0.weight"]


def rename(state: dict[str, Tensor]) -> None:
    state["encoder.0.weights"] = state.pop("encoder.0.weight")


def reshape(state: dict[str, Tensor]) -> None:
    state["quantizer.embedding"] = torch.zeros(17, 4)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (drop, r"missing: encoder\.0\.weight"),
        (rename, r"missing: encoder\.0\.weight; unexpected: encoder\.0\.weights"),
        (reshape, r"misshapen: quantizer\.embedding is \(17, 4\) instead of \(16, 4\)"),
    ],
)
def test_weights_that_do_not_fit_are_named(
    damage: Callable[[dict[str, Tensor]], None], message: str, generator: VQVAE, tmp_path: Path
) -> None:
    path = tmp_path / "g.safetensors"
    generator.save(path)
    state = load_file(path)
    damage(state)
    save_file(state, path, header(path))
    with pytest.raises(CheckpointError, match=message):
        VQVAE.load(path)


def header(path: Path) -> dict[str, str]:
    with safe_open(path, framework="pt") as file:
        return dict(file.metadata())


def test_a_scorers_file_is_refused(tmp_path: Path) -> None:
    DegreeClassifier(PlainScorer(), ScorerSettings("plain", 32)).save(tmp_path / "s.safetensors")
    with pytest.raises(CheckpointError, match="'degree classifier', where 'vqvae'"):
        VQVAE.load(tmp_path / "s.safetensors")


def test_a_truncated_file_is_refused(generator: VQVAE, tmp_path: Path) -> None:
    path = tmp_path / "g.safetensors"
    generator.save(path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match="damaged or was cut off"):
        VQVAE.load(path)
