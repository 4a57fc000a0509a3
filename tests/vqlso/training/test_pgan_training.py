"""Training a PGAN: its terms by hand, its growth, its interruptions, and that it learns."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric

from vqlso.errors import CheckpointError, ConfigError, DataError, TrainingError
from vqlso.generators.pgan.class_space import NAME
from vqlso.generators.pgan.generator import PGAN
from vqlso.generators.pgan.settings import PGANSettings
from vqlso.training.fitting import Checkpointing
from vqlso.training.pgan import PGANTraining, train_pgan
from vqlso.training.pgan_losses import between, class_loss, gradient_penalty, wasserstein_loss
from vqlso.training.pgan_steps import PGANState, PGANSteps, faded
from vqlso.training.watching import Observer, Snapshot

TINY = PGANSettings(z_dim=4, classes=(2, 3), channels=(6, 4))
TRAINING = PGANTraining(kimg=(0.016, 0.024), batch_size=4, fading=0.012)
RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (60, 3, 8, 8), dtype=np.uint8)
LABELS = np.stack([np.arange(60) % 2, np.arange(60) % 3], axis=1)


class InterruptError(Exception):
    """Stands for a kill."""


def trained(
    training: PGANTraining = TRAINING,
    *,
    look: Callable[[Snapshot[PGAN]], None] | None = None,
    seed: int = 3,
    state: Path | None = None,
) -> tuple[PGAN, dict[str, float]]:
    pgan, report = train_pgan(
        IMAGES,
        LABELS,
        TINY,
        training,
        seed=seed,
        checkpointing=Checkpointing(state, every=2) if state else None,
        observer=Observer(look, training.batch_size / 1000) if look else None,
    )
    return pgan, report.measures


def test_the_class_loss_by_hand() -> None:
    # Equation (1): softmax of each group by itself, -log of the label's, added up over groups.
    logits = torch.tensor([[1.0, 0.0, 2.0, 0.0, -1.0], [0.0, 3.0, 0.5, 0.5, 0.5]])
    labels = torch.tensor([[0, 2], [1, 0]])
    first = -math.log(math.e / (math.e + 1))
    first -= math.log(math.exp(-1) / (math.exp(2) + 1 + math.exp(-1)))
    second = -math.log(math.exp(3) / (1 + math.exp(3))) + math.log(3)
    assert float(class_loss(logits, labels, (2, 3))) == pytest.approx((first + second) / 2)


def test_wasserstein_loss_and_its_penalty_of_a_known_slope() -> None:
    real, fake = torch.tensor([3.0, 1.0]), torch.tensor([-1.0, 2.0])
    assert float(wasserstein_loss(real, fake)) == -1.5
    a = torch.randn(3, 2, 2, requires_grad=True)
    x = torch.randn(5, 3, 2, 2, requires_grad=True)
    penalty = gradient_penalty((a * x.square()).sum(dim=(1, 2, 3)) / 2, x)
    lengths = (a * x).square().sum(dim=(1, 2, 3)).sqrt()
    expected = (lengths - 1).square().mean()
    torch.testing.assert_close(penalty, expected)
    slope = torch.autograd.grad(expected, a, retain_graph=True)[0]
    torch.testing.assert_close(torch.autograd.grad(penalty, a)[0], slope)


def test_images_in_between_lie_on_lines() -> None:
    real, fake = torch.randn(6, 3, 4, 4), torch.randn(6, 3, 4, 4)
    places = (between(real, fake) - real) / (fake - real)
    assert float(places.flatten(1).std(1).max()) < 1e-2
    assert ((places > 0) & (places < 1)).all()


def test_growth_goes_through_all_levels() -> None:
    training = PGANTraining(kimg=(0.4, 0.8, 0.4), batch_size=100, fading=0.4)
    assert training.steps == 16
    phases = [training.phase(step) for step in range(16)]
    assert [phase.level for phase in phases] == [0] * 4 + [1] * 8 + [2] * 4
    assert [phase.alpha for phase in phases[:4]] == [1] * 4
    assert [round(phase.alpha, 9) for phase in phases[4:12]] == [0, 0.25, 0.5, 0.75, 1, 1, 1, 1]
    assert [round(phase.alpha, 9) for phase in phases[12:]] == [0, 0.25, 0.5, 0.75]
    assert PGANTraining(kimg=(1, 1), fading=0.0).phase(70).alpha == 1


def test_looks_end_at_the_resolution_that_is_faded_in_whole() -> None:
    sides: list[int] = []
    trained(look=lambda now: sides.append(now.generator.image_shape[-1]))
    # Four batches at 4 pixels, three while 8 pixels fade in, three at 8.
    assert sides == [4] * 7 + [8] * 3


def test_real_images_fade_in_as_generated_ones_do() -> None:
    pixels = torch.randn(2, 3, 16, 16)
    coarse = pixels.view(2, 3, 4, 4, 4, 4).mean(dim=(3, 5))
    fine = pixels.view(2, 3, 8, 2, 8, 2).mean(dim=(3, 5))
    torch.testing.assert_close(faded(pixels, 8, 1.0), fine)
    enlarged = coarse.repeat_interleave(2, 2).repeat_interleave(2, 3)
    torch.testing.assert_close(faded(pixels, 8, 0.0), enlarged)
    torch.testing.assert_close(faded(pixels, 8, 0.25), 0.75 * enlarged + 0.25 * fine)


def gradients(training: PGANTraining, labels: np.ndarray = LABELS) -> list[torch.Tensor]:
    """Of the generator and of the discriminator in their first step, at 4 pixels."""
    state = PGANState.begin(TINY, training, 0, torch.device("cpu"))
    steps = PGANSteps(state, training, Fabric(accelerator="cpu", devices=1))
    found: list[torch.Tensor] = []
    # Nothing moves: both networks are seen with their first weights.
    for optimiser, network in zip(
        state.optimisers, (state.generator, state.discriminator), strict=True
    ):
        optimiser.register_step_pre_hook(lambda *_, own=network: found.append(taken(own)))
    torch.manual_seed(5)
    steps.step(torch.from_numpy(IMAGES[:4]), torch.from_numpy(labels[:4]))
    return found


def taken(network: torch.nn.Module) -> torch.Tensor:
    """All gradients of a network in one row, which are then zero."""
    values = [value.grad for value in network.parameters() if value.grad is not None]
    kept = torch.cat([value.flatten() for value in values])
    for value in values:
        value.zero_()
    return kept


def test_equations_2_and_3_add_the_class_loss_by_weight() -> None:
    plain = replace(TRAINING, class_weight=0.0, generator_class_weight=0.0, mixed_precision=False)
    none = gradients(plain)
    for network, weight in enumerate(("generator_class_weight", "class_weight")):
        once, twice = (gradients(replace(plain, **{weight: value})) for value in (1.0, 2.0))
        added = once[network] - none[network]
        assert float(added.abs().max()) > 1e-3
        torch.testing.assert_close(twice[network] - none[network], 2 * added, atol=1e-5, rtol=1e-3)
        # The other network's loss has nothing of it.
        torch.testing.assert_close(once[1 - network], none[1 - network])


def test_the_discriminator_learns_classes_from_real_images_alone() -> None:
    # Equation (2), with the gradient worked out from its two classification terms.
    plain = replace(TRAINING, class_weight=0.0, mixed_precision=False)
    added = gradients(replace(plain, class_weight=1.0))[1] - gradients(plain)[1]
    fresh = PGANState.begin(TINY, TRAINING, 0, torch.device("cpu")).discriminator
    real = faded(torch.from_numpy(IMAGES[:4]).float().div(127.5).sub(1), 4, 1.0)
    class_loss(fresh(real)[1], torch.from_numpy(LABELS[:4]), TINY.classes).backward()
    torch.testing.assert_close(added, taken(fresh), atol=1e-5, rtol=1e-3)


@pytest.mark.parametrize("after", [3, 6])
def test_an_interrupted_training_ends_as_the_uninterrupted_one(after: int, tmp_path: Path) -> None:
    whole, measures = trained()

    def kill(snapshot: Snapshot[PGAN]) -> None:
        if round(snapshot.kimg * 1000) == after * TRAINING.batch_size:
            raise InterruptError

    with pytest.raises(InterruptError):
        trained(look=kill, state=tmp_path / "state")
    torch.rand(5)
    resumed, again = trained(state=tmp_path / "state")
    assert resumed.version == whole.version
    assert again == measures


def test_a_longer_training_continues_a_shorter_one(tmp_path: Path) -> None:
    trained(replace(TRAINING, kimg=(0.016, 0.016)), state=tmp_path / "state")
    continued, _ = trained(state=tmp_path / "state")
    assert continued.version == trained()[0].version
    with pytest.raises(CheckpointError, match="another seed"):
        trained(replace(TRAINING, kimg=(0.02, 0.024)), state=tmp_path / "state")


def test_an_observer_changes_nothing_and_sees_the_end() -> None:
    seen: list[Snapshot[PGAN]] = []
    watched, _ = trained(look=seen.append)
    assert watched.version == trained()[0].version == seen[-1].generator.version
    assert [round(each.kimg * 1000) for each in seen] == list(range(4, 44, 4))
    assert trained(seed=4)[0].version != watched.version


def test_levels_that_are_not_reached_stay_as_they_were() -> None:
    state = PGANState.begin(TINY, TRAINING, 0, torch.device("cpu"))
    before = {name: value.clone() for name, value in state.generator.named_parameters()}
    steps = PGANSteps(state, TRAINING, Fabric(accelerator="cpu", devices=1))
    steps.step(torch.from_numpy(IMAGES[:4]), torch.from_numpy(LABELS[:4]))
    changed = {
        name for name, value in state.generator.named_parameters() if not value.equal(before[name])
    }
    assert changed == {n for n in before if n.split(".")[0] in ("format", "conv")} | {
        "torgb.0.weight",
        "torgb.0.bias",
    }


def test_classes_are_learnt() -> None:
    # Two classes, dark and bright: what is asked for is what is made.
    bright = np.arange(64) % 2
    images = (40 + 160 * bright[:, None, None, None] + RNG.integers(0, 30, (64, 3, 8, 8))).astype(
        np.uint8
    )
    settings = PGANSettings(z_dim=4, classes=(2,), channels=(16, 16))
    training = PGANTraining(kimg=(1.6, 1.6), fading=0.8, learning_rate=8e-3, average_kimg=0.2)
    pgan, report = train_pgan(images, bright[:, None], settings, training, seed=0)
    z = pgan.space.sample(64, np.random.default_rng(0))
    means = pgan.decode(z, NAME).mean(dim=(1, 2, 3)).numpy()
    asked = z[:, -1] == 1
    assert means[asked].mean() - means[~asked].mean() > 0.35
    assert report.measures["real class loss"] < 0.3


def test_states_of_other_trainings_and_damaged_ones_are_refused(tmp_path: Path) -> None:
    trained(state=tmp_path / "state")
    with pytest.raises(CheckpointError, match="another seed"):
        trained(seed=9, state=tmp_path / "state")
    (tmp_path / "state").write_bytes(b"damaged")
    with pytest.raises(CheckpointError, match="Delete the file"):
        trained(state=tmp_path / "state")


@pytest.mark.filterwarnings("ignore:Training the PGAN diverged")
def test_a_diverged_training_is_named() -> None:
    with pytest.raises(TrainingError, match="PGAN diverged"):
        trained(replace(TRAINING, learning_rate=1e30))


def test_images_and_labels_of_another_form_are_refused() -> None:
    for images, labels in [
        (IMAGES[:, :, :4], LABELS),
        (IMAGES.astype(float), LABELS),
        (IMAGES, LABELS[:, :1]),
        (IMAGES, None),
        (IMAGES, LABELS + 1),
        (IMAGES[:0], LABELS[:0]),
    ]:
        with pytest.raises(DataError):
            train_pgan(images, labels, TINY, TRAINING, seed=0)
    with pytest.raises(ConfigError, match="2 resolutions"):
        train_pgan(IMAGES, LABELS, TINY, PGANTraining(kimg=(1.0,)), seed=0)


@pytest.mark.parametrize(
    "wrong",
    [
        {"kimg": ()},
        {"kimg": (1.0, 0.0)},
        {"batch_size": 0},
        {"penalty": -1.0},
        {"fading": -1.0},
        {"learning_rate": 0.0},
    ],
)
def test_trainings_that_cannot_be_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        PGANTraining(**wrong)
