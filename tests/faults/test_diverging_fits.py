"""A loss that is no number: the fit goes back, halves its step size, tells so, or gives up."""

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from vqlso.errors import TrainingError
from vqlso.generators.vqvae import VQVAE, VQVAENetwork, VQVAESettings
from vqlso.records import FitReport
from vqlso.training import fitting, vqvae
from vqlso.training.fitting import MOST_HALVINGS, Checkpointing, Optimisation, fit

IMAGES = np.random.default_rng(0).integers(0, 256, (32, 3, 4, 4), dtype=np.uint8)
BATCHES = [np.arange(8) + 8 * (step % 4) for step in range(12)]
Losses = tuple[Tensor, Mapping[str, Tensor]]
Spoil = Callable[[Tensor], Tensor]


def network() -> nn.Sequential:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(nn.Flatten(), nn.Linear(48, 8), nn.Dropout(0.2), nn.Linear(8, 1))


class Ailing:
    """A regression that fails at its so-manieth computations.

    Attributes:
        steps: the batches' first rows, in the order in which they were asked for.
    """

    def __init__(self, *failing: int, spoil: Spoil = lambda value: value * math.nan) -> None:
        self.failing, self.spoil = failing, spoil
        self.steps: list[int] = []

    def __call__(self, module: nn.Module, pixels: Tensor, rows: NDArray[np.int64]) -> Losses:
        self.steps.append(int(rows[0]))
        error = (module(pixels)[:, 0].float() - 1).square().mean()
        failed = len(self.steps) - 1 in self.failing
        return self.spoil(error) if failed else error, {"error": error.detach()}


def fitted(net: nn.Module, loss: Any, **settings: Any) -> FitReport:
    return fit(
        net, loss, lambda rows: IMAGES[rows],
        **{"batches": BATCHES, "seed": 1, "optimisation": Optimisation(1e-2)} | settings,
    )  # fmt: skip


def weights(net: nn.Module) -> Tensor:
    return torch.cat([each.detach().flatten() for each in net.parameters()])


def test_it_goes_on_from_the_last_good_step_with_half_the_step_size(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As a fit whose step size was halved at that step from the beginning."""
    monkeypatch.setattr(fitting, "STEPS_KEPT", 5)
    spoilt, expected = network(), network()
    loss = Ailing(7)
    with pytest.warns(UserWarning, match=r"loss was nan at step 8 of 12\. It goes on from step 5"):
        report = fitted(spoilt, loss)
    order = [*range(8), *range(5, 12)]
    assert loss.steps == [8 * (step % 4) for step in order]
    assert report.measures["halvings"] == 1

    class HalvedFromFive(Optimisation):
        def step_size(self, done: float) -> float:
            return 1e-2 if done * len(BATCHES) < 4.5 else 5e-3

    known = fitted(expected, Ailing(), optimisation=HalvedFromFive(1e-2))
    assert torch.equal(weights(spoilt), weights(expected))
    assert report.measures["error"] == known.measures["error"]


def test_a_fit_that_goes_well_says_nothing_of_it() -> None:
    assert fitted(network(), Ailing()).measures.keys() == {"error"}


def test_a_gradient_that_is_no_number_is_noticed_before_the_end() -> None:
    """The loss of the last step is fine, and the weights that it leaves are not."""
    net = network()
    spoil: Spoil = lambda value: value + 0 * torch.sqrt(value - value.detach())  # noqa: E731
    with pytest.warns(UserWarning, match="its weights were no numbers at step 12 of 12"):
        report = fitted(net, Ailing(len(BATCHES) - 1, spoil=spoil))
    assert report.measures["halvings"] == 1
    assert torch.isfinite(weights(net)).all()


@pytest.mark.filterwarnings("ignore:Fitting diverged")
def test_it_gives_up_after_a_few_times() -> None:
    loss = Ailing(*range(3, 100))
    with pytest.raises(TrainingError, match=r"step 1 of 12, though .* halved 3 times\. Lower the"):
        fitted(network(), loss)
    assert len(loss.steps) == 3 + 1 + MOST_HALVINGS  # then at once, at the first step of each try


@pytest.mark.filterwarnings("ignore:Fitting diverged")
@pytest.mark.parametrize("killed", [5, 9, 12])
def test_an_interrupted_fit_goes_back_to_the_same_step(killed: int, tmp_path: Path) -> None:
    """The loss fails at batch 6 until the step size is halved; the kill comes before or after."""

    class Steep:
        def __init__(self, patience: int) -> None:
            self.patience, self.failed, self.calls = patience, False, 0

        def __call__(self, module: nn.Module, pixels: Tensor, rows: NDArray[np.int64]) -> Losses:
            self.calls += 1
            if self.calls > self.patience:
                raise InterruptedError
            value, measures = Ailing()(module, pixels, rows)
            fails = rows[0] == 100 and not self.failed
            self.failed |= fails
            return value * (math.nan if fails else 1), measures

    rows = [np.arange(8) % 32 for _ in range(12)]
    images = np.concatenate([IMAGES] * 4)
    rows[6] = np.arange(100, 108)

    def run(net: nn.Module, loss: Steep, path: Path) -> FitReport:
        return fit(net, loss, lambda chosen: images[chosen], rows, seed=1,
                   checkpointing=Checkpointing(path, every=4))  # fmt: skip

    whole, broken = network(), network()
    expected = run(whole, Steep(100), tmp_path / "whole.state")
    with pytest.raises(InterruptedError):
        run(broken, Steep(killed), tmp_path / "broken.state")
    again = network()
    resumed = Steep(100)
    # What was saved behind the failure knows of it; before it, it fails once more.
    state = torch.load(tmp_path / "broken.state", weights_only=True)
    resumed.failed = bool(state["halvings"])
    report = run(again, resumed, tmp_path / "broken.state")
    assert torch.equal(weights(again), weights(whole))
    assert report.measures == expected.measures


def test_a_retraining_tells_the_journal(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a round's journal line holds under "fit" is what the retraining reports."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        generator = VQVAE(VQVAENetwork(VQVAESettings(8, 2, 4, 4, 0)))
    calls, sound = iter(range(100)), vqvae.vqvae_loss

    def spoilt(module: nn.Module, pixels: Tensor, rows: NDArray[np.int64]) -> Losses:
        value, measures = sound(module, pixels, rows)
        return value * (math.nan if next(calls) == 2 else 1), measures

    monkeypatch.setattr(vqvae, "vqvae_loss", spoilt)
    images = np.random.default_rng(0).integers(0, 256, (8, 3, 8, 8), dtype=np.uint8)
    with pytest.warns(UserWarning, match="Retraining the vq-vae diverged"):
        _, report = vqvae.finetune_vqvae(generator, images.__getitem__, [np.arange(8)] * 4, seed=0)
    assert report.measures["halvings"] == 1
