"""The codebook: nearest codes, gradients, running means, k-means start, revival, perplexity."""

import copy
import math
from typing import Literal

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from vqlso.errors import ConfigError
from vqlso.generators.quantizer import CodebookSettings, VectorQuantizer, perplexity

Update = Literal["gradient", "ema"]
PLAIN = CodebookSettings(data_init=False, revival=False)


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def quantizer(
    codes: Tensor, settings: CodebookSettings = PLAIN, *, train: bool = True
) -> VectorQuantizer:
    """A codebook that holds these (K, D) vectors."""
    made = VectorQuantizer(*codes.shape, settings).train(train)
    with torch.no_grad():
        made.embedding.copy_(codes)
    return made


def column(*values: float) -> Tensor:
    """(m, 1, 1, 1) encoder outputs of dimension 1."""
    return torch.tensor(values).view(-1, 1, 1, 1)


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 1000),
    K=st.integers(1, 40),
    D=st.integers(1, 9),
    scale=st.sampled_from([0.01, 1.0, 30.0]),
)
def test_codes_are_the_nearest_by_brute_force(seed: int, K: int, D: int, scale: float) -> None:
    codebook = scale * normal(K, D, seed=seed)
    encoded = scale * normal(3, D, 2, 5, seed=seed + 1)
    quantized = quantizer(codebook, train=False)(encoded)
    flat = encoded.permute(0, 2, 3, 1).reshape(-1, D).double()
    distances = torch.cdist(flat, codebook.double())
    chosen = distances.gather(1, quantized.codes.view(-1, 1))[:, 0]
    # Float32 may confuse two codes only where they are equally far to its precision.
    assert torch.allclose(chosen, distances.amin(1), rtol=1e-3, atol=1e-3 * scale)
    assert (quantized.codes.view(-1) == distances.argmin(1)).float().mean() > 0.95
    assert quantized.codes.shape == (3, 2, 5)
    looked_up = codebook[quantized.codes].permute(0, 3, 1, 2)
    assert torch.allclose(quantized.vectors, looked_up, atol=1e-5 * scale)


def test_bf16_autocast_confuses_no_codes() -> None:
    # 256 codes so close together that bf16's 8 bits cannot order their distances.
    codebook, encoded = 1 + 0.05 * normal(256, 16), 1 + 0.05 * normal(8, 16, 8, 8, seed=1)
    expected = quantizer(codebook, train=False)(encoded).codes
    with torch.autocast("cpu", torch.bfloat16):
        for train in (False, True):
            assert torch.equal(quantizer(codebook, train=train)(encoded).codes, expected)


def test_both_losses_are_the_mean_squared_distance() -> None:
    codebook, encoded = normal(5, 3), normal(2, 3, 4, 4, seed=1)
    quantized = quantizer(codebook)(encoded)
    by_hand = (codebook[quantized.codes].permute(0, 3, 1, 2) - encoded).square().mean()
    assert quantized.codebook_loss.item() == pytest.approx(by_hand.item(), rel=1e-5)
    assert quantized.commitment_loss.item() == pytest.approx(by_hand.item(), rel=1e-5)


@pytest.mark.parametrize("update", ["gradient", "ema"])
def test_gradients_pass_straight_through_to_the_encoder(update: Update) -> None:
    made = quantizer(normal(5, 3), CodebookSettings(update, False, False))
    encoded = normal(2, 3, 4, 4, seed=1).requires_grad_()
    coefficients = normal(2, 3, 4, 4, seed=2)
    (made(encoded).vectors * coefficients).sum().backward()
    assert encoded.grad is not None
    assert torch.equal(encoded.grad, coefficients)
    assert made.embedding.grad is None


def test_the_commitment_pulls_the_encoder_and_the_codebook_loss_does_not() -> None:
    made = quantizer(normal(5, 3), CodebookSettings("gradient", False, False))
    encoded = normal(2, 3, 4, 4, seed=1).requires_grad_()
    quantized = made(encoded)
    distance = encoded - made.lookup(quantized.codes)
    quantized.commitment_loss.backward(retain_graph=True)
    assert encoded.grad is not None
    assert torch.allclose(encoded.grad, 2 * distance / encoded.numel())
    assert made.embedding.grad is None
    encoded.grad = None
    quantized.codebook_loss.backward()
    assert encoded.grad is None
    assert isinstance(made.embedding, torch.nn.Parameter)
    by_hand = torch.zeros(5, 3).index_add_(
        0, quantized.codes.flatten(), -2 * distance.permute(0, 2, 3, 1).reshape(-1, 3)
    )
    assert torch.allclose(made.embedding.grad, by_hand / encoded.numel(), atol=1e-6)


def test_a_codebook_of_running_means_has_no_gradient() -> None:
    made = quantizer(normal(5, 3))
    assert list(made.parameters()) == []
    assert not made(normal(2, 3, 4, 4).requires_grad_()).codebook_loss.requires_grad


def test_a_gradient_codebook_moves_by_its_gradient_alone() -> None:
    made = quantizer(normal(5, 3), CodebookSettings("gradient", False, False))
    made(normal(2, 3, 4, 4, seed=1))
    assert torch.equal(made.embedding, normal(5, 3))


def test_running_means_over_two_steps_by_hand() -> None:
    # Codes 0 and 10; each starts with a usage of 0.03 * 4 points / 2 codes = 0.06.
    made = quantizer(torch.tensor([[0.0], [10.0]]))
    assert made(column(1, 2, 3, 9)).codes.flatten().tolist() == [0, 0, 0, 1]
    usage = [0.99 * 0.06 + 0.01 * 3, 0.99 * 0.06 + 0.01 * 1]
    sums = [0.99 * 0.0 + 0.01 * 6, 0.99 * 0.6 + 0.01 * 9]
    means = smoothed(usage, sums)
    assert made.embedding.flatten().tolist() == pytest.approx(means, rel=1e-5)
    assert means == pytest.approx([6 / 8.94, 68.4 / 6.94], rel=1e-3)
    # Now the first code is near 0.67 and the second near 9.86.
    assert made(column(0, 8, 8, 9)).codes.flatten().tolist() == [0, 1, 1, 1]
    usage = [0.99 * usage[0] + 0.01 * 1, 0.99 * usage[1] + 0.01 * 3]
    sums = [0.99 * sums[0] + 0.01 * 0, 0.99 * sums[1] + 0.01 * 25]
    assert made.usage.tolist() == pytest.approx(usage, rel=1e-5)
    assert made.sums.flatten().tolist() == pytest.approx(sums, rel=1e-5)
    assert made.embedding.flatten().tolist() == pytest.approx(smoothed(usage, sums), rel=1e-5)


def smoothed(usage: list[float], sums: list[float]) -> list[float]:
    """Laplace-smoothed means (van den Oord et al. 2017's reference implementation)."""
    total = sum(usage)
    share = [(u + 1e-5) / (total + len(usage) * 1e-5) * total for u in usage]
    return [s / u for s, u in zip(sums, share, strict=True)]


def test_running_means_converge_to_the_means_of_their_points() -> None:
    made = quantizer(torch.tensor([[0.0], [10.0]]))
    for _ in range(1500):
        made(column(1, 2, 3, 8, 9))
    assert made.embedding.flatten().tolist() == pytest.approx([2.0, 8.5], abs=0.01)


def test_vectors_are_those_of_the_codes_before_they_move() -> None:
    made = quantizer(torch.tensor([[0.0], [10.0]]), CodebookSettings(data_init=False))
    quantized = made(column(1, 2, 9))
    assert quantized.vectors.flatten().tolist() == pytest.approx([0, 0, 10])
    assert made.embedding.flatten().tolist() != [0, 10]


@pytest.mark.parametrize("update", ["gradient", "ema"])
def test_evaluation_changes_nothing(update: Update) -> None:
    made = VectorQuantizer(6, 3, CodebookSettings(update)).eval()
    before = copy.deepcopy(made.state_dict())
    made(normal(2, 3, 4, 4))
    for name, value in made.state_dict().items():
        assert torch.equal(value, before[name])
    assert not made.initialised


def clusters(per: int = 40) -> tuple[Tensor, Tensor]:
    """(8, 2) well separated centres on a circle, and (8 * per, 2) points around them."""
    angle = torch.arange(8) * math.tau / 8
    centres = 10 * torch.stack([angle.cos(), angle.sin()], 1)
    return centres, (centres[:, None] + 0.1 * normal(8, per, 2)).reshape(-1, 2)


def inertia(points: Tensor, centres: Tensor) -> float:
    return float(torch.cdist(points, centres).amin(1).square().sum())


def started(points: Tensor, K: int, seed: int) -> VectorQuantizer:
    """A fresh codebook that has seen these (m, D) points once; no update follows the start."""
    torch.manual_seed(seed)
    made = VectorQuantizer(K, points.shape[1], CodebookSettings("gradient", revival=False))
    made(points.t()[None, :, :, None])
    return made


@pytest.mark.parametrize("seed", range(4))
def test_the_start_is_a_fixed_point_of_k_means_on_separated_points(seed: int) -> None:
    _, points = clusters()
    made = started(points, 8, seed)
    assert made.initialised
    centres = made.embedding.detach()
    nearest = torch.cdist(points, centres).argmin(1)
    for code in range(8):
        own = points[nearest == code]
        assert len(own)
        assert torch.allclose(own.mean(0), centres[code], atol=1e-4)


@pytest.mark.parametrize("seed", range(4))
def test_the_start_explains_the_data_better_than_random_points(seed: int) -> None:
    points = normal(600, 4, seed=seed)
    made = started(points, 32, seed)
    picks = [points[torch.randperm(600)[:32]] for _ in range(5)]
    assert inertia(points, made.embedding.detach()) < 0.9 * min(inertia(points, p) for p in picks)


def test_there_may_be_fewer_points_than_codes_and_the_start_happens_once() -> None:
    points = normal(5, 2)
    made = started(points, 16, 0)
    assert inertia(points, made.embedding.detach()) == pytest.approx(0, abs=1e-6)
    before = made.embedding.detach().clone()
    made(normal(1, 2, 9, 9, seed=1))
    assert torch.equal(made.embedding, before)


def test_exactly_the_dead_codes_are_revived_from_encoder_outputs() -> None:
    torch.manual_seed(0)
    codebook = torch.tensor([[0.0], [10.0], [50.0], [90.0]])
    made = quantizer(codebook, CodebookSettings("gradient", data_init=False))
    # 100 points, 4 codes: dead is a running usage below 0.01 * 100 / 4 = 0.25 points a batch.
    made.usage.copy_(torch.tensor([40.0, 0.26, 0.24, 0.0]))
    made.sums.copy_(codebook * made.usage[:, None])
    points = torch.rand(100) + 0.5
    quantized = made(points.view(-1, 1, 1, 1))
    after = made.embedding.detach().flatten()
    assert (quantized.codes == 0).all()
    # 0.99 * 0.26 = 0.257 stays above the limit, 0.24 and 0 do not.
    assert after[:2].tolist() == [0, 10]
    assert all((value == points).any() for value in after[2:])
    assert made.usage[2:].tolist() == pytest.approx([0.75, 0.75])  # 0.03 * 100 / 4
    assert torch.allclose(made.sums[2:, 0], after[2:] * 0.75)


def test_without_revival_the_dead_stay() -> None:
    made = quantizer(torch.tensor([[0.0], [90.0]]), CodebookSettings("gradient", False, False))
    made.usage.copy_(torch.tensor([40.0, 1e-9]))
    made(column(*[1.0] * 20))
    assert made.embedding.flatten().tolist() == [0, 90]


def test_a_code_revived_at_once_hands_no_row_a_strangers_vector() -> None:
    torch.manual_seed(0)
    made = quantizer(torch.tensor([[0.0], [90.0]]), CodebookSettings(data_init=False))
    made.usage.copy_(torch.tensor([100.0, 1e-3]))
    made.sums.copy_(made.embedding * made.usage[:, None])
    # One point in 200 has the second code, whose running usage stays below the limit.
    quantized = made(column(*[1.0] * 199, 91.0))
    assert quantized.codes[-1].item() == 1
    assert quantized.vectors[-1].item() == pytest.approx(90)


@given(st.integers(1, 300))
def test_perplexity_of_equal_use_is_the_number_of_codes_used(used: int) -> None:
    assert perplexity(torch.arange(used).repeat(7), 300) == pytest.approx(used)


def test_perplexity_in_closed_form() -> None:
    assert perplexity(torch.full((4, 8, 8), 3), 256) == pytest.approx(1)
    # Shares 1/2, 1/4, 1/4: exp(H) = 2^(3/2).
    assert perplexity(torch.tensor([[0, 0], [1, 5]]), 6) == pytest.approx(2**1.5)


def test_an_unknown_update_is_refused() -> None:
    with pytest.raises(ConfigError, match="gradient, ema; got 'emma'"):
        CodebookSettings(update="emma")  # type: ignore[arg-type]
