"""StyleGAN3 against its published formulas, its filters, its symmetries and its file."""

from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import stylegan3_formulas as formulas
import torch
from gan_layouts import module
from gan_pickles import pickled

from vqlso.errors import CheckpointError, ConfigError, LatentSpaceError
from vqlso.generators.import_gan import import_gan
from vqlso.generators.import_gan.stylegan3_architecture import stylegan3_shapes
from vqlso.generators.stylegan3.filters import downsampled, jinc, sinc, upsampled
from vqlso.generators.stylegan3.generator import StyleGAN3
from vqlso.generators.stylegan3.network import StyleGAN3Network
from vqlso.generators.stylegan3.settings import StyleGAN3Settings

TINY = StyleGAN3Settings(
    resolution=16,
    z_dim=5,
    w_dim=6,
    channel_base=96,
    channel_max=5,
    num_layers=4,
    margin_size=3,
    conv_clamp=1.2,
)
RADIAL = replace(TINY, conv_kernel=1, radial_filters=True)
BOTH = pytest.mark.parametrize("settings", [TINY, RADIAL], ids=["t", "r"])


def random_network(settings: StyleGAN3Settings) -> StyleGAN3Network:
    """Every weight and statistic away from where training starts."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = StyleGAN3Network(settings)
        with torch.no_grad():
            for name, parameter in network.named_parameters():
                if name.startswith("synthesis"):
                    parameter.add_(0.3 * torch.randn_like(parameter))
            for name, buffer in network.named_buffers():
                if name.endswith(("magnitude_ema", "w_avg")):
                    buffer.copy_(0.5 + torch.rand_like(buffer))
    return network


@BOTH
def test_images_follow_the_published_formulas(settings: StyleGAN3Settings) -> None:
    network = random_network(settings).double()
    weights = {k: v.numpy() for k, v in network.state_dict().items()}
    ws = np.random.default_rng(1).standard_normal((2, settings.num_ws, settings.w_dim))
    found = network.synthesis(torch.from_numpy(ws)).detach().numpy()
    geometry = settings.layers
    for image, latents in zip(found, ws, strict=True):
        first = geometry[0]
        x = formulas.waves(weights, latents[0], first.in_size, first.in_rate, 2.0)
        for i, each in enumerate(geometry):
            prefix = f"synthesis.L{i}_{each.out_size}_{each.out_channels}"
            x = formulas.layer(
                weights,
                prefix,
                x,
                latents[i + 1],
                up=each.up_factor,
                down=each.down_factor,
                out_size=each.out_size,
                clamp=1.2,
                to_image=i == settings.num_layers,
            )
        np.testing.assert_allclose(image, x * 0.25, atol=1e-7)


@BOTH
def test_the_state_has_the_names_and_shapes_of_the_official_one(
    settings: StyleGAN3Settings,
) -> None:
    found = {k: tuple(v.shape) for k, v in StyleGAN3Network(settings).state_dict().items()}
    assert found == stylegan3_shapes(settings)


def test_an_image_does_not_depend_on_the_others_of_its_batch() -> None:
    generator = StyleGAN3(random_network(TINY))
    z = generator.spaces["z"].sample(3, np.random.default_rng(0))
    together = generator.decode(z, "z")
    alone = torch.cat([generator.decode(row[None], "z") for row in z])
    torch.testing.assert_close(together, alone, atol=1e-6, rtol=0)


def test_moving_the_waves_moves_the_image() -> None:
    settings = StyleGAN3Settings(
        resolution=32, z_dim=4, w_dim=4, channel_base=512, channel_max=16, num_layers=6
    )
    with torch.random.fork_rng():
        torch.manual_seed(3)
        network = StyleGAN3Network(settings)
    ws = torch.randn(1, settings.num_ws, 4, generator=torch.Generator().manual_seed(0))
    still = network.synthesis(ws).detach()
    pixels = 4
    network.synthesis.input.transform[0, 2] = -pixels / settings.resolution
    moved = network.synthesis(ws).detach()
    error = (moved[..., pixels:] - still[..., :-pixels]).square().mean()
    unrelated = (moved[..., pixels:] - still[..., pixels:]).square().mean()
    # Exact but for the margin's edge and what the filters let through.
    assert error < 0.01 * unrelated


def response(fir: torch.Tensor, x: float, y: float, rate: float) -> float:
    """Gain of a 2-D filter at a frequency."""
    at = np.arange(len(fir)) / rate
    phase = np.exp(-2j * np.pi * (x * at[None, :] + y * at[:, None]))
    return float(abs((fir.double().numpy() * phase).sum()))


def test_filters_pass_the_band_and_stop_beyond_it() -> None:
    cutoff, half_width, rate = 4.0, 6.0, 32.0
    one = sinc(12, cutoff, half_width, rate)
    radial = jinc(12, cutoff, half_width, rate)
    for fir in (torch.outer(one, one), radial):
        assert fir.sum() == pytest.approx(1, abs=1e-6)
        torch.testing.assert_close(fir, fir.flip(0, 1))
        assert response(fir, cutoff, 0, rate) == pytest.approx(0.5, abs=0.06)
        assert response(fir, cutoff + 1.5 * half_width, 0, rate) < 0.02
    # Only the jinc treats the diagonal as it treats the axes.
    diagonal = cutoff / np.sqrt(2)
    straight = response(radial, cutoff, 0, rate)
    assert response(radial, diagonal, diagonal, rate) == pytest.approx(straight, abs=0.01)


def test_resampling_is_zero_insertion_filter_and_selection() -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(1, 2, 5, 5, generator=generator)
    fir = torch.randn(6, generator=generator)
    for padding in ((4, 3), (-1, 6), (9, -2)):
        found = upsampled(x, fir, 2, padding)
        for c in range(2):
            wide = formulas.spread(x[0, c].double().numpy(), 2, *padding)
            taps = fir.double().numpy()
            expected = 4 * formulas.convolve2d(wide, np.outer(taps, taps), "valid")
            np.testing.assert_allclose(found[0, c], expected, atol=1e-5)
    separable, whole = downsampled(x, fir[:4], 2), downsampled(x, torch.outer(fir[:4], fir[:4]), 2)
    taps = fir[:4].double().numpy()
    expected = formulas.convolve2d(x[0, 0].numpy(), np.outer(taps, taps), "valid")[::2, ::2]
    np.testing.assert_allclose(separable[0, 0], expected, atol=1e-5)
    torch.testing.assert_close(separable, whole)


@BOTH
def test_a_saved_generator_gives_the_same_images(
    settings: StyleGAN3Settings, tmp_path: Path
) -> None:
    generator = StyleGAN3(random_network(settings))
    generator.save(tmp_path / "g.safetensors")
    again = StyleGAN3.load(tmp_path / "g.safetensors")
    z = generator.spaces["z"].sample(2, np.random.default_rng(0))
    assert again.settings == settings
    assert again.version == generator.version
    torch.testing.assert_close(again.decode(z, "z"), generator.decode(z, "z"), atol=1e-5, rtol=0)


def test_an_imported_pickle_gives_the_images_of_its_network(tmp_path: Path) -> None:
    network = random_network(TINY)
    weights = {k: v.numpy() for k, v in network.state_dict().items()}
    arguments = {"margin_size": 3}
    g_ema = module("Generator", weights, arguments=arguments, clamp=1.2)
    (tmp_path / "g.pkl").write_bytes(pickled({"G_ema": g_ema}))
    import_gan(tmp_path / "g.pkl", tmp_path / "g.safetensors")
    imported, original = StyleGAN3.load(tmp_path / "g.safetensors"), StyleGAN3(network)
    z = original.spaces["z"].sample(2, np.random.default_rng(0))
    torch.testing.assert_close(imported.decode(z, "z"), original.decode(z, "z"), atol=1e-5, rtol=0)


def test_spaces_agree_with_each_other() -> None:
    generator = StyleGAN3(random_network(TINY), truncation_psi=0.5)
    z = generator.spaces["z"].sample(2, np.random.default_rng(0))
    ws = generator.map(z)
    images = generator.decode(z, "z")
    assert images.shape == (2, *generator.image_shape)
    torch.testing.assert_close(generator.decode(ws[:, 0].numpy()), images, atol=1e-5, rtol=0)
    torch.testing.assert_close(generator.decode(ws.numpy(), "w+"), images, atol=1e-5, rtol=0)
    mean = generator.map(z, truncation_psi=0)
    torch.testing.assert_close(mean[:, 3], generator.network.mapping.w_avg.expand(2, -1))
    torch.testing.assert_close(generator.map(z, 0.3, cutoff=2)[:, 2:], ws[:, 2:])


@BOTH
def test_reduced_precision_is_close(settings: StyleGAN3Settings) -> None:
    z = np.random.default_rng(0).standard_normal((2, 5))
    network = random_network(settings)
    exact = StyleGAN3(network).decode(z, "z")
    reduced = StyleGAN3(network, mixed_precision=True).decode(z, "z")
    assert reduced.dtype == torch.float32
    assert float(exact.std()) > 0.02
    torch.testing.assert_close(reduced, exact, atol=0.01, rtol=0)


def test_gradients_reach_the_latents() -> None:
    generator = StyleGAN3(random_network(TINY))
    ws = torch.zeros(1, *generator.spaces["w+"].shape, requires_grad=True)
    generator.synthesize(ws).sum().backward()
    assert ws.grad is not None
    assert (ws.grad.abs().sum(dim=2) > 0).all()


def test_wrong_latents_files_and_numbers_are_named(tmp_path: Path) -> None:
    generator = StyleGAN3(random_network(TINY))
    with pytest.raises(LatentSpaceError, match=r"z, w, w\+"):
        generator.decode(np.zeros((1, 6)), "s")
    with pytest.raises(LatentSpaceError, match="w"):
        generator.synthesize(torch.zeros(1, 6))
    generator.save(tmp_path / "g.safetensors")
    with pytest.raises(CheckpointError, match="There is no"):
        StyleGAN3.load(tmp_path / "absent.safetensors")
    for changes in (
        {"resolution": 48},
        {"num_critical": 4},
        {"first_stopband": 1.0},
        {"channel_max": 0},
    ):
        with pytest.raises(ConfigError):
            StyleGAN3Settings(**asdict(TINY) | changes)
