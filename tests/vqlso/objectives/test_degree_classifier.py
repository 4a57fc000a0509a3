"""The degree classifier as an objective: scale, independence of batches, files."""

import copy
from pathlib import Path

import numpy as np
import pytest
import torch

from vqlso.contracts import Objective
from vqlso.errors import CheckpointError, ConfigError, DataError
from vqlso.generators.vqvae import VQVAE, VQVAENetwork, VQVAESettings
from vqlso.hardware import autocast
from vqlso.objectives.degree_classifier import DegreeClassifier, ScorerSettings
from vqlso.objectives.scorer_networks import ARCHITECTURES

BOTH = pytest.mark.parametrize("architecture", list(ARCHITECTURES))


def classifier(architecture: str, **settings: float) -> DegreeClassifier:
    """Random weights whose degrees spread, and batch statistics of the images below."""
    torch.manual_seed(0)
    network = ARCHITECTURES[architecture]()
    with torch.no_grad():
        for _ in range(60):
            network.train()(2 * images() - 1)
        network.head.weight.normal_()
    return DegreeClassifier(network, ScorerSettings(architecture, 32, **settings))


def images(n: int = 12) -> torch.Tensor:
    """Of very different colours, so that degrees differ."""
    generator = torch.Generator().manual_seed(1)
    colours = torch.rand(n, 3, 1, 1, generator=generator)
    return colours * torch.rand(n, 3, 32, 32, generator=generator)


@BOTH
def test_is_the_probability_weighted_mean_of_its_levels(architecture: str) -> None:
    scorer = classifier(architecture, temperature=2.0)
    with torch.no_grad(), autocast(torch.device("cpu")):
        logits = scorer.network(2 * images() - 1).double().numpy()
    odds = np.exp(logits / 2.0)
    by_hand = (odds * np.arange(6)).sum(1) / odds.sum(1)
    scores = scorer(images())
    assert isinstance(scorer, Objective)
    assert architecture in scorer.name
    assert scores.dtype == np.float64
    assert np.ptp(by_hand) > 0.1
    np.testing.assert_allclose(scores, by_hand, atol=0.02)


@BOTH
def test_another_scale_is_the_same_degree_stretched(architecture: str) -> None:
    degrees = classifier(architecture)(images())
    stretched = classifier(architecture, lowest=-1.0, highest=1.0)(images())
    np.testing.assert_allclose(stretched, -1 + 2 * degrees / 5)


@BOTH
@pytest.mark.parametrize(("lowest", "highest"), [(0.0, 5.0), (-3.0, 2.0)])
def test_degrees_stay_in_range_even_for_absurd_images(
    architecture: str, lowest: float, highest: float
) -> None:
    scorer = classifier(architecture, lowest=lowest, highest=highest)
    scorer.network.head.bias.copy_(torch.tensor([0.0, 0, 0, 0, 0, 500]))
    scores = scorer(torch.cat([images(), 1000 * images(), torch.zeros(1, 3, 32, 32)]))
    assert scores.min() >= lowest
    assert scores.max() <= highest
    assert scores.max() == pytest.approx(highest)


@BOTH
def test_a_score_does_not_depend_on_the_batch(architecture: str) -> None:
    scorer = classifier(architecture)
    scorer.network.train()  # the constructor ends this
    scorer = DegreeClassifier(scorer.network, scorer.settings, batch_size=5)
    together = scorer(images())
    alone = np.concatenate([scorer(image[None]) for image in images()])
    mates = scorer(torch.cat([images()[:1], torch.zeros(3, 3, 32, 32)]))
    np.testing.assert_allclose(alone, together, atol=0.02)
    assert mates[0] == pytest.approx(together[0], abs=0.02)
    assert np.ptp(together) > 0.1


@BOTH
def test_scoring_changes_nothing_and_repeats(architecture: str) -> None:
    scorer = classifier(architecture)
    before = copy.deepcopy(scorer.network.state_dict())
    np.testing.assert_array_equal(scorer(images()), scorer(images()))
    for name, value in scorer.network.state_dict().items():
        assert torch.equal(value, before[name])


@BOTH
def test_no_images_have_no_scores(architecture: str) -> None:
    assert classifier(architecture)(torch.empty(0, 3, 32, 32)).shape == (0,)


@pytest.mark.parametrize("shape", [(2, 3, 64, 64), (2, 1, 32, 32), (3, 32, 32)])
def test_images_of_another_size_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(DataError, match="trained on images of 3 x 32 x 32"):
        classifier("plain")(torch.zeros(shape))


def test_features_are_those_before_the_head() -> None:
    scorer = classifier("plain")
    features = scorer.features(images())
    assert features.shape == (12, 128)
    assert features.dtype == torch.float32
    by_hand = features @ scorer.network.head.weight.t() + scorer.network.head.bias
    assert torch.allclose(by_hand, scorer.logits(images()), atol=0.1)


@BOTH
def test_save_and_load_round_trip(architecture: str, tmp_path: Path) -> None:
    scorer = classifier(architecture, lowest=-1.5, highest=2.25, temperature=1.7)
    scorer.save(tmp_path / "s.safetensors")
    loaded = DegreeClassifier.load(tmp_path / "s.safetensors")
    assert loaded.settings == scorer.settings
    np.testing.assert_array_equal(loaded(images()), scorer(images()))


def test_another_architecture_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "s.safetensors"
    settings = ScorerSettings("residual", 32)
    DegreeClassifier(classifier("plain").network, settings).save(path)
    with pytest.raises(CheckpointError, match=r"weights of a residual scorer: missing: stem"):
        DegreeClassifier.load(path)
    VQVAE(VQVAENetwork(VQVAESettings(width=8))).save(path)
    with pytest.raises(CheckpointError, match="'vqvae', where 'degree classifier'"):
        DegreeClassifier.load(path)
    with pytest.raises(CheckpointError, match="no checkpoint"):
        DegreeClassifier.load(tmp_path / "absent")


def test_an_unknown_architecture_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigError, match="no scorer 'big'; choose one of residual, plain"):
        ScorerSettings("big", 32)
    path = tmp_path / "s.safetensors"
    with monkeypatch.context() as newer:
        newer.setitem(ARCHITECTURES, "big", ARCHITECTURES["plain"])
        DegreeClassifier(classifier("plain").network, ScorerSettings("big", 32)).save(path)
    with pytest.raises(CheckpointError, match="no scorer 'big'"):
        DegreeClassifier.load(path)
