"""Adversarial training: its terms in closed form, its interruptions, and that it learns."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from vqlso.errors import CheckpointError, ConfigError, DataError, TrainingError
from vqlso.generators.stylegan2.generator import StyleGAN2
from vqlso.generators.stylegan2.settings import StyleGAN2Settings
from vqlso.training.adversarial import Observer, Snapshot, StyleGAN2Training, train_stylegan2
from vqlso.training.augmentation import AdaptiveAugmentation, augmented
from vqlso.training.distributed import Team
from vqlso.training.fitting import Checkpointing
from vqlso.training.gan_losses import (
    discriminator_loss,
    generator_loss,
    path_lengths,
    r1_penalty,
)
from vqlso.training.gan_state import STEPS_REPORTED, GANState
from vqlso.training.gan_steps import AdversarialSteps

TINY = StyleGAN2Settings(8, 4, 4, mapping_layers=1, channel_base=32, channel_max=4)
# All that a resumed training must bring back: penalties, mixed styles, noise, augmentation.
TRAINING = StyleGAN2Training(
    kimg=0.04,
    batch_size=4,
    r1_interval=3,
    path_weight=2.0,
    path_interval=2,
    augmentation=AdaptiveAugmentation(kimg=0.1, interval=2),
)
# Bright and reddish.
IMAGES = np.random.default_rng(0).integers(150, 256, (64, 3, 8, 8), dtype=np.uint8)
IMAGES[:, 1:] -= 100


class InterruptError(Exception):
    """Stands for a kill."""


def trained(
    training: StyleGAN2Training = TRAINING,
    *,
    look: Callable[[Snapshot], None] | None = None,
    seed: int = 3,
    state: Path | None = None,
) -> tuple[StyleGAN2, dict[str, float]]:
    generator, report = train_stylegan2(
        IMAGES,
        TINY,
        training,
        seed=seed,
        checkpointing=Checkpointing(state, every=3) if state else None,
        observer=Observer(look, training.batch_size / 1000) if look else None,
    )
    return generator, report.measures


def interrupted(after: int, state: Path, training: StyleGAN2Training = TRAINING) -> None:
    def kill(snapshot: Snapshot) -> None:
        if round(snapshot.kimg * 1000) == after * training.batch_size:
            raise InterruptError

    with pytest.raises(InterruptError):
        trained(training, look=kill, state=state)


def test_losses_in_closed_form() -> None:
    real, fake = torch.tensor([2.0, -1.0]), torch.tensor([0.5, 3.0])

    def log_sigmoid(x: float) -> float:
        return math.log(1 / (1 + math.exp(-x)))

    expected = -(log_sigmoid(0.5) + log_sigmoid(3)) / 2
    assert float(generator_loss(fake)) == pytest.approx(expected)
    expected = -(log_sigmoid(2) + log_sigmoid(-1) + log_sigmoid(-0.5) + log_sigmoid(-3)) / 2
    assert float(discriminator_loss(real, fake)) == pytest.approx(expected)


def test_r1_of_a_known_slope_and_its_own_gradient() -> None:
    # D(x) = a . x^2 / 2 has slope a x; half the mean of |a x|^2 has slope mean of a x^2.
    a = torch.randn(3, 2, 2, requires_grad=True)
    x = torch.randn(5, 3, 2, 2, requires_grad=True)
    penalty = r1_penalty((a * x.square()).sum(dim=(1, 2, 3)) / 2, x)
    with torch.no_grad():
        expected = (a * x).square().sum() / 10
        slope = (a * x.square()).mean(dim=0)
    torch.testing.assert_close(penalty, expected)
    torch.testing.assert_close(torch.autograd.grad(penalty, a)[0], slope)


def test_path_lengths_of_a_linear_generator() -> None:
    # Images A w have J = A whatever w; the length is that of A^T y, halved in square by the
    # mean over two layers of which one does nothing.
    matrix = torch.randn(3 * 4 * 4, 6)
    ws = torch.randn(7, 2, 6, requires_grad=True)
    images = (ws[:, 0] @ matrix.T).view(7, 3, 4, 4)
    torch.manual_seed(1)
    found = path_lengths(images, ws)
    torch.manual_seed(1)
    steps = torch.randn_like(images).flatten(1) / 4
    torch.testing.assert_close(found, ((steps @ matrix).square().sum(1) / 2).sqrt())


def test_the_running_mean_in_closed_form() -> None:
    state = GANState.begin(TINY, TRAINING, 0, torch.device("cpu"))
    start = [value.clone() for value in state.generator.parameters()]
    with torch.no_grad():
        for value in state.generator.parameters():
            value.add_(1)
        state.generator.mapping.w_avg.fill_(7)
    for _ in range(3):
        state.follow(0.5)
    # After k steps towards a constant the mean has gone 1 - 0.5^k of the way.
    for mean, value in zip(state.average.parameters(), start, strict=True):
        torch.testing.assert_close(mean, value + 0.875)
    assert (state.average.mapping.w_avg == 7).all()


def test_the_half_life_of_the_running_mean_grows_to_its_bound() -> None:
    training = StyleGAN2Training(batch_size=10, average_kimg=1.0, average_rampup=0.1)
    assert training.average_decay(0) == 0
    # 0.1 of 5,000 images are 500: half is forgotten in 50 batches.
    assert training.average_decay(500) ** 50 == pytest.approx(0.5)
    assert training.average_decay(10**6) ** 100 == pytest.approx(0.5)


def test_adam_is_corrected_for_lazy_penalties() -> None:
    plain = StyleGAN2Training(r1_gamma=0.0)
    assert plain.discriminator_adam == {"lr": 2e-3, "betas": (0.0, 0.99)}
    lazy = StyleGAN2Training(r1_interval=4, discriminator_rate=0.01).discriminator_adam
    assert lazy["lr"] == pytest.approx(0.008)
    assert lazy["betas"][1] ** (5 / 4) == pytest.approx(0.99)
    assert StyleGAN2Training().generator_adam == plain.generator_adam
    assert StyleGAN2Training(path_weight=2.0).generator_adam["lr"] == pytest.approx(1.6e-3)


@pytest.mark.parametrize("after", [2, 5, 9])
def test_an_interrupted_training_ends_as_the_uninterrupted_one(after: int, tmp_path: Path) -> None:
    whole, measures = trained()
    interrupted(after, tmp_path / "state")
    torch.rand(5)
    resumed, again = trained(state=tmp_path / "state")
    assert resumed.version == whole.version
    assert again == measures
    assert measures["augmentation"] > 0


def test_it_continues_where_it_was_saved_and_may_go_on_for_longer(tmp_path: Path) -> None:
    state = tmp_path / "state"
    interrupted(8, state)
    steps: list[int] = []
    longer = replace(TRAINING, kimg=0.06)
    resumed, _ = trained(longer, state=state, look=lambda seen: steps.append(len(steps)))
    assert len(steps) == longer.steps - 6
    assert resumed.version == trained(longer)[0].version


def test_a_training_depends_on_its_seed_and_leaves_the_global_stream_alone() -> None:
    torch.manual_seed(9)
    before = torch.random.get_rng_state()
    assert trained()[0].version != trained(seed=4)[0].version
    assert torch.equal(torch.random.get_rng_state(), before)


def test_who_watches_changes_nothing() -> None:
    seen: list[Snapshot] = []

    def look(snapshot: Snapshot) -> None:
        torch.rand(3)
        seen.append(snapshot)

    watched, _ = trained(look=look)
    assert watched.version == trained()[0].version
    assert [round(1000 * snapshot.kimg) for snapshot in seen] == list(range(4, 41, 4))
    # Snapshots are copies: the first still is what it was.
    assert seen[-1].generator.version == watched.version != seen[0].generator.version
    assert 0 <= seen[0].measures["real judged real"] <= 1


def played(training: StyleGAN2Training, steps: int) -> GANState:
    fabric = Team().fabric("32-true")
    state = GANState.begin(TINY, training, 0, fabric.device)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        networks = AdversarialSteps(state, training, fabric)
        for _ in range(steps):
            networks.step(torch.from_numpy(IMAGES[:8]))
    return state


def test_penalties_are_lazy_and_can_be_left_out() -> None:
    counts = {name: len(values) for name, values in played(TRAINING, 8).recent.items()}
    assert (counts["generator loss"], counts["R1 penalty"], counts["path length"]) == (8, 3, 4)
    without = played(replace(TRAINING, r1_gamma=0.0, path_weight=0.0), 4).recent
    assert {"R1 penalty", "path length"}.isdisjoint(without)


def test_a_heavy_penalty_flattens_the_discriminator() -> None:
    training = StyleGAN2Training(batch_size=8, r1_interval=1, discriminator_rate=0.01)
    steep, flat = (
        played(replace(training, r1_gamma=gamma), 60).recent["R1 penalty"][-1]
        for gamma in (1e-6, 100.0)
    )
    assert flat < 0.1 * steep


def test_without_noise_its_strength_stays_zero() -> None:
    def strengths(generator: StyleGAN2) -> list[float]:
        state = generator.network.state_dict()
        return [abs(float(state[name])) for name in state if name.endswith("noise_strength")]

    assert max(strengths(trained(replace(TRAINING, noise="none"))[0])) == 0
    assert min(strengths(trained()[0])) > 0


def test_measures_are_means_over_the_last_steps() -> None:
    state = GANState.begin(TINY, TRAINING, 0, torch.device("cpu"))
    for value in range(STEPS_REPORTED + 10):
        state.note({"value": float(value)})
    assert state.means() == {"value": np.mean(range(10, STEPS_REPORTED + 10))}


def test_it_learns_what_the_images_look_like() -> None:
    training = StyleGAN2Training(
        kimg=2.0, batch_size=8, generator_rate=0.01, discriminator_rate=0.01, average_kimg=0.1
    )
    wanted = IMAGES.mean(axis=(0, 2, 3)) / 255
    z = np.random.default_rng(1).standard_normal((100, 4))

    def distance(generator: StyleGAN2) -> float:
        colours = generator.decode(z, "z").mean(dim=(0, 2, 3)).numpy()
        return float(np.abs(colours - wanted).max())

    before = distance(trained(replace(training, kimg=0.001))[0])
    assert distance(trained(training)[0]) < 0.3 * before


@pytest.mark.parametrize("content", [b"", b"junk", "half"], ids=["empty", "junk", "half"])
def test_a_damaged_state_is_refused_with_the_remedy(content: bytes | str, tmp_path: Path) -> None:
    path = tmp_path / "gan.state"
    interrupted(4, path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2] if isinstance(content, str) else content)
    with pytest.raises(CheckpointError, match=r"gan\.state cannot be continued.*Delete the file"):
        trained(state=path)


def test_the_state_of_another_training_is_refused(tmp_path: Path) -> None:
    interrupted(4, tmp_path / "state")
    for other in (replace(TRAINING, r1_gamma=1.0), replace(TRAINING, batch_size=8)):
        with pytest.raises(CheckpointError, match="another seed, network, training or data"):
            trained(other, state=tmp_path / "state")
    with pytest.raises(CheckpointError, match="another seed"):
        trained(seed=4, state=tmp_path / "state")


@pytest.mark.filterwarnings("ignore:Training the StyleGAN2 diverged")
def test_a_training_that_diverges_ends_with_the_remedy() -> None:
    with pytest.raises(TrainingError, match=r"diverged.*at step .*Lower the learning rates"):
        trained(replace(TRAINING, generator_rate=1e30, discriminator_rate=1e30))


def test_images_of_another_shape_and_labels_are_refused() -> None:
    for images in (IMAGES[:, :, :4], IMAGES[:0], IMAGES.astype(np.float32)):
        with pytest.raises(DataError, match=r"\(n, 3, 8, 8\)"):
            train_stylegan2(images, TINY, TRAINING, seed=0)
    with pytest.raises(ConfigError, match="without labels"):
        train_stylegan2(IMAGES, replace(TINY, c_dim=2), TRAINING, seed=0)


@pytest.mark.parametrize(
    "values", [{"kimg": 0.0}, {"batch_size": 0}, {"r1_gamma": -1.0}, {"mixing": 1.5}]
)
def test_impossible_trainings_are_refused(values: dict[str, float]) -> None:
    with pytest.raises(ConfigError):
        StyleGAN2Training(**values)  # type: ignore[arg-type]


def test_the_discriminator_may_have_another_width() -> None:
    training = replace(TRAINING, discriminator_base=16)
    state = GANState.begin(TINY, training, 0, torch.device("cpu"))
    assert state.discriminator.settings.channels(8) == 2
    assert state.generator.settings.channels(8) == 4


def test_augmentation_changes_as_many_images_as_asked_and_lets_gradients_pass() -> None:
    torch.manual_seed(0)
    images = torch.randn(300, 3, 8, 8, requires_grad=True)
    assert augmented(images, 0.0) is images
    changed = augmented(images, 0.1)
    same = torch.isclose(changed, images, atol=1e-4).flatten(1).all(dim=1).float().mean()
    # Angle, zoom, two shifts, contrast, brightness and the hole, each left out with 0.9.
    assert float(same) == pytest.approx(0.9**7, abs=0.09)
    (slope,) = torch.autograd.grad(changed.sum(), images)
    assert (slope.flatten(1).abs().sum(dim=1) > 0).all()


def test_a_hole_covers_up_to_a_quarter_of_the_picture() -> None:
    torch.manual_seed(0)
    covered = (augmented(torch.ones(50, 3, 16, 16), 1.0) == 0).float().mean(dim=(1, 2, 3))
    assert 0.24 < covered.max() < 0.26
    assert covered.min() > 0.05


@pytest.mark.parametrize(
    ("p", "sign", "expected"),
    [(0.5, 0.9, 0.6), (0.5, 0.2, 0.4), (0.95, 0.9, 1.0), (0.05, -1.0, 0.0)],
)
def test_augmentation_follows_the_sign_of_overfitting(
    p: float, sign: float, expected: float
) -> None:
    rule = AdaptiveAugmentation(target=0.6, kimg=1.0)
    assert rule.corrected(p, sign, images=100) == pytest.approx(expected)
