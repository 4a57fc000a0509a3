"""Training a VAE under a growing beta, and fine-tuning copies that leave the original whole."""

import copy
import itertools
import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from processes import ended, needs_gloo, started
from torch.distributions import Normal, kl_divergence

from vqlso.data.faces import procedural_faces
from vqlso.errors import ConfigError, DataError
from vqlso.generators.vae import VAE, VAENetwork, VAESettings
from vqlso.images import to_unit
from vqlso.portions import BatchNorm2d
from vqlso.progress import Advance
from vqlso.training.fitting import Checkpointing, Loss, Optimisation, ScheduledLoss, fit
from vqlso.training.vae import (
    BetaSchedule,
    VAELoss,
    VAETraining,
    finetune_vae,
    reconstruction_error,
    train_vae,
    vae_loss,
)
from vqlso.training.weighting import epochs

WORKER = Path(__file__).with_name("vae_worker.py")
FACES = procedural_faces(193, seed=0, size=32).images
SMALL = VAESettings(image_size=32, width=8, dimension=8)
SHORT = VAETraining(epochs=16, batch_size=32, optimisation=Optimisation(3e-3))


@pytest.fixture(scope="module")
def trained() -> VAE:
    return train_vae(FACES, SMALL, SHORT, seed=0)[0]


def test_defaults_are_the_papers_table_7() -> None:
    training = VAETraining()
    assert (training.epochs, training.batch_size) == (30, 64)
    assert training.optimisation == Optimisation(1e-4, "none", weight_decay=0.0)
    assert training.beta == BetaSchedule(1e-6, 5000, 1.1, 50, 0.21471)


@pytest.mark.parametrize(
    ("step", "beta"),
    [
        (0, 1e-6),
        (4999, 1e-6),
        (5049, 1e-6),
        (5050, 1.1e-6),
        (5099, 1.1e-6),
        (5100, 1.21e-6),
        (6000, 1e-6 * 1.1**20),
        (11_400, 1e-6 * 1.1**128),  # 0.199
        (11_449, 1e-6 * 1.1**128),
        (11_450, 0.21471),  # 1.1 to the power 129 would be more
        (10_000_000, 0.21471),
    ],
)
def test_beta_is_held_and_then_grows(step: int, beta: float) -> None:
    assert BetaSchedule().beta(step) == pytest.approx(beta, rel=1e-12)


def test_beta_never_falls_and_ends_where_it_says() -> None:
    schedule = BetaSchedule(start=0.01, hold=7, factor=1.5, every=3, most=0.4)
    betas = [schedule.beta(step) for step in range(60)]
    assert all(a <= b for a, b in itertools.pairwise(betas))
    assert betas.index(0.4) == schedule.steps == 7 + 10 * 3
    constant = BetaSchedule(start=0.3, hold=0, most=0.3)
    assert [constant.beta(step) for step in (0, 1, 99)] == [0.3] * 3


def test_a_short_training_gets_the_same_growth_in_half_of_its_steps() -> None:
    paper = BetaSchedule()
    assert paper.within(22_900) == paper
    for steps in (1, 7, 480, 22_899):
        short = paper.within(steps)
        assert short.steps == pytest.approx(steps / 2)
        assert short.beta(0) == paper.start
        assert short.beta(steps) == paper.most
    # Every tenth of the paper's steps: the middles of its holds, away from rounding.
    short = paper.within(2290)
    for step in range(2, 1200, 5):
        assert short.beta(step) == pytest.approx(paper.beta(10 * step))
    assert paper.within(0) == paper.within(1)


@pytest.mark.parametrize(
    "fault",
    [{"start": 0.0}, {"start": 1.0}, {"factor": 1.0}, {"hold": -1}, {"every": 0}],
)
def test_a_schedule_that_does_not_grow_is_refused(fault: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="Beta grows from a start above 0"):
        BetaSchedule(**fault)


def test_the_loss_is_the_squared_error_of_an_image_plus_beta_times_kl() -> None:
    torch.manual_seed(0)
    network = VAENetwork(SMALL).eval()
    unit = to_unit(FACES[:4])
    value, measures = vae_loss(network, 2 * unit - 1, np.arange(4), beta=0.7)
    generator = VAE(network)
    with torch.no_grad():
        q = network.posterior(2 * unit - 1)
        squared = (generator.decode(q.mean.numpy()) - unit).square().sum((1, 2, 3)).mean().item()
        nats = kl_divergence(Normal(q.mean, q.log_scale.exp()), Normal(0, 1)).sum(1).mean().item()
    assert value.item() == pytest.approx(squared + 0.7 * nats, rel=1e-5)
    assert measures["divergence"].item() == pytest.approx(nats, rel=1e-4)
    by_pixel = reconstruction_error(generator, FACES[:4])
    assert measures["reconstruction"].item() == pytest.approx(by_pixel, rel=1e-4)


def test_each_step_has_its_own_beta() -> None:
    torch.manual_seed(0)
    network = VAENetwork(SMALL).eval()
    pixels = 2 * to_unit(FACES[:4]) - 1
    loss = VAELoss(BetaSchedule())
    assert isinstance(loss, ScheduledLoss)
    for step in (0, 5050, 20_000):
        beta = BetaSchedule().beta(step)
        expected = vae_loss(network, pixels, np.arange(4), beta=beta)[0]
        # Other processes are sent it.
        assert pickle.loads(pickle.dumps(loss)).at(step)(network, pixels, np.arange(4))[0] == (
            expected
        )


def test_a_fit_asks_for_the_loss_of_every_step_in_order() -> None:
    class Asked:
        def __init__(self) -> None:
            self.steps: list[int] = []

        def at(self, step: int) -> Loss:
            self.steps.append(step)
            return partial(vae_loss, beta=0.1)

    asked = Asked()
    fit(VAENetwork(SMALL), asked, lambda rows: FACES[rows], [np.arange(4)] * 5, seed=0)
    assert asked.steps == [0, 1, 2, 3, 4]


def test_training_reconstructs_better_than_the_mean_image(trained: VAE) -> None:
    held_out = procedural_faces(100, seed=1, size=32).images
    mean = FACES.mean(0) / 127.5 - 1
    by_mean = np.square(held_out / 127.5 - 1 - mean).mean()
    assert reconstruction_error(trained, held_out) < 0.8 * by_mean


def test_the_kl_term_draws_latents_towards_the_prior() -> None:
    def divergence(beta: float) -> float:
        constant = BetaSchedule(start=beta, hold=0, most=beta)
        training = VAETraining(8, 32, Optimisation(3e-3), constant)
        return train_vae(FACES, SMALL, training, seed=0)[1].measures["divergence"]

    assert divergence(30.0) < 0.5 * divergence(0.01)


def test_error_equals_its_definition_whatever_the_chunk(trained: VAE) -> None:
    images = to_unit(FACES[:50])
    error = (2 * (trained.decode(trained.encode(images)) - images)).square().mean().item()
    for chunk in (7, 50, 2048):
        assert reconstruction_error(trained, FACES[:50], chunk) == pytest.approx(error, rel=1e-4)


class InterruptError(Exception):
    """Stands for a kill."""


class Fragile:
    """Raises once the training has come to its fiftieth step."""

    @contextmanager
    def task(self, description: str, total: int) -> Iterator[Advance]:
        # 193 images in batches of 32: the last one of each epoch joins the batch before it.
        assert total == 16 * 6
        done = 0

        def advance(steps: int) -> None:
            nonlocal done
            done += steps
            if done == 50:
                raise InterruptError

        yield advance


def test_training_repeats_bitwise_and_can_be_interrupted(trained: VAE, tmp_path: Path) -> None:
    """Half of the steps are done, after which beta is at its most: it too must continue."""
    checkpointing = Checkpointing(tmp_path / "vae.state", every=8)
    with pytest.raises(InterruptError):
        train_vae(FACES, SMALL, SHORT, seed=0, checkpointing=checkpointing, progress=Fragile())
    resumed, report = train_vae(FACES, SMALL, SHORT, seed=0, checkpointing=checkpointing)
    assert resumed.version == trained.version
    assert report.rows == 16 * 193


def test_a_trained_vae_computes_as_a_loaded_one(trained: VAE, tmp_path: Path) -> None:
    trained.save(tmp_path / "vae.safetensors")
    loaded = VAE.load(tmp_path / "vae.safetensors")
    z = trained.encode(to_unit(FACES))
    np.testing.assert_array_equal(loaded.encode(to_unit(FACES)), z)
    torch.testing.assert_close(loaded.decode(z), trained.decode(z), atol=1e-5, rtol=0)


def test_seeds_differ_from_the_first_weight_on() -> None:
    none = VAETraining(epochs=0)
    versions = {train_vae(FACES, SMALL, none, seed=seed)[0].version for seed in (0, 1, 0)}
    assert len(versions) == 2


def test_a_single_image_a_step_is_refused() -> None:
    for images, training in ((FACES[:1], SHORT), (FACES, VAETraining(1, batch_size=1))):
        with pytest.raises(DataError, match="cannot learn from a single image"):
            train_vae(images, SMALL, training, seed=0)


def finetuned(generator: VAE, beta: float = BetaSchedule.most) -> VAE:
    batches = epochs(len(FACES), 1, 32, np.random.default_rng(0))
    return finetune_vae(generator, lambda rows: FACES[rows], batches, seed=0, beta=beta)[0]


def test_fine_tuning_leaves_the_given_generator_whole(trained: VAE) -> None:
    state = copy.deepcopy(trained.network.state_dict())
    z = trained.encode(to_unit(FACES))
    new = finetuned(trained)
    assert VAE(trained.network).version == trained.version != new.version
    np.testing.assert_array_equal(trained.encode(to_unit(FACES)), z)
    assert not any(module.training for module in trained.network.modules())
    assert not any(p.requires_grad for p in trained.network.parameters())
    for name, value in trained.network.state_dict().items():
        assert torch.equal(value, state[name])
    # Nothing is shared: what happens to the new one cannot reach the old.
    old = {value.data_ptr() for value in trained.network.state_dict().values()}
    assert old.isdisjoint(value.data_ptr() for value in new.network.state_dict().values())


def test_fine_tuning_repeats_and_its_beta_is_the_trainings_last(trained: VAE) -> None:
    assert finetuned(trained).version == finetuned(trained, 0.21471).version
    assert finetuned(trained).version != finetuned(trained, 1e-6).version


def test_fine_tuning_improves_on_what_it_is_shown(trained: VAE) -> None:
    few = FACES[:16]
    new, report = finetune_vae(
        trained,
        lambda rows: few[rows],
        [np.arange(16)] * 60,
        seed=0,
        optimisation=Optimisation(1e-3),
    )
    assert reconstruction_error(new, few) < 0.9 * reconstruction_error(trained, few)
    assert report.rows == 16 * 60


def test_fine_tuning_on_one_face_again_and_again_keeps_the_statistics(trained: VAE) -> None:
    """A step size of next to nothing leaves the generator as it was, whatever it is shown."""
    again = np.zeros(32, np.int64)
    idle = Optimisation(1e-12)
    for batch in (again, again[:1]):
        new, _ = finetune_vae(
            trained, lambda rows: FACES[rows], [batch] * 30, seed=0, optimisation=idle
        )
        z = trained.encode(to_unit(FACES))
        np.testing.assert_allclose(new.encode(to_unit(FACES)), z, atol=1e-4)
        torch.testing.assert_close(new.decode(z), trained.decode(z), atol=1e-4, rtol=0)
    # Of the copy only: trained further by other means it would observe its batches again.
    layers = [each for each in new.network.train().modules() if isinstance(each, BatchNorm2d)]
    assert layers
    assert all(layer.training for layer in layers)


def test_neither_training_touches_the_global_random_stream(trained: VAE) -> None:
    before = torch.random.get_rng_state()
    train_vae(FACES, SMALL, VAETraining(epochs=1), seed=0)
    finetuned(trained)
    assert torch.equal(torch.random.get_rng_state(), before)


@needs_gloo
def test_portions_of_a_batch_give_its_gradients() -> None:
    for process in ended(started(WORKER, processes=3)):
        assert process.code == 0, process.output
