"""Fine-tuning a generator on a score: against steps by hand, and what holds it back."""

import numpy as np
import pytest
import torch
from tuned_images import Brightness, LinearNetworkImages

from vqlso.contracts import Generator
from vqlso.errors import ConfigError, LatentSpaceError, TrainingError
from vqlso.training.generator_ascent import AscentTraining, TunedGenerators

FREE = AscentTraining(batch_size=4, learning_rate=0.01, anchor=0.0)


def tuned(training: AscentTraining = FREE, seed: int = 0) -> TunedGenerators:
    return TunedGenerators(LinearNetworkImages(), Brightness(), training, seed=seed)


def test_it_is_a_generator_whose_latents_tell_the_step() -> None:
    generators = tuned()
    assert isinstance(generators, Generator)
    z = generators.latents(3)
    assert z.shape == (4, 5)
    assert set(z[:, 0]) == {3.0}
    first = generators.space.sample(6, np.random.default_rng(0))
    assert not first[:, 0].any()
    original = LinearNetworkImages()
    np.testing.assert_array_equal(
        generators.decode(first, generators.space.name), original.decode(first[:, 1:])
    )
    with pytest.raises(LatentSpaceError, match="5"):
        generators.decode(first[:, 1:], generators.space.name)


def test_its_steps_are_adam_on_minus_the_score() -> None:
    generators, by_hand = tuned(), LinearNetworkImages()
    weight, bias = (torch.nn.Parameter(each.clone()) for each in by_hand.network.parameters())
    optimiser = torch.optim.Adam([weight, bias], lr=FREE.learning_rate)
    for step in range(3):
        z = torch.from_numpy(generators.latents(step)[:, 1:]).float()
        optimiser.zero_grad()
        (-(0.5 + z @ weight.T + bias).mean()).backward()
        optimiser.step()
    network = generators.at(3).network
    np.testing.assert_allclose(network.weight.detach(), weight.detach(), atol=1e-6)
    np.testing.assert_allclose(network.bias.detach(), bias.detach(), atol=1e-6)


def test_the_original_stays_whole_and_versions_differ() -> None:
    generators = tuned()
    before = generators.original.version
    assert generators.at(2).version != before
    assert generators.original.version == generators.version == before


def test_an_older_step_is_computed_again() -> None:
    straight, back = tuned(), tuned()
    back.at(5)
    z = np.concatenate([straight.latents(2), straight.latents(1)])
    name = straight.space.name
    np.testing.assert_array_equal(straight.decode(z, name), back.decode(z, name))
    assert straight.at(1).version == back.at(1).version


@pytest.mark.parametrize("steps", [40])
def test_the_score_rises_and_the_anchor_holds_it_back(steps: int) -> None:
    z = np.random.default_rng(1).standard_normal((50, 4))
    moved = {}
    for anchor in (0.0, 1.0, 100.0):
        generators = tuned(AscentTraining(8, 0.01, anchor))
        change = generators.at(steps).decode(z, "z") - generators.original.decode(z)
        moved[anchor] = float(change.mean())
    assert moved[0.0] > 0.25
    # The best offset in closed form: d / dc (c - anchor * c^2) = 0.
    assert moved[100.0] == pytest.approx(1 / 200, abs=0.01)
    assert moved[100.0] < moved[0.0]


def test_what_cannot_be_trained_is_refused() -> None:
    with pytest.raises(ConfigError, match="anchor"):
        AscentTraining(anchor=-1.0)

    class Bottomless(Brightness):
        def value(self, images: torch.Tensor) -> torch.Tensor:
            return images.flatten(1).mean(1) * torch.nan

    with pytest.raises(TrainingError, match="diverged"):
        TunedGenerators(LinearNetworkImages(), Bottomless()).at(1)
