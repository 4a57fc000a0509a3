"""Training a diffusion model: its loss, the running mean of its weights, and resumed fits."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from vqlso.data.faces import procedural_faces
from vqlso.generators.diffusion.ddim import signal_and_noise
from vqlso.generators.diffusion.generator import DDIM
from vqlso.generators.diffusion.network import DDIMNetwork
from vqlso.generators.diffusion.settings import DDIMSettings, Sampling
from vqlso.portions import Portion, dividing
from vqlso.progress import Advance
from vqlso.records import FitReport
from vqlso.training.diffusion import (
    MEANS_EXPONENT,
    AveragedNetwork,
    DiffusionTraining,
    ddim_loss,
    train_ddim,
)
from vqlso.training.fitting import Checkpointing, Optimisation

FACES = procedural_faces(48, seed=0, size=16).images
SMALL = DDIMSettings(image_size=16, width=16, multipliers=(1, 2), patch=2)
SHORT = DiffusionTraining(epochs=20, batch_size=16, optimisation=Optimisation(5e-3))
SAMPLING = Sampling(steps=3, coarse_side=4)
ROWS = np.arange(7)


def train(**options: object) -> tuple[DDIM, FitReport]:
    return train_ddim(FACES, SMALL, SHORT, seed=0, sampling=SAMPLING, **options)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def trained() -> tuple[DDIM, FitReport]:
    return train()


class Knowing(nn.Module):
    """Predicts the velocity towards the only image there is, off by a constant."""

    def __init__(self, image: Tensor, error: float) -> None:
        super().__init__()
        self.image, self.error = image, error
        self.seen: Tensor = torch.empty(0)

    def forward(self, noisy: Tensor, t: Tensor) -> Tensor:
        self.seen = t
        signal, noise = (part.view(-1, 1, 1, 1) for part in signal_and_noise(t))
        return signal * (noisy - signal * self.image) / noise - noise * self.image + self.error


@pytest.mark.parametrize("error", [0.0, 0.5])
def test_the_loss_is_the_squared_error_of_velocities(error: float) -> None:
    image = torch.linspace(-1, 1, 48, dtype=torch.float64).view(1, 3, 4, 4)
    knowing = Knowing(image, error)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        loss, measures = ddim_loss(knowing, image.expand(7, -1, -1, -1), ROWS)
    assert float(loss) == pytest.approx(error**2, abs=1e-9)
    assert measures["velocity_error"] == loss
    # One time in each seventh of [0, 1].
    assert sorted((knowing.seen * 7).floor().tolist()) == list(range(7))


def moving_network() -> DDIMNetwork:
    """With weights everywhere: a fresh network's last layers are zero."""
    made = DDIMNetwork(SMALL)
    with torch.no_grad():
        for weights in made.parameters():
            weights.add_(0.1 * torch.randn_like(weights))
    return made


@pytest.mark.parametrize("whole", [7, 2])
def test_portions_of_a_batch_give_its_loss_and_gradients(whole: int) -> None:
    """Of 2 images, one of three processes has none."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = moving_network().double()
        pixels = torch.randn(whole, 3, 16, 16, dtype=torch.float64)
        torch.manual_seed(1)
        expected, _ = ddim_loss(network, pixels, ROWS[:whole])
        expected.backward()
        gradients = [p.grad.clone() for p in network.parameters()]
        network.zero_grad()
        total = 0.0
        for rank in range(3):
            torch.manual_seed(1)
            portion = Portion.of(whole, rank, 3)
            with dividing(portion):
                loss, _ = ddim_loss(network, pixels[portion.own], ROWS[portion.own])
            (loss * portion.weight / 3).backward()
            total += loss.item() * portion.weight / 3 if len(portion) else 0.0
    assert total == pytest.approx(expected.item(), rel=1e-12)
    for parameter, gradient in zip(network.parameters(), gradients, strict=True):
        torch.testing.assert_close(parameter.grad, gradient)


def test_the_running_mean_weighs_steps_by_a_power() -> None:
    """beta_t = ((t - 1) / t)^g telescopes: step i has the share (i^g - (i - 1)^g) / t^g."""
    averaged = AveragedNetwork(DDIMNetwork(SMALL)).double()
    x, t = torch.zeros(1, 3, 16, 16).double(), torch.zeros(1).double()
    steps, g = 9, MEANS_EXPONENT + 1
    values = torch.randn(steps, generator=torch.Generator().manual_seed(0)).double()
    for value in values:
        nn.init.constant_(averaged.network.last.bias, float(value))
        averaged(x, t)
    powers = torch.arange(steps + 1).double() ** g
    expected = float((powers.diff() / powers[-1] * values).sum())
    assert averaged.average.last.bias[0].item() == pytest.approx(expected, rel=1e-12)
    averaged.eval()
    averaged(x, t)
    assert int(averaged.steps) == steps


def test_the_mean_is_what_evaluation_sees() -> None:
    averaged = AveragedNetwork(DDIMNetwork(SMALL))
    nn.init.constant_(averaged.network.last.bias, 1.0)
    x, t = torch.zeros(1, 3, 16, 16), torch.zeros(1)
    assert torch.equal(averaged.eval()(x, t), torch.zeros_like(x))
    assert torch.equal(averaged.train()(x, t), torch.ones_like(x))
    assert not any(p.requires_grad for p in averaged.average.parameters())


def error(network: DDIMNetwork) -> float:
    """On images that were not learnt from."""
    held_out = torch.from_numpy(procedural_faces(32, seed=9, size=16).images) / 127.5 - 1
    with torch.no_grad(), torch.random.fork_rng():
        torch.manual_seed(0)
        return float(ddim_loss(network, held_out, np.arange(32))[0])


def test_training_lowers_the_error_on_other_images(trained: tuple[DDIM, FitReport]) -> None:
    generator, report = trained
    untrained, _ = train_ddim(FACES, SMALL, DiffusionTraining(epochs=0), seed=0, sampling=SAMPLING)
    assert error(generator.network) < 0.6 * error(untrained.network)
    assert report.rows == 20 * 48
    assert report.measures["velocity_error"] < 0.6 * error(untrained.network)


class InterruptError(Exception):
    """Stands for a kill."""


class Fragile:
    """Raises once the training has come to its fortieth step of sixty."""

    @contextmanager
    def task(self, description: str, total: int) -> Iterator[Advance]:
        assert total == 60
        done = 0

        def advance(steps: int) -> None:
            nonlocal done
            done += steps
            if done == 40:
                raise InterruptError

        yield advance


def test_training_repeats_bitwise_and_can_be_interrupted(
    trained: tuple[DDIM, FitReport], tmp_path: Path
) -> None:
    checkpointing = Checkpointing(tmp_path / "ddim.state", every=8)
    with pytest.raises(InterruptError):
        train(checkpointing=checkpointing, progress=Fragile())
    assert checkpointing.path.is_file()
    resumed, report = train(checkpointing=checkpointing)
    assert resumed.version == trained[0].version
    assert report.measures == trained[1].measures


def test_a_trained_generator_computes_as_a_loaded_one(
    trained: tuple[DDIM, FitReport], tmp_path: Path
) -> None:
    generator = trained[0]
    generator.save(tmp_path / "ddim.safetensors")
    loaded = DDIM.load(tmp_path / "ddim.safetensors")
    z = generator.space.sample(4, np.random.default_rng(0))
    torch.testing.assert_close(loaded.decode(z), generator.decode(z), atol=1e-5, rtol=0)
    assert loaded.sampling == SAMPLING


def test_seeds_differ_from_the_first_weight_on() -> None:
    none = DiffusionTraining(epochs=0)
    versions = [
        train_ddim(FACES, SMALL, none, seed=seed, sampling=SAMPLING)[0].version
        for seed in (0, 1, 0)
    ]
    assert versions[0] == versions[2] != versions[1]


def test_training_touches_no_global_random_stream() -> None:
    before = copy.deepcopy(torch.get_rng_state())
    train_ddim(FACES[:4], SMALL, DiffusionTraining(epochs=1), seed=0, sampling=SAMPLING)
    assert torch.equal(torch.get_rng_state(), before)
