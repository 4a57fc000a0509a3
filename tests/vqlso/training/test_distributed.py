"""Training on two processes: the networks of one, and nobody waits for the dead.

Rounding grows with the steps: at the boundary between two codes any difference decides
(docs/clusters.md). The fits here are short enough to tell rounding from an error.
"""

import signal
from collections.abc import Callable
from pathlib import Path
from time import sleep

import distributed_worker as worker
import numpy as np
import pytest
import torch
from processes import Ended, ended, needs_gloo, started

from vqlso.generators.vqvae import VQVAE
from vqlso.images import to_unit
from vqlso.objectives.degree_classifier import DegreeClassifier
from vqlso.training.distributed import Team, current_team

pytestmark = needs_gloo
SCRIPT = Path(worker.__file__)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("distributed")


@pytest.fixture(scope="module")
def training(folder: Path) -> list[Ended]:
    """Everything trained on two processes, and a last fit interrupted as torchrun does it."""
    processes = started(SCRIPT, "train", folder)
    while not (folder / "waiting").exists() and processes[0].poll() is None:
        sleep(0.1)
    for _ in range(2):
        for process in processes:
            process.send_signal(signal.SIGINT)
        sleep(0.3)
    return ended(processes)


@pytest.fixture(scope="module")
def resuming(folder: Path, training: list[Ended]) -> list[Ended]:
    """That fit resumed, and another in which the second process died."""
    assert (folder / "fit.state").is_file(), training
    return ended(started(SCRIPT, "resume", folder))


@pytest.fixture
def exact(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vqlso.training.fitting.fabric_precision", lambda: worker.PRECISION)


def weights(network: torch.nn.Module) -> torch.Tensor:
    return torch.cat([value.double().ravel() for value in network.state_dict().values()])


def distance(one: torch.nn.Module, other: torch.nn.Module) -> float:
    """Relative to the length of all weights."""
    return float((weights(one) - weights(other)).norm() / weights(one).norm())


def same_codes(one: VQVAE, other: VQVAE) -> float:
    codes = [generator.encode(to_unit(worker.FACES.images)) for generator in (one, other)]
    return float(np.mean(codes[0] == codes[1]))


@pytest.mark.parametrize(
    ("name", "train"),
    [
        ("ema", worker.trained),
        ("retrained", lambda: worker.retrained(worker.trained())),
        ("gradient", lambda: worker.trained(worker.GRADIENT)),
    ],
)
@pytest.mark.usefixtures("training", "exact")
def test_two_processes_train_the_generator_of_one(
    name: str, train: Callable[[], VQVAE], folder: Path
) -> None:
    one, two = train(), VQVAE.load(folder / name)
    assert distance(one.network, two.network) < 1e-4
    assert same_codes(one, two) >= 0.99


# Adam magnifies rounding where batch normalisation leaves gradients that are hardly more; that the
# gradients themselves agree is shown in float64 (tests/vqlso/test_portions.py).
@pytest.mark.parametrize(("architecture", "bound"), [("plain", 1e-4), ("residual", 0.05)])
@pytest.mark.usefixtures("training", "exact")
def test_two_processes_train_the_scorer_of_one(
    architecture: str, bound: float, folder: Path
) -> None:
    """With the same augmentation, dropout and batch statistics."""
    one, two = worker.scorer(architecture), DegreeClassifier.load(folder / architecture)
    assert distance(one.network, two.network) < bound


@pytest.mark.usefixtures("resuming", "exact")
def test_an_interrupted_fit_ends_as_an_uninterrupted_one(folder: Path) -> None:
    whole, resumed = VQVAE.load(folder / "ema"), VQVAE.load(folder / "resumed")
    assert torch.equal(weights(whole.network), weights(resumed.network))


def test_an_interrupt_is_heeded_once_and_ends_all(training: list[Ended], folder: Path) -> None:
    first, second = training
    assert (folder / "interrupted").exists(), first.output
    assert "KeyboardInterrupt" in first.output
    assert second == Ended(0, "")


def test_a_process_that_dies_is_an_error_in_the_first(resuming: list[Ended], folder: Path) -> None:
    first, second = resuming
    assert first.code == 0, first.output
    assert second.code == worker.LACK_OF_MEMORY
    message = (folder / "message").read_text()
    assert message.startswith("The training on 2 processes failed: another one ended")
    assert "resume" in message


def test_alone_is_the_default() -> None:
    assert type(current_team()) is Team
    assert current_team().leads
