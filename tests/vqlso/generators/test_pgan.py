"""The PGAN: its layers in closed form, how it grows, and its conditional space."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.optimize import minimize
from torch.nn import functional as F

from vqlso.contracts import DifferentiableGenerator
from vqlso.errors import CheckpointError, ConfigError, LatentSpaceError
from vqlso.generators.pgan.class_space import NAME, ClassConditional
from vqlso.generators.pgan.generator import PGAN
from vqlso.generators.pgan.network import PGANDiscriminator, PGANNetwork
from vqlso.generators.pgan.settings import PGANSettings

TINY = PGANSettings(z_dim=4, classes=(2, 3), channels=(6, 5, 4))


def network(seed: int = 0, tiny: PGANSettings = TINY) -> PGANNetwork:
    torch.manual_seed(seed)
    return PGANNetwork(tiny)


def latents(n: int = 3) -> torch.Tensor:
    return torch.randn(n, TINY.latent_dim, generator=torch.Generator().manual_seed(1))


def space(values: str = "one-hot") -> ClassConditional:
    return ClassConditional(NAME, (9,), classes=TINY.classes, values=values)


def captured(module: torch.nn.Module, run: torch.nn.Module, x: torch.Tensor) -> torch.Tensor:
    kept = []
    handle = module.register_forward_pre_hook(lambda _module, inputs: kept.append(inputs[0]))
    run(x)
    handle.remove()
    return kept[0]


@pytest.mark.parametrize("layer", ["conv", "blocks.0.conv1", "blocks.1.conv1", "torgb.2"])
def test_pixel_norm_leaves_each_pixel_a_mean_square_of_one(layer: str) -> None:
    made = network()
    x = captured(made.get_submodule(layer), made, latents())
    squares = x.square().mean(dim=1)
    torch.testing.assert_close(squares, torch.ones_like(squares), atol=1e-4, rtol=0)


def test_the_latent_is_normalised_with_its_class_part() -> None:
    made, z = network(), latents()
    seen = captured(made.format, made, z)
    torch.testing.assert_close(seen, z / z.square().mean(1, keepdim=True).sqrt())
    torch.testing.assert_close(made(z), made(3 * z), atol=1e-4, rtol=1e-4)


def test_weights_are_equalised() -> None:
    # Weights of unit variance make features of unit variance before the leaky ReLU.
    made = network(tiny=PGANSettings(z_dim=8, channels=(64, 64)))
    assert float(made.conv.weight.detach().std()) == pytest.approx(1, abs=0.05)
    x = torch.randn(16, 64, 8, 8, generator=torch.Generator().manual_seed(2))
    made.conv.activated = False
    assert float(made.conv(x).detach()[:, :, 1:-1, 1:-1].std()) == pytest.approx(1, abs=0.05)


def test_fading_in_joins_the_coarser_network_to_the_finer_one() -> None:
    made, z = network(), latents()
    coarser, finer = made(z, level=1), made(z, level=2)
    enlarged = coarser.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
    torch.testing.assert_close(made(z, 2, alpha=0.0), enlarged)
    torch.testing.assert_close(made(z, 2, alpha=1.0), finer)
    torch.testing.assert_close(made(z, 2, alpha=0.3), 0.7 * enlarged + 0.3 * finer)
    assert [made(z, level).shape[-1] for level in range(3)] == [4, 8, 16]


def test_the_discriminator_fades_in_too() -> None:
    torch.manual_seed(0)
    judge = PGANDiscriminator(TINY)
    images = torch.randn(4, 3, 16, 16)
    scores, logits = judge(images, alpha=0.0)
    assert scores.shape == (4,)
    assert logits.shape == (4, 5)
    # Without the finest block it is the coarser discriminator on halved images.
    coarser = judge(F.avg_pool2d(images, 2))
    torch.testing.assert_close((scores, logits), coarser)
    with torch.no_grad():
        judge.fromrgb[1].weight.zero_()
        judge.fromrgb[1].bias.zero_()
    torch.testing.assert_close(judge(images, alpha=1.0), judge(images))
    assert not torch.equal(judge(images)[0], scores)


def test_classes_are_drawn_one_hot_and_every_one_of_them() -> None:
    drawn = space().sample(300, np.random.default_rng(0))
    assert drawn.shape == (300, 9)
    for part in (drawn[:, 4:6], drawn[:, 6:]):
        np.testing.assert_array_equal(np.sort(part, axis=1)[:, -1], 1)
        np.testing.assert_array_equal(part.sum(1), 1)
        assert (part.sum(0) > 60).all()
    assert drawn[:, :4].std() == pytest.approx(1, abs=0.1)
    np.testing.assert_array_equal(space().joined(drawn[:, :4], space().chosen(drawn)), drawn)


@pytest.mark.parametrize(
    ("values", "part", "allowed"),
    [
        ("one-hot", (0, 1, 0), True),
        ("one-hot", (0, 1, 1), False),
        ("one-hot", (0, 0, 0), False),
        ("one-hot", (0.5, 0.5, 0), False),
        ("one-hot", (2, -1, 0), False),
        ("simplex", (0.5, 0.2, 0.3), True),
        ("simplex", (1.5, -0.5, 0), False),
        ("simplex", (0.5, 0.2, 0.2), False),
        ("free", (7, -1, 0.2), True),
        ("nearest", (7, -1, 0.2), True),
    ],
)
def test_class_parts_are_held_to_what_the_space_allows(
    values: str, part: tuple[float, ...], allowed: bool
) -> None:
    z = np.array([[0.1, 0.2, 0.3, 0.4, 1, 0, *part]])
    if allowed:
        np.testing.assert_array_equal(space(values).validate(z), z)
        np.testing.assert_allclose(space(values).nearest(z), z, atol=1e-12)
    else:
        with pytest.raises(LatentSpaceError, match="group 1"):
            space(values).validate(z)


@settings(max_examples=30, deadline=None)
@given(arrays(np.float64, (2, 9), elements=st.floats(-5, 5)))
def test_the_nearest_latent_is_allowed_and_keeps_z(z: np.ndarray) -> None:
    for values in ("one-hot", "simplex", "free", "nearest"):
        near = space(values).nearest(z)
        space(values).validate(near)
        np.testing.assert_array_equal(near[:, :4], z[:, :4])
        np.testing.assert_allclose(space(values).nearest(near), near, atol=1e-9)


def test_the_simplex_is_reached_where_it_is_nearest() -> None:
    part = np.array([0.9, 0.7, -0.4])
    best = minimize(
        lambda x: ((x - part) ** 2).sum(),
        np.full(3, 1 / 3),
        bounds=[(0, 1)] * 3,
        constraints={"type": "eq", "fun": lambda x: x.sum() - 1},
        tol=1e-12,
    )
    z = np.concatenate([np.zeros(4), [1, 0], part])[None]
    np.testing.assert_allclose(space("simplex").nearest(z)[0, 6:], best.x, atol=1e-6)


def test_the_nearest_class_is_what_is_decoded() -> None:
    made = network()
    nearest, strict = PGAN(made, class_values="nearest"), PGAN(made)
    z = np.random.default_rng(3).standard_normal((6, 9))
    torch.testing.assert_close(
        nearest.decode(z), strict.decode(space().nearest(z)), atol=1e-5, rtol=0
    )
    assert not torch.equal(nearest.decode(z), PGAN(made, class_values="free").decode(z))


def test_gradients_pass_by_the_choice_of_the_nearest_class() -> None:
    pgan = PGAN(network(), class_values="nearest")
    z = torch.tensor(np.random.default_rng(3).standard_normal((2, 9)), requires_grad=True)
    pgan.decode_tensor(z, NAME).square().sum().backward()
    rounded = torch.tensor(space().nearest(z.detach().numpy()), requires_grad=True)
    PGAN(pgan.network).decode_tensor(rounded, NAME).square().sum().backward()
    torch.testing.assert_close(z.grad, rounded.grad)


def test_images_are_made_in_chunks_within_the_memory_bound() -> None:
    # The largest layer has 5 channels of 16 x 16; four of its size are held, of 4 bytes each.
    settings = PGANSettings(4, (), (6, 5, 4))
    bound = 4 * 4 * 5 * 16**2
    pgan = PGAN(network(tiny=settings), memory_mib=1)
    assert pgan.chunk == 2**20 // bound
    z = np.random.default_rng(0).standard_normal((7, 4))
    whole = pgan.decode(z)
    pgan.chunk = 3
    torch.testing.assert_close(pgan.decode(z), whole)
    assert PGAN(network(tiny=settings), memory_mib=0).chunk == 1


def test_reduced_precision_is_close() -> None:
    z = np.random.default_rng(0).standard_normal((4, 4))
    made = network(tiny=PGANSettings(4, (), (16, 16)))
    reduced = PGAN(made, mixed_precision=True).decode(z)
    torch.testing.assert_close(reduced, PGAN(made).decode(z), atol=0.05, rtol=0)


def test_a_network_cut_at_a_level_makes_what_the_whole_one_made_there() -> None:
    made, z = network(), latents()
    cut = made.up_to(1)
    assert cut.settings.resolution == 8
    torch.testing.assert_close(cut(z), made(z, level=1))
    assert made.settings.resolution == 16
    with torch.no_grad():
        cut.conv.weight.zero_()
    assert float(made.conv.weight.abs().max()) > 0


def test_a_held_class_is_searched_by_z_alone() -> None:
    conditioned = PGAN(network(), held=(1, 2))
    assert list(conditioned.spaces) == ["z", NAME]
    assert conditioned.space.name == "z"
    assert PGAN(network(), held=(1, 2), searched=NAME).space.name == NAME
    z = np.random.default_rng(0).standard_normal((3, 4))
    both = space().joined(z, np.tile([1, 2], (3, 1)))
    torch.testing.assert_close(
        conditioned.decode(z), conditioned.decode(both, NAME), atol=1e-5, rtol=0
    )
    other = space().joined(z, np.tile([1, 1], (3, 1)))
    assert not torch.equal(conditioned.decode(z), conditioned.decode(other, NAME))


def test_spaces_follow_from_the_network() -> None:
    assert list(PGAN(network()).spaces) == [NAME]
    assert list(PGAN(network(tiny=PGANSettings(4, (), (6, 5)))).spaces) == ["z"]
    with pytest.raises(LatentSpaceError, match="Hold a class"):
        PGAN(network()).decode(np.zeros((1, 4)), "z")


@pytest.mark.parametrize("held", [(2, 0), (-1, 0), (0,), (0, 0, 0)])
def test_classes_that_do_not_exist_are_not_held(held: tuple[int, ...]) -> None:
    with pytest.raises(ConfigError, match="held"):
        PGAN(network(), held=held)


def test_gradients_reach_z_and_the_class_part() -> None:
    pgan = PGAN(network())
    assert isinstance(pgan, DifferentiableGenerator)
    z = torch.tensor(space().sample(2, np.random.default_rng(0)), requires_grad=True)
    images = pgan.decode_tensor(z, NAME)
    np.testing.assert_array_equal(images.detach(), pgan.decode(z.detach().numpy()))
    images.square().sum().backward()
    assert z.grad is not None
    assert (z.grad.abs().sum(0) > 0).all()

    # Along the gradient, where the change is largest.
    step = 1e-3 * z.grad / z.grad.norm()
    with torch.no_grad():
        ahead = pgan.decode_tensor(z + step, NAME).square().sum()
        behind = pgan.decode_tensor(z - step, NAME).square().sum()
    assert float(ahead - behind) == pytest.approx(2e-3 * float(z.grad.norm()), rel=0.05)
    with pytest.raises(LatentSpaceError, match="shape"):
        pgan.decode_tensor(z[:, :4], NAME)


def test_a_half_file_is_smaller_and_nearly_the_same(tmp_path: Path) -> None:
    pgan = PGAN(network(tiny=PGANSettings(16, (3,), (32, 16))))
    pgan.save(tmp_path / "whole.safetensors")
    pgan.save(tmp_path / "half.safetensors", half=True)
    sizes = [(tmp_path / f"{name}.safetensors").stat().st_size for name in ("half", "whole")]
    assert sizes[0] < 0.6 * sizes[1]
    z = pgan.space.sample(4, np.random.default_rng(0))
    loaded = PGAN.load(tmp_path / "half.safetensors")
    assert loaded.settings == pgan.settings
    torch.testing.assert_close(loaded.decode(z), pgan.decode(z), atol=2e-2, rtol=0)


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"no weights")
    with pytest.raises(CheckpointError, match="safetensors"):
        PGAN.load(tmp_path / "file")


@pytest.mark.parametrize(
    "wrong", [{"channels": ()}, {"channels": (4, 0)}, {"z_dim": 0}, {"classes": (3, 1)}]
)
def test_architectures_that_cannot_be_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        PGANSettings(**wrong)


def test_an_unknown_choice_of_class_values_is_refused() -> None:
    with pytest.raises(ConfigError, match="simplex"):
        space("soft")
