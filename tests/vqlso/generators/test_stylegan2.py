"""StyleGAN2: its forward pass against an independent one, and its four latent spaces."""

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from stylegan2_formulas import Weights, mapped, style, synthesised
from torch import Tensor

from vqlso.checkpoints import save_checkpoint
from vqlso.errors import CheckpointError, ConfigError, LatentSpaceError
from vqlso.generators import load_generator
from vqlso.generators.stylegan2.generator import StyleGAN2
from vqlso.generators.stylegan2.network import StyleGAN2Network
from vqlso.generators.stylegan2.settings import StyleGAN2Settings

SMALL = StyleGAN2Settings(16, 8, 8, mapping_layers=2, channel_base=64, channel_max=8)
LABELLED = StyleGAN2Settings(8, 5, 6, c_dim=3, mapping_layers=1, channel_base=32, channel_max=4)
CLAMPED = StyleGAN2Settings(
    16, 8, 8, mapping_layers=2, channel_base=64, channel_max=8, conv_clamp=0.5
)
RNG = np.random.default_rng(0)


def network(settings: StyleGAN2Settings = SMALL, seed: int = 0) -> StyleGAN2Network:
    """With every number drawn that training would move: none may be overlooked."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        made = StyleGAN2Network(settings)
        with torch.no_grad():
            for name, parameter in made.named_parameters():
                if name.endswith(("bias", "noise_strength")):
                    parameter.add_(torch.randn(parameter.shape) * 0.3)
            made.mapping.w_avg.normal_()
    return made


def generator(settings: StyleGAN2Settings = SMALL, **options: object) -> StyleGAN2:
    return StyleGAN2(network(settings), **options)  # type: ignore[arg-type]


def weights(made: StyleGAN2) -> Weights:
    return {name: value.double().numpy() for name, value in made.network.state_dict().items()}


def pixels(images: Tensor) -> np.ndarray:
    return images.double().numpy()


@pytest.mark.parametrize("settings", [SMALL, CLAMPED], ids=["free", "clamped"])
@pytest.mark.parametrize("noise", ["const", "none"])
def test_synthesis_is_the_formulas(settings: StyleGAN2Settings, noise: str) -> None:
    made = generator(settings)
    ws = RNG.standard_normal((3, settings.num_ws, settings.w_dim))
    expected = synthesised(
        weights(made), ws, 16, noise=noise == "const", clamp=settings.conv_clamp or math.inf
    )
    found = made.network.synthesis(torch.from_numpy(ws).float(), noise)
    np.testing.assert_allclose(pixels(found), expected, atol=2e-5 * np.abs(expected).max())
    unit = made.synthesize(torch.from_numpy(ws).float(), noise)
    np.testing.assert_allclose(pixels(unit), np.clip((expected + 1) / 2, 0, 1), atol=1e-4)


def test_mapping_is_the_formulas() -> None:
    made = generator()
    z = RNG.standard_normal((5, 8))
    expected = mapped(weights(made), z, 2)
    np.testing.assert_allclose(pixels(made.map(z)[:, 3]), expected, atol=1e-5)


def test_labels_are_embedded_beside_z() -> None:
    made = generator(LABELLED)
    z, label = RNG.standard_normal((4, 5)), np.eye(3)[[0, 2, 1, 0]]
    expected = mapped(weights(made), z, 1, label)
    np.testing.assert_allclose(pixels(made.map(z, label=label)[:, 0]), expected, atol=1e-5)


def test_a_generator_keeps_the_label_it_was_given() -> None:
    made, label = generator(LABELLED, label=np.eye(3)[1]), np.eye(3)[1]
    z = RNG.standard_normal((2, 5))
    assert torch.equal(made.map(z), made.map(z, label=np.stack([label, label])))
    assert made.decode(z, "z").shape == (2, 3, 8, 8)
    assert made.spaces["w"].sample(2, np.random.default_rng(0)).shape == (2, 6)


@pytest.mark.parametrize(
    ("settings", "label"), [(LABELLED, None), (LABELLED, np.ones(2)), (SMALL, np.ones(3))]
)
def test_missing_misshapen_and_unwanted_labels_are_refused(
    settings: StyleGAN2Settings, label: np.ndarray | None
) -> None:
    with pytest.raises(LatentSpaceError, match="labels of length"):
        generator(settings).map(np.ones((2, settings.z_dim)), label=label)


def test_names_and_shapes_are_the_official_ones() -> None:
    state = {name: tuple(value.shape) for name, value in network(LABELLED).state_dict().items()}
    layer = {"noise_strength": (), "resample_filter": (4, 4), "bias": (4,)}
    expected = {
        "mapping.embed.weight": (6, 3),
        "mapping.embed.bias": (6,),
        "mapping.fc0.weight": (6, 11),
        "mapping.fc0.bias": (6,),
        "mapping.w_avg": (6,),
        "synthesis.b4.const": (4, 4, 4),
    }
    for name, side in (("b4.conv1", 4), ("b8.conv0", 8), ("b8.conv1", 8)):
        shapes = {
            **layer,
            "weight": (4, 4, 3, 3),
            "affine.weight": (4, 6),
            "affine.bias": (4,),
            "noise_const": (side, side),
        }
        expected |= {f"synthesis.{name}.{part}": shape for part, shape in shapes.items()}
    for block in ("b4", "b8"):
        expected |= {
            f"synthesis.{block}.resample_filter": (4, 4),
            f"synthesis.{block}.torgb.weight": (3, 4, 1, 1),
            f"synthesis.{block}.torgb.bias": (3,),
            f"synthesis.{block}.torgb.affine.weight": (4, 6),
            f"synthesis.{block}.torgb.affine.bias": (4,),
        }
    assert state == expected


def test_truncation_in_closed_form() -> None:
    made = generator()
    z = RNG.standard_normal((4, 8))
    w, mean = pixels(made.map(z)), weights(made)["mapping.w_avg"]
    np.testing.assert_allclose(pixels(made.map(z, 0.3)), mean + 0.3 * (w - mean), atol=1e-6)
    part = pixels(made.map(z, 0.3, cutoff=2))
    np.testing.assert_allclose(part[:, :2], (mean + 0.3 * (w - mean))[:, :2], atol=1e-6)
    np.testing.assert_array_equal(part[:, 2:], w[:, 2:])
    np.testing.assert_allclose(pixels(made.map(z, 0.0))[0, 0], mean, atol=1e-6)


def test_samples_of_w_are_mapped_and_truncated() -> None:
    made = generator(truncation_psi=0.5)
    z = np.random.default_rng(7).standard_normal((3, 8))
    ws = made.map(z, 0.5)
    samples = {
        name: space.sample(3, np.random.default_rng(7)) for name, space in made.spaces.items()
    }
    np.testing.assert_array_equal(samples["z"], z)
    np.testing.assert_array_equal(samples["w"], pixels(ws[:, 0]))
    np.testing.assert_array_equal(samples["w+"], pixels(ws))
    np.testing.assert_array_equal(samples["s"], pixels(made.styles(ws)))


def test_all_spaces_decode_to_the_same_images() -> None:
    made = generator()
    z = RNG.standard_normal((3, 8))
    ws = made.map(z)
    expected = made.decode(z, "z")
    for space, latents in (("w", ws[:, 0]), ("w+", ws), ("s", made.styles(ws))):
        torch.testing.assert_close(made.decode(pixels(latents), space), expected, atol=1e-5, rtol=0)


def test_styles_are_the_layers_affine_maps_in_order() -> None:
    made = generator()
    ws = torch.randn(2, 6, 8)
    found = made.styles(ws)
    order = {
        "b4.conv1": 0,
        "b4.torgb": 1,
        "b8.conv0": 1,
        "b8.conv1": 2,
        "b8.torgb": 3,
        "b16.conv0": 3,
        "b16.conv1": 4,
        "b16.torgb": 5,
    }
    assert [name for name, _ in made.spaces["s"].layers] == list(order)  # type: ignore[attr-defined]
    expected = [
        style(weights(made), f"synthesis.{name}", pixels(ws[:, index]))
        for name, index in order.items()
    ]
    np.testing.assert_allclose(pixels(found), np.concatenate(expected, axis=1), atol=1e-5)


@pytest.mark.parametrize(
    ("space", "shape"),
    [("w+", (2, 8)), ("s", (2, 8)), ("w", (2, 6, 8)), ("z", (2, 9)), ("codes", (2, 8))],
)
def test_latents_of_another_space_are_refused(space: str, shape: tuple[int, ...]) -> None:
    with pytest.raises(LatentSpaceError, match=rf"'{space}'" if space == "codes" else "shape"):
        generator().decode(np.zeros(shape), space)


def test_a_w_is_no_w_for_each_layer() -> None:
    made = generator()
    for take in (made.synthesize, made.styles, made.synthesize_styles, made.map):
        with pytest.raises(LatentSpaceError, match="The shapes of all spaces: z"):
            take(torch.zeros(2, 7))  # type: ignore[operator]


def test_chunks_are_the_whole() -> None:
    whole, parts = generator(), generator(memory_mib=0)
    assert parts.chunk == 1
    assert whole.chunk > 5
    z = RNG.standard_normal((5, 8))
    torch.testing.assert_close(parts.decode(z, "z"), whole.decode(z, "z"), atol=1e-5, rtol=0)


def test_chunks_shrink_with_the_size_of_the_images() -> None:
    # 8 channels into a 16 x 16 layer, four float32 tensors of it: 32 KiB an image.
    assert generator(memory_mib=1).chunk == 32


def test_decoding_leaves_no_graph_and_synthesis_is_differentiable() -> None:
    made = generator()
    images = made.decode(RNG.standard_normal((2, 8)), "w")
    assert not images.requires_grad
    assert not images.is_inference()
    ws = made.map(RNG.standard_normal((2, 8))).requires_grad_()
    made.synthesize(ws).sum().backward()
    assert ws.grad is not None
    assert ws.grad.abs().sum() > 0
    assert all(parameter.grad is None for parameter in made.network.parameters())


def test_noise_is_constant_none_or_drawn_from_its_seed() -> None:
    made = generator()
    ws = made.map(RNG.standard_normal((2, 8)))
    before = torch.random.get_rng_state()
    torch.testing.assert_close(made.synthesize(ws, 3), made.synthesize(ws, 3), atol=1e-5, rtol=0)
    assert not torch.equal(made.synthesize(ws, 3), made.synthesize(ws, 4))
    assert not torch.equal(made.synthesize(ws, "none"), made.synthesize(ws))
    assert torch.equal(torch.random.get_rng_state(), before)


def test_mixed_styles_cross_over_once_to_the_finer_layers() -> None:
    made = network().eval()
    torch.manual_seed(0)
    _, ws = made(torch.randn(200, 8), mixing=0.5)
    same = (ws == ws[:, :1]).all(dim=2)
    crossings = same.sum(dim=1)
    # Once another w begins it stays, and it begins nowhere more often than elsewhere.
    assert (same[:, 1:] <= same[:, :-1]).all()
    assert 0.35 < (crossings < 6).float().mean() < 0.65
    assert set(crossings.tolist()) == {1, 2, 3, 4, 5, 6}
    _, unmixed = made(torch.randn(20, 8))
    assert (unmixed == unmixed[:, :1]).all()


def test_the_mean_of_w_follows_in_training_only() -> None:
    made = network()
    before = made.mapping.w_avg.clone()
    z = torch.randn(9, 8)
    made.eval()(z)
    assert torch.equal(made.mapping.w_avg, before)
    made.train()(z)
    mean = made.mapping(z).mean(dim=0)
    torch.testing.assert_close(made.mapping.w_avg, 0.998 * before + 0.002 * mean)


def test_reduced_precision_is_close() -> None:
    z = RNG.standard_normal((4, 8))
    exact, reduced = generator(), generator(mixed_precision=True)
    torch.testing.assert_close(reduced.decode(z, "z"), exact.decode(z, "z"), atol=0.05, rtol=0)


@pytest.mark.parametrize("load", [StyleGAN2.load, load_generator])
def test_a_file_keeps_version_and_images(load: Callable[[Path], StyleGAN2], tmp_path: Path) -> None:
    made = generator()
    made.save(tmp_path / "gan.safetensors")
    loaded = load(tmp_path / "gan.safetensors")
    z = RNG.standard_normal((3, 8))
    assert loaded.version == made.version
    assert loaded.settings == made.settings
    torch.testing.assert_close(loaded.decode(z, "z"), made.decode(z, "z"), atol=1e-5, rtol=0)


def test_a_half_sized_file_is_read_as_float32(tmp_path: Path) -> None:
    made = generator()
    made.save(tmp_path / "whole")
    made.save(tmp_path / "half", half=True)
    loaded = StyleGAN2.load(tmp_path / "half", truncation_psi=0.7)
    assert loaded.truncation_psi == 0.7
    assert {value.dtype for value in loaded.network.state_dict().values()} == {torch.float32}
    assert (tmp_path / "half").stat().st_size < 0.7 * (tmp_path / "whole").stat().st_size
    z = RNG.standard_normal((3, 8))
    torch.testing.assert_close(loaded.decode(z, "z"), made.decode(z, "z"), atol=0.01, rtol=0)
    loaded.save(tmp_path / "again", half=True)
    assert StyleGAN2.load(tmp_path / "again").version == loaded.version != made.version


def test_weights_of_another_architecture_are_refused(tmp_path: Path) -> None:
    settings = {"resolution": 8, "z_dim": 5, "w_dim": 6, "c_dim": 3, "channel_base": 64}
    save_checkpoint(tmp_path / "gan", "stylegan2", settings, network(LABELLED))
    with pytest.raises(CheckpointError, match="the StyleGAN2 that its settings describe"):
        StyleGAN2.load(tmp_path / "gan")


@pytest.mark.parametrize(
    "values",
    [
        {"resolution": 48},
        {"resolution": 4},
        {"z_dim": 0},
        {"c_dim": -1},
        {"resolution": 64, "channel_base": 32},
    ],
)
def test_impossible_architectures_are_refused(values: dict[str, int]) -> None:
    with pytest.raises(ConfigError):
        StyleGAN2Settings(**values)
