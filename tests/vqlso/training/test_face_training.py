"""Training on the factors of procedural faces: what is learnt, and that it can be repeated."""

from dataclasses import fields

import numpy as np
import torch

from vqlso.data.faces import render, sample_parameters
from vqlso.images import to_unit
from vqlso.training.face_attributes import (
    ATTRIBUTES,
    IDENTITY,
    FactorTraining,
    attribute_levels,
    attribute_quality,
    identity_factors,
    other_pictures,
    recipe,
    train_face_attributes,
    train_face_identity,
)

SHORT = FactorTraining(faces=384, epochs=2, batch_size=32)


def test_levels_fill_the_unit_interval() -> None:
    levels = attribute_levels(sample_parameters(3000, np.random.default_rng(0)))
    assert levels.shape == (3000, len(ATTRIBUTES))
    assert levels.min() >= 0
    assert levels.max() <= 1
    assert (np.ptp(levels, axis=0) > 0.75).all()
    smile, glasses = (levels[:, list(ATTRIBUTES).index(name)] for name in ("smile", "glasses"))
    assert 0.2 < smile.mean() < 0.4  # degrees are skewed
    assert set(glasses) == {0.0, 1.0}


def test_other_pictures_keep_identity_alone() -> None:
    face = sample_parameters(20, np.random.default_rng(0))
    again = other_pictures(face, np.random.default_rng(1))
    np.testing.assert_array_equal(identity_factors(face), identity_factors(again))
    changed = [
        f.name
        for f in fields(face)
        if not np.array_equal(*(getattr(x, f.name) for x in (face, again)))
    ]
    assert sorted([*changed, *IDENTITY]) == sorted(f.name for f in fields(face))


def test_a_short_training_learns_something_and_the_same_again() -> None:
    before = torch.random.get_rng_state()
    first = train_face_attributes(SHORT, seed=3)
    assert torch.equal(torch.random.get_rng_state(), before)
    second = train_face_attributes(SHORT, seed=3)
    images = to_unit(render(sample_parameters(8, np.random.default_rng(9))))
    np.testing.assert_array_equal(first(images), second(images))
    quality = attribute_quality(first, 200)
    assert quality["skin"] > 0.5
    assert quality["background"] > 0.5


def test_the_embedding_learns_standardised_factors() -> None:
    identity = train_face_identity(SHORT, seed=0)
    face = sample_parameters(200, np.random.default_rng(9))
    found = identity.estimates(to_unit(render(face))).numpy()
    assert found.shape == (200, len(IDENTITY))
    skin = IDENTITY.index("skin")
    assert np.corrcoef(found[:, skin], identity_factors(face)[:, skin])[0, 1] > 0.5
    assert np.abs(found.mean(0)).max() < 1


def test_recipes_tell_trainings_apart() -> None:
    known = [recipe("attributes"), recipe("identity"), recipe("attributes", SHORT)]
    assert known[0] == recipe("attributes")
    assert all(a != b for i, a in enumerate(known) for b in known[:i])
