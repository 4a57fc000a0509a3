"""Fitting: it learns, it can be interrupted, and it leaves nothing else touched."""

import copy
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from vqlso.errors import CheckpointError, ConfigError, TrainingError
from vqlso.records import FitReport
from vqlso.training.fitting import STEPS_REPORTED, Checkpointing, Optimisation, fit
from vqlso.training.weighting import Batches, epochs

Losses = tuple[Tensor, Mapping[str, Tensor]]
IMAGES = np.random.default_rng(0).integers(0, 256, (64, 3, 8, 8), dtype=np.uint8)
BRIGHTNESS = torch.from_numpy(IMAGES.mean((1, 2, 3)) / 127.5 - 1).float()


def network(seed: int = 0) -> nn.Sequential:
    """Has all that a resumed fit must bring back: moments, buffers, random draws."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(
            nn.Conv2d(3, 8, 3, 2, 1),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.Dropout(0.2),
            nn.Flatten(),
            nn.Linear(8 * 16, 1),
        )


def loss(module: nn.Module, pixels: Tensor, rows: NDArray[np.int64]) -> Losses:
    """Regression on the mean brightness."""
    error = (module(pixels)[:, 0].float() - 5 * BRIGHTNESS[rows]).square().mean()
    return error, {"error": error.detach()}


def batches(passes: int = 6) -> Batches:
    return epochs(len(IMAGES), passes, 16, np.random.default_rng(1))


def fitted(net: nn.Module, **settings: Any) -> FitReport:
    chosen: dict[str, Any] = {"seed": 3, "batches": batches(), "loss": loss} | settings
    return fit(net, fetch=lambda rows: IMAGES[rows], **chosen)


def same(one: nn.Module, other: nn.Module) -> bool:
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


class InterruptError(Exception):
    """Stands for a kill."""


def interrupted(net: nn.Module, after: int, **settings: Any) -> None:
    """Fit until the loss has been asked `after` times."""
    calls = 0

    def fragile(module: nn.Module, pixels: Tensor, rows: NDArray[np.int64]) -> Losses:
        nonlocal calls
        calls += 1
        if calls > after:
            raise InterruptError
        return loss(module, pixels, rows)

    with pytest.raises(InterruptError):
        fitted(net, loss=fragile, **settings)


def test_the_loss_falls_and_the_report_tells_it() -> None:
    net = network()
    before = mean_error(net)
    report = fitted(net, batches=batches(40), optimisation=Optimisation(3e-3))
    assert mean_error(net) < 0.2 * before
    assert report.rows == 40 * len(IMAGES)
    assert report.measures["error"] < before
    assert report.seconds > 0


@torch.no_grad()
def mean_error(net: nn.Module) -> float:
    pixels = torch.from_numpy(IMAGES).float() / 127.5 - 1
    return float(loss(net.eval(), pixels, np.arange(len(IMAGES)))[0])


def test_measures_are_means_over_the_last_steps() -> None:
    values = iter(range(1000))

    def counted(module: nn.Module, pixels: Tensor, rows: NDArray[np.int64]) -> Losses:
        return loss(module, pixels, rows)[0], {"step": torch.tensor(next(values))}

    many = batches(20)
    report = fitted(network(), loss=counted, batches=many)
    assert len(many) > STEPS_REPORTED
    last = range(len(many) - STEPS_REPORTED, len(many))
    assert report.measures == {"step": pytest.approx(np.mean(last))}


def test_pixels_lie_in_minus_one_to_one_and_rows_are_those_of_the_batch() -> None:
    seen = []

    def look(module: nn.Module, pixels: Tensor, rows: NDArray[np.int64]) -> Losses:
        assert torch.allclose(pixels, torch.from_numpy(IMAGES[rows]) / 127.5 - 1, atol=1e-6)
        assert module.training
        seen.append(rows)
        return loss(module, pixels, rows)

    fitted(network(), loss=look)
    for rows, batch in zip(seen, batches(), strict=True):
        np.testing.assert_array_equal(rows, batch)


def test_a_fit_repeats_bitwise_and_depends_on_its_seed() -> None:
    one, other, third = network(), network(), network()
    fitted(one)
    torch.rand(5)
    fitted(other)
    fitted(third, seed=4)
    assert same(one, other)
    assert not same(one, third)


def test_the_global_random_stream_is_left_alone_and_the_network_in_evaluation_mode() -> None:
    net = network()
    torch.manual_seed(9)
    before = torch.random.get_rng_state()
    fitted(net)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert not net.training
    assert not any(module.training for module in net.modules())


def test_every_fit_starts_from_a_fresh_optimiser() -> None:
    # Adam's first step has the length of the learning rate, whatever came before.
    net = network()
    fitted(net)
    for size in (1e-2, 1e-3):
        before = net[5].bias.item()
        fitted(net, batches=batches()[:1], optimisation=Optimisation(size))
        assert abs(net[5].bias.item() - before) == pytest.approx(size, rel=1e-2)


@pytest.mark.parametrize("decay", ["none", "cosine"])
@pytest.mark.parametrize("after", [3, 8, 17, 23])
def test_an_interrupted_fit_ends_as_the_uninterrupted_one(
    after: int, decay: Any, tmp_path: Path
) -> None:
    how = {"optimisation": Optimisation(1e-2, decay, weight_decay=0.1)}
    whole, broken = network(), network()
    expected = fitted(whole, **how)
    checkpointing = Checkpointing(tmp_path / "fit.state", every=4)
    interrupted(broken, after, checkpointing=checkpointing, **how)
    # The new process builds its network anew; after fewer than 4 steps it starts over.
    resumed = network()
    report = fitted(resumed, checkpointing=checkpointing, **how)
    assert same(whole, resumed)
    assert report.measures == expected.measures


def test_it_continues_where_it_was_saved(tmp_path: Path) -> None:
    checkpointing = Checkpointing(tmp_path / "fit.state", every=4)
    interrupted(network(), 11, checkpointing=checkpointing)
    steps = []

    def counted(module: nn.Module, pixels: Tensor, rows: NDArray[np.int64]) -> Losses:
        steps.append(rows)
        return loss(module, pixels, rows)

    fitted(network(), loss=counted, checkpointing=checkpointing)
    assert len(steps) == len(batches()) - 8


def test_a_finished_fit_whose_network_was_not_saved_is_not_repeated(tmp_path: Path) -> None:
    checkpointing = Checkpointing(tmp_path / "fit.state", every=len(batches()))
    net, again = network(), network()
    expected = fitted(net, checkpointing=checkpointing)

    def never(module: nn.Module, pixels: Tensor, rows: NDArray[np.int64]) -> Losses:
        raise AssertionError("a step was repeated")

    report = fitted(again, loss=never, checkpointing=checkpointing)
    assert same(net, again)
    assert report.measures == expected.measures


@pytest.mark.parametrize(
    "content", [b"", b"junk", b"PK\x03\x04", "half"], ids=["empty", "junk", "zip", "half"]
)
def test_a_damaged_state_costs_time_and_nothing_else(content: bytes | str, tmp_path: Path) -> None:
    path = tmp_path / "fit.state"
    checkpointing = Checkpointing(path, every=4)
    interrupted(network(), 5, checkpointing=checkpointing)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2] if isinstance(content, str) else content)
    whole_fit, anew = network(), network()
    fitted(whole_fit)
    with pytest.warns(UserWarning, match=r"fit\.state cannot be read.*It begins anew"):
        fitted(anew, checkpointing=checkpointing)
    assert same(anew, whole_fit)


@pytest.mark.parametrize("content", [[1, 2], {}, {"fit": (3, 24)}, "text"])
def test_a_file_of_something_else_is_refused(content: object, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "fit.state")
    with pytest.raises(CheckpointError, match="Delete the file"):
        fitted(network(), checkpointing=Checkpointing(tmp_path / "fit.state"))


@pytest.mark.parametrize("other", [{"seed": 4}, {"batches": batches(5)}])
def test_the_state_of_another_fit_is_refused(other: dict[str, Any], tmp_path: Path) -> None:
    checkpointing = Checkpointing(tmp_path / "fit.state", every=4)
    interrupted(network(), 5, checkpointing=checkpointing)
    with pytest.raises(CheckpointError, match="another seed or number of steps"):
        fitted(network(), checkpointing=checkpointing, **other)


def test_the_state_of_another_network_is_refused(tmp_path: Path) -> None:
    checkpointing = Checkpointing(tmp_path / "fit.state", every=4)
    interrupted(network(), 5, checkpointing=checkpointing)
    other = network()
    other[5] = nn.Linear(8 * 16, 2)
    with pytest.raises(CheckpointError, match="cannot be continued"):
        fitted(other, checkpointing=checkpointing)


@pytest.mark.parametrize("done", [0.0, 0.25, 0.5, 0.9, 1.0])
def test_step_sizes_in_closed_form(done: float) -> None:
    assert Optimisation(0.02).step_size(done) == 0.02
    expected = 0.02 * math.cos(math.pi * done / 2) ** 2  # (1 + cos x) / 2 = cos^2 (x / 2)
    assert Optimisation(0.02, "cosine").step_size(done) == pytest.approx(expected, abs=1e-12)


def test_the_step_size_reaches_the_optimiser() -> None:
    # With one constant gradient, Adam's steps are the step sizes: the weight ends at minus their
    # sum.
    net = nn.Linear(1, 1, bias=False)
    start = net.weight.item()

    def constant(module: nn.Module, pixels: Tensor, rows: NDArray[np.int64]) -> Losses:
        return module(torch.ones(1, 1)).float().sum(), {}

    fitted(net, loss=constant, optimisation=Optimisation(0.01, "cosine"))
    steps = len(batches())
    total = sum(0.01 * (1 + math.cos(math.pi * step / steps)) / 2 for step in range(steps))
    assert start - net.weight.item() == pytest.approx(total, rel=1e-3)


def test_no_weight_decay_is_plain_adam(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vqlso.training.fitting.fabric_precision", lambda: "32-true")
    net, reference = network(), network()
    net[3].p = reference[3].p = 0.0  # dropout's mask follows the order of pixels in memory
    fitted(net, batches=batches()[:2])
    optimiser = torch.optim.Adam(reference.train().parameters(), lr=1e-3)
    with torch.random.fork_rng():
        torch.manual_seed(3)
        for rows in batches()[:2]:
            pixels = torch.from_numpy(IMAGES[rows]).float() / 127.5 - 1
            optimiser.zero_grad()
            loss(reference, pixels, rows)[0].backward()
            optimiser.step()
    assert not torch.allclose(net[5].weight, network()[5].weight, atol=1e-4)
    assert torch.allclose(net[5].weight, reference[5].weight, atol=1e-6)


def test_no_batches_leave_the_network_as_it_is() -> None:
    net = network()
    before = copy.deepcopy(net)
    assert fitted(net, batches=[]).measures == {}
    assert same(net, before)


def test_an_unknown_decay_is_refused() -> None:
    with pytest.raises(ConfigError, match="none, cosine; got 'cosin'"):
        Optimisation(decay="cosin")  # type: ignore[arg-type]


@pytest.mark.filterwarnings("ignore:Fitting diverged")
def test_a_fit_that_diverges_ends_with_the_remedy() -> None:
    def overflows(module: nn.Module, pixels: Tensor, rows: NDArray[np.int64]) -> Losses:
        value, measures = loss(module, pixels, rows)
        return value * math.inf, measures

    with pytest.raises(TrainingError, match=r"diverged.*step 1 of.*Lower the learning rate"):
        fitted(network(), loss=overflows)
