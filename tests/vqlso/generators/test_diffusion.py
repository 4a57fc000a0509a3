"""DDIM: its network, its noise as latent spaces, and the immutable generator."""

import copy
import json
import math
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from vqlso.contracts import DifferentiableGenerator, EncodingGenerator
from vqlso.errors import CheckpointError, ConfigError, DataError, LatentSpaceError
from vqlso.generators import load_generator
from vqlso.generators.diffusion.coarse_noise import CoarseNoise
from vqlso.generators.diffusion.ddim import sampled
from vqlso.generators.diffusion.generator import DDIM
from vqlso.generators.diffusion.network import (
    DDIMNetwork,
    SelfAttention,
    cut,
    joined,
    sinusoids,
)
from vqlso.generators.diffusion.settings import DDIMSettings, Sampling
from vqlso.generators.vae import VAE, VAENetwork, VAESettings

SMALL = DDIMSettings(image_size=8, width=8, multipliers=(1, 2), patch=2)
QUICK = Sampling(steps=4, coarse_side=2)


def normal(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def network(seed: int = 0, settings: DDIMSettings = SMALL) -> DDIMNetwork:
    """Random weights everywhere: a fresh network's last layers are zero."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        made = DDIMNetwork(settings)
        with torch.no_grad():
            for weights in made.parameters():
                weights.add_(0.2 * torch.randn_like(weights))
    return made


def test_the_default_network_is_small_and_begins_silent() -> None:
    made = DDIMNetwork(DDIMSettings())
    assert sum(p.numel() for p in made.parameters()) <= 3_000_000
    velocity = made(normal(2, 3, 64, 64).float(), torch.tensor([0.1, 0.9]))
    assert torch.equal(velocity, torch.zeros(2, 3, 64, 64))


@pytest.mark.parametrize(
    "settings",
    [
        SMALL,
        DDIMSettings(image_size=16, width=8, multipliers=(1, 3, 2), patch=2),
        DDIMSettings(image_size=12, width=8, multipliers=(2,), patch=4),
    ],
)
def test_velocities_have_the_images_shape_and_depend_on_the_time(settings: DDIMSettings) -> None:
    size = settings.image_size
    made, x = network(0, settings).double(), normal(1, 3, size, size).expand(3, -1, -1, -1)
    velocity = made(x, torch.tensor([0.2, 0.2, 0.201], dtype=torch.float64))
    assert velocity.shape == (3, 3, size, size)
    torch.testing.assert_close(velocity[0], velocity[1])
    assert not torch.allclose(velocity[0], velocity[2], rtol=1e-4)


def test_the_noisy_image_is_added_by_a_gain_of_the_time() -> None:
    made, x = DDIMNetwork(SMALL).double(), normal(2, 3, 8, 8)
    torch.nn.init.constant_(made.gain.bias, 0.5)
    torch.nn.init.ones_(made.gain.weight)
    with torch.no_grad():
        velocity = made(x, torch.tensor([0.2, 0.7], dtype=torch.float64))
    gains = (velocity / x).mean((1, 2, 3), keepdim=True)
    torch.testing.assert_close(velocity, gains * x)
    assert abs(float(gains[0] - gains[1])) > 1e-3


def test_every_image_has_its_own_velocity() -> None:
    made, x, t = network().double(), normal(3, 3, 8, 8), torch.tensor([0.1, 0.5, 0.9]).double()
    alone = torch.cat([made(x[i : i + 1], t[i : i + 1]) for i in range(3)])
    torch.testing.assert_close(made(x, t), alone)


@pytest.mark.parametrize("patch", [1, 2, 3])
def test_patches_are_cut_and_joined_as_torch_does(patch: int) -> None:
    images = normal(2, 3, 6, 12)
    squares = torch.nn.functional.pixel_unshuffle(images, patch)
    assert torch.equal(cut(images, patch), squares)
    assert torch.equal(joined(squares, patch), images)


def test_attention_is_the_softmax_over_all_positions() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        attention = SelfAttention(8).double()
        torch.nn.init.normal_(attention.output.weight)
    x = normal(2, 8, 3, 2)
    normed = attention.norm(x).flatten(2)
    kernel = attention.queries_keys_values.weight[:, :, 0, 0]
    q, k, v = (kernel @ normed + attention.queries_keys_values.bias[:, None]).split(8, dim=1)
    weights = (q.transpose(1, 2) @ k / math.sqrt(8)).softmax(dim=2)
    seen = attention.output.weight[:, :, 0, 0] @ (v @ weights.transpose(1, 2))
    torch.testing.assert_close(attention(x), x + seen.view(x.shape))


def test_sinusoids_are_those_of_a_thousand_steps() -> None:
    found = sinusoids(torch.tensor([0.0, 0.25], dtype=torch.float64), 4)
    expected = [math.sin(250), math.sin(2.5), math.cos(250), math.cos(2.5)]
    torch.testing.assert_close(found[0].tolist(), [0.0, 0.0, 1.0, 1.0])
    torch.testing.assert_close(found[1].tolist(), expected)


@pytest.mark.parametrize("size", [0, -8, 60, 12])
def test_a_size_that_cannot_be_divided_is_refused(size: int) -> None:
    with pytest.raises(DataError, match=f"by 8: .* got {size}"):
        DDIMSettings(image_size=size)


@pytest.mark.parametrize(
    "wrong", [{"width": 12}, {"width": 0}, {"patch": 0}, {"multipliers": ()}, {"multipliers": (0,)}]
)
def test_an_impossible_architecture_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ConfigError, match="diffusion model"):
        DDIMSettings(**wrong)


@pytest.mark.parametrize("wrong", [{"steps": 0}, {"coarse_side": 0}, {"fine_seed": -1}])
def test_impossible_sampling_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ConfigError, match="Sampling needs"):
        Sampling(**wrong)


def test_settings_survive_json() -> None:
    assert DDIMSettings.from_dict(json.loads(json.dumps(asdict(SMALL)))) == SMALL


CPU = torch.device("cpu")


def spreading(coarse: CoarseNoise, cells: int) -> Tensor:
    """(3 H W, cells), A^T: the noise of each unit latent beyond that of the zero latent."""
    return (coarse.noise(torch.eye(cells)) - coarse.noise(torch.zeros(1, cells))).flatten(1).T


def test_coarse_and_fine_noise_together_are_standard_normal() -> None:
    """Exactly, by their covariances; A^T also has to be an isometry."""
    spread = spreading(CoarseNoise(8, 2, 0, CPU), 12)
    torch.testing.assert_close(spread.T @ spread, torch.eye(12))
    complement = torch.eye(192) - spread @ spread.T
    torch.testing.assert_close(spread @ spread.T + complement @ complement.T, torch.eye(192))


def test_coarse_latents_decide_the_means_of_blocks_and_nothing_else() -> None:
    coarse, c = CoarseNoise(8, 2, 0, CPU), normal(5, 12).float()
    noise = coarse.noise(c)
    assert noise.shape == (5, 3, 8, 8)
    torch.testing.assert_close(coarse.coarse(noise), c)
    blocks = noise.unfold(2, 4, 4).unfold(3, 4, 4)  # (n, 3, 2, 2, 4, 4)
    torch.testing.assert_close(blocks.mean((4, 5)).flatten(1) * 4, c)
    within = blocks - blocks.mean((4, 5), keepdim=True)
    torch.testing.assert_close(within, within[:1].expand_as(within), atol=1e-6, rtol=0)


def test_noise_of_coarse_latents_has_unit_variance_over_seeds() -> None:
    c = normal(400, 3 * 4).float()
    noise = torch.cat([CoarseNoise(8, 2, seed, CPU).noise(row[None]) for seed, row in enumerate(c)])
    assert float(noise.square().mean()) == pytest.approx(1, abs=0.02)
    assert float(noise.mean()) == pytest.approx(0, abs=0.02)
    # Within a block as across blocks: pixels are uncorrelated.
    neighbours = (noise[..., 0] * noise[..., 1]).mean()
    assert abs(float(neighbours)) < 0.05


def test_a_side_of_all_pixels_leaves_nothing_fixed() -> None:
    c = normal(2, 192).float()
    torch.testing.assert_close(CoarseNoise(8, 8, 0, CPU).noise(c), c.view(2, 3, 8, 8))


@pytest.fixture(scope="module")
def generator() -> DDIM:
    return DDIM(network(), QUICK, batch_size=3)


def latents(generator: DDIM, space: str, n: int = 7) -> np.ndarray:
    return generator.spaces[space].sample(n, np.random.default_rng(0))


def test_keeps_the_contracts(generator: DDIM) -> None:
    assert isinstance(generator, DifferentiableGenerator)
    assert not isinstance(generator, EncodingGenerator)
    shapes = {name: space.shape for name, space in generator.spaces.items()}
    assert shapes == {"z": (192,), "coarse": (12,)}
    assert generator.space is generator.spaces["z"]
    assert DDIM(generator.network, QUICK, searched="coarse").space.name == "coarse"
    assert generator.image_shape == (3, 8, 8)
    assert not any(module.training for module in generator.network.modules())
    assert not any(p.requires_grad for p in generator.network.parameters())


@pytest.mark.parametrize("space", ["z", "coarse"])
@pytest.mark.parametrize("n", [0, 1, 3, 7])
def test_shapes_types_and_ranges(n: int, space: str, generator: DDIM) -> None:
    images = generator.decode(latents(generator, space, n), space)
    assert images.shape == (n, 3, 8, 8)
    assert images.dtype == torch.float32
    assert ((images >= 0) & (images <= 1)).all()


@pytest.mark.parametrize("space", ["z", "coarse"])
def test_a_latent_always_has_the_same_image(space: str, generator: DDIM) -> None:
    z = latents(generator, space)
    before = torch.get_rng_state()
    images = generator.decode(z, space)
    torch.testing.assert_close(generator.decode(z, space), images, atol=1e-5, rtol=0)
    assert torch.equal(torch.get_rng_state(), before)
    assert images.std(0).mean() > 0.01
    again = DDIM(copy.deepcopy(generator.network), QUICK, batch_size=7).decode(z, space)
    torch.testing.assert_close(again, images, atol=1e-4, rtol=0)


def test_the_default_space_is_the_searched_one(generator: DDIM) -> None:
    coarse = DDIM(generator.network, QUICK, searched="coarse")
    c = latents(generator, "coarse")
    torch.testing.assert_close(coarse.decode(c), generator.decode(c, "coarse"))


def test_coarse_latents_are_images_of_their_noise(generator: DDIM) -> None:
    c = latents(generator, "coarse")
    noise = CoarseNoise(8, 2, QUICK.fine_seed, CPU).noise(torch.from_numpy(c).float())
    by_noise = generator.decode(noise.flatten(1).double().numpy(), "z")
    torch.testing.assert_close(generator.decode(c, "coarse"), by_noise)


@pytest.mark.parametrize("space", ["z", "coarse"])
def test_tensors_decode_as_arrays_do_and_pass_gradients(space: str, generator: DDIM) -> None:
    exact = copy.deepcopy(generator)
    array = latents(generator, space, 2)
    z = torch.from_numpy(array).requires_grad_()
    decoded = exact.decode_tensor(z, space)
    torch.testing.assert_close(decoded.detach(), generator.decode(array, space))
    weights = normal(3, 8, 8).float()
    (gradient,) = torch.autograd.grad((decoded * weights).sum(), z)
    assert gradient.dtype == torch.float64
    direction, step = latents(generator, space, 4)[2:], 1e-3
    ahead, behind = (generator.decode(array + s * direction, space) for s in (step, -step))
    slope = ((ahead - behind).double() * weights).sum((1, 2, 3)) / (2 * step)
    found = (gradient * torch.from_numpy(direction)).sum(1)
    assert float(slope.abs().min()) > 0.01
    torch.testing.assert_close(found, slope, rtol=0, atol=0.03 * float(slope.abs().max()))


def test_evaluating_twice_changes_no_gradient(generator: DDIM) -> None:
    """Against gradients through all steps at once, with everything kept."""
    z = torch.from_numpy(latents(generator, "z", 2)).float().requires_grad_()
    (found,) = torch.autograd.grad(generator.decode_tensor(z, "z").sum(), z)
    images = sampled(generator.network, z.view(2, 3, 8, 8), QUICK.steps)
    (expected,) = torch.autograd.grad(images.add(1).div(2).clamp(0, 1).sum(), z)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("n", [0, 4])
def test_inverted_images_are_decoded_again(n: int) -> None:
    """By a network that says little, so that no pixel is clamped and each has its noise."""
    gentle = network()
    with torch.no_grad():
        for weights in (*gentle.last.parameters(), *gentle.gain.parameters()):
            weights.mul_(0.05)
    generator = DDIM(gentle, Sampling(steps=10, coarse_side=2), batch_size=3)
    z = 0.2 * latents(generator, "z", n)
    images = generator.decode(z)
    assert n == 0 or 0 < float(images.min()) < float(images.max()) < 1
    found = generator.invert(images)
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, z, atol=2e-3)
    torch.testing.assert_close(generator.decode(found), images, atol=1e-3, rtol=0)


def test_what_cannot_be_inverted_is_refused(generator: DDIM) -> None:
    with pytest.raises(DataError, match=r"This DDIM takes .*\(n, 3, 8, 8\)"):
        generator.invert(torch.zeros(1, 3, 16, 16))
    once = DDIM(generator.network, Sampling(steps=1, coarse_side=2))
    with pytest.raises(ConfigError, match="at least 2 steps"):
        once.invert(torch.zeros(1, 3, 8, 8))


def test_latents_that_are_not_its_own_are_refused(generator: DDIM) -> None:
    with pytest.raises(LatentSpaceError, match=r"'coarse' have shape \(n, 12\); got \(1, 192\)"):
        generator.decode(latents(generator, "z", 1), "coarse")
    with pytest.raises(LatentSpaceError, match=r"'coarse' have shape \(n, 12\); got \(1, 192\)"):
        generator.decode_tensor(torch.zeros(1, 192), "coarse")
    with pytest.raises(LatentSpaceError, match="spaces z, coarse, not 'w'"):
        generator.decode(np.zeros((1, 12)), "w")
    with pytest.raises(LatentSpaceError, match="spaces z, coarse, not 'w'"):
        DDIM(generator.network, QUICK, searched="w")


def test_a_coarse_side_that_does_not_divide_the_image_is_refused() -> None:
    with pytest.raises(ConfigError, match="coarse_side=3 does not divide the image's size of 8"):
        DDIM(network(), Sampling(coarse_side=3))


def test_the_version_is_that_of_weights_and_sampling(generator: DDIM) -> None:
    assert DDIM(network(), QUICK, batch_size=1, searched="coarse").version == generator.version
    versions = {generator.version}
    others = [replace(QUICK, steps=5), replace(QUICK, coarse_side=4), replace(QUICK, fine_seed=1)]
    versions |= {DDIM(network(), other).version for other in others}
    versions.add(DDIM(network(1), QUICK).version)
    assert len(versions) == 5


def test_a_file_keeps_weights_and_sampling(generator: DDIM, tmp_path: Path) -> None:
    path = tmp_path / "ddim.safetensors"
    generator.save(path)
    loaded = load_generator(path, searched="coarse", batch_size=3)
    assert isinstance(loaded, DDIM)
    assert (loaded.settings, loaded.sampling) == (SMALL, QUICK)
    assert loaded.version == generator.version
    z = latents(generator, "z")
    torch.testing.assert_close(loaded.decode(z, "z"), generator.decode(z, "z"), atol=1e-5, rtol=0)
    other = DDIM.load(path, sampling=Sampling(steps=2, coarse_side=2))
    assert other.version != generator.version
    assert not torch.allclose(other.decode(z), generator.decode(z))


def test_another_generators_file_is_refused(tmp_path: Path) -> None:
    VAE(VAENetwork(VAESettings(32, 2, 3))).save(tmp_path / "vae.safetensors")
    with pytest.raises(CheckpointError, match="'vae', where 'ddim'"):
        DDIM.load(tmp_path / "vae.safetensors")
