"""Attributes and identity of procedural faces: the packaged networks against the truth."""

import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

import vqlso
from vqlso.contracts import DifferentiableObjective, Objective
from vqlso.data.faces import FaceParameters, render, sample_parameters
from vqlso.errors import CheckpointError, ConfigError, DataError, MissingExtraError
from vqlso.images import to_unit
from vqlso.objectives.face_attributes import FaceAttributes
from vqlso.objectives.face_identity import FacenetIdentity, ProceduralIdentity
from vqlso.training.face_attributes import (
    ATTRIBUTES,
    attribute_quality,
    identity_quality,
    other_pictures,
)

WEIGHTS = Path(vqlso.__file__).parent / "weights"


@pytest.fixture(scope="module")
def attributes() -> FaceAttributes:
    (path,) = WEIGHTS.glob("face-attributes-*.safetensors")
    return FaceAttributes.load(path)


@pytest.fixture(scope="module")
def identity() -> ProceduralIdentity:
    (path,) = WEIGHTS.glob("face-identity-*.safetensors")
    return ProceduralIdentity.load(path)


def people(n: int = 60, seed: int = 5) -> FaceParameters:
    return sample_parameters(n, np.random.default_rng(seed))


def pictures(face: FaceParameters) -> torch.Tensor:
    return to_unit(render(face))


def test_the_packaged_attributes_are_read_well(attributes: FaceAttributes) -> None:
    quality = attribute_quality(attributes, 400, seed=11)
    assert list(quality) == list(ATTRIBUTES) == list(attributes.names)
    assert min(quality.values()) > 0.85
    assert quality["smile"] > 0.97


def test_one_factor_moves_one_attribute(attributes: FaceAttributes) -> None:
    face = replace(people(), degree=np.full(60, 0.5))
    smiling = replace(face, degree=np.full(60, 4.5))
    change = (attributes(pictures(smiling)) - attributes(pictures(face))).mean(0)
    smile = attributes.index("smile")
    assert change[smile] == pytest.approx(0.8, abs=0.1)
    assert np.abs(np.delete(change, smile)).max() < 0.15


def test_an_attribute_is_a_differentiable_objective(attributes: FaceAttributes) -> None:
    smile = attributes.attribute("smile")
    assert isinstance(smile, Objective)
    assert isinstance(smile, DifferentiableObjective)
    assert smile.name == "smile"
    images = pictures(people(5)).requires_grad_()
    value = smile.value(images)
    np.testing.assert_allclose(value.detach(), smile(images.detach()), atol=1e-6)
    value[1].backward()
    assert images.grad is not None
    assert images.grad[1].abs().sum() > 0
    assert images.grad[[0, 2, 3, 4]].abs().sum() == 0


def test_images_are_read_one_by_one(attributes: FaceAttributes) -> None:
    images = pictures(people(7))
    whole = attributes(images)
    assert whole.dtype == np.float64
    parts = FaceAttributes(attributes.network, attributes.names, 64, batch_size=3)(images)
    np.testing.assert_allclose(parts, whole, atol=1e-6)


def test_files_keep_what_is_read(attributes: FaceAttributes, tmp_path: Path) -> None:
    attributes.save(tmp_path / "again.safetensors")
    again = FaceAttributes.load(tmp_path / "again.safetensors")
    images = pictures(people(4))
    np.testing.assert_array_equal(again(images), attributes(images))
    with pytest.raises(CheckpointError, match="face identity"):
        ProceduralIdentity.load(tmp_path / "again.safetensors")


def test_wrong_names_and_sizes_are_refused(
    attributes: FaceAttributes, identity: ProceduralIdentity
) -> None:
    with pytest.raises(ConfigError, match=r"'beauty'.*smile"):
        attributes.attribute("beauty")
    for network in (attributes, identity):
        with pytest.raises(DataError, match="3 x 64 x 64"):
            network(torch.zeros(1, 3, 32, 32))


def test_the_packaged_embedding_knows_people_again(identity: ProceduralIdentity) -> None:
    quality = identity_quality(identity, 300, seed=11)
    assert quality["right_order"] > 0.99
    assert quality["same_person"] > 0.85
    assert abs(quality["two_people"]) < 0.1


def test_what_is_put_on_does_not_change_who_it_is(identity: ProceduralIdentity) -> None:
    face = people()
    embedded = identity(pictures(face))
    np.testing.assert_allclose(embedded.norm(dim=1), 1, atol=1e-5)
    smiling = replace(face, degree=np.full(60, 5.0))
    spectacled = replace(face, glasses=np.ones(60))
    for changed in (smiling, spectacled, other_pictures(face, np.random.default_rng(2))):
        assert (embedded * identity(pictures(changed))).sum(1).mean() > 0.85
    wider = replace(face, face_width=face.face_width[::-1].copy(), skin=face.skin[::-1].copy())
    assert (embedded * identity(pictures(wider))).sum(1).mean() < 0.9


def test_files_keep_the_embedding(identity: ProceduralIdentity, tmp_path: Path) -> None:
    identity.save(tmp_path / "again.safetensors")
    images = pictures(people(4))
    again = ProceduralIdentity.load(tmp_path / "again.safetensors")
    np.testing.assert_array_equal(again(images), identity(images))


class TinyFacenet(nn.Module):
    """Stands in for facenet-pytorch's network: what it is given, and its form."""

    def __init__(self, classify: bool, num_classes: int) -> None:
        super().__init__()
        self.classify = classify
        self.last_linear = nn.Linear(3, 4, bias=False)
        self.logits = nn.Linear(4, num_classes)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        assert pixels.shape[2:] == (160, 160)
        embedded = self.last_linear(pixels.mean((2, 3)))
        return self.logits(embedded) if self.classify else embedded


def test_facenet_sees_faces_as_it_was_trained_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(
        sys.modules, "facenet_pytorch", SimpleNamespace(InceptionResnetV1=TinyFacenet)
    )
    torch.manual_seed(0)
    network = TinyFacenet(True, 8631)
    torch.save(network.state_dict(), tmp_path / "faces.pt")
    images = torch.zeros(3, 3, 20, 20)
    images[:, :, 5:15, 5:15] = torch.rand(3, 3, 1, 1)  # the face fills a half of the sides
    embedded = FacenetIdentity(tmp_path / "faces.pt", share=0.5, batch_size=2)(images)
    seen = (images[:, :, 10, 10] * 255 - 127.5) / 128
    wanted = nn.functional.normalize(seen @ network.last_linear.weight.T, dim=1)
    np.testing.assert_allclose(embedded, wanted.detach(), atol=1e-5)
    with pytest.raises(CheckpointError, match="No weights file"):
        FacenetIdentity(tmp_path / "none.pt")
    with pytest.raises(ConfigError, match="share"):
        FacenetIdentity(tmp_path / "faces.pt", share=0.0)


def test_facenet_says_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "facenet_pytorch", None)
    with pytest.raises(MissingExtraError, match="detector"):
        FacenetIdentity(tmp_path / "faces.pt")
