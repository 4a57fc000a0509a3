"""Sentences as scores, by stand-ins for image-text models: nothing here has seen a text."""

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from vqlso.contracts import DifferentiableObjective, Objective
from vqlso.errors import CheckpointError, ConfigError, ObjectiveError
from vqlso.objectives.text_score import IMAGE_ENCODER, TEXTS, text_score

IMAGES = torch.rand(4, 3, 4, 4, generator=torch.Generator().manual_seed(1))


class Redness(nn.Module):
    """Stands in for an image-text model: "red" is liked red, anything else is liked dark."""

    def forward(self, images: Tensor, text: str) -> Tensor:
        if text == "red":
            return images[:, 0].mean(dim=(1, 2))
        return -images.mean(dim=(1, 2, 3))


class MeanColour(nn.Module):
    """Stands in for an image encoder."""

    def forward(self, images: Tensor) -> Tensor:
        return images.mean(dim=(2, 3))


class WholeBatch(nn.Module):
    def forward(self, images: Tensor, text: str) -> Tensor:
        return images.sum()


def scripted(model: nn.Module, path: Path) -> Path:
    with pytest.warns(DeprecationWarning, match="jit"):
        torch.jit.script(model).save(str(path))
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    scripted(MeanColour(), tmp_path / IMAGE_ENCODER)
    texts = {"red": torch.tensor([2.0, 0.0, 0.0]), "yellow": torch.tensor([1.0, 1.0, 0.0])}
    save_file(texts, tmp_path / TEXTS)
    return tmp_path


def test_a_function_is_given_the_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "wishes.py").write_text(
        "def length(images, text):\n    return images.mean((1, 2, 3)) + len(text)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    score = text_score("smile", "wishes:length")
    assert isinstance(score, Objective)
    assert not isinstance(score, DifferentiableObjective)
    assert score.name == "'smile' by wishes:length"
    np.testing.assert_allclose(score(IMAGES), 5 + IMAGES.mean((1, 2, 3)), rtol=1e-6)


def test_a_script_is_given_the_text_and_has_gradients(tmp_path: Path) -> None:
    path = scripted(Redness(), tmp_path / "model.pt")
    red, other = text_score("red", str(path)), text_score("a face", str(path))
    assert isinstance(red, DifferentiableObjective)
    np.testing.assert_allclose(red(IMAGES), IMAGES[:, 0].mean((1, 2)), rtol=1e-6)
    np.testing.assert_allclose(other(IMAGES), -IMAGES.mean((1, 2, 3)), rtol=1e-6)
    images = IMAGES.clone().requires_grad_()
    red.value(images).sum().backward()
    assert images.grad is not None
    assert images.grad[:, 0].unique().tolist() == pytest.approx([1 / 16])
    assert not images.grad[:, 1:].any()


def test_a_folder_tells_the_cosine_of_embeddings(folder: Path) -> None:
    colours = IMAGES.mean((2, 3)).double().numpy()
    wish = np.array([1.0, 1.0, 0.0]) / np.sqrt(2)
    expected = colours @ wish / np.linalg.norm(colours, axis=1)
    score = text_score("yellow", str(folder))
    assert isinstance(score, DifferentiableObjective)
    np.testing.assert_allclose(score(IMAGES), expected, rtol=1e-5)


def test_unknown_texts_and_missing_files_are_named(folder: Path) -> None:
    with pytest.raises(CheckpointError, match=r"'blue'.*red, yellow"):
        text_score("blue", str(folder))
    save_file({"red": torch.ones(7)}, folder / TEXTS)
    with pytest.raises(CheckpointError, match="length 3, the text of 7"):
        text_score("red", str(folder))(IMAGES)
    (folder / TEXTS).write_bytes(b"no tensors")
    with pytest.raises(CheckpointError, match="no safetensors"):
        text_score("red", str(folder))
    (folder / TEXTS).unlink()
    with pytest.raises(CheckpointError, match=TEXTS):
        text_score("red", str(folder))


class Trap:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (Path.touch, (Path("sprung"),))  # type: ignore[return-value]


def test_pickles_are_not_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    plain, saved = tmp_path / "plain.pt", tmp_path / "saved.pt"
    plain.write_bytes(pickle.dumps(Trap()))
    torch.save({"model": Trap()}, saved)
    for path in (plain, saved):
        with pytest.raises(CheckpointError, match=r"no TorchScript.*pickled code"):
            text_score("red", str(path))
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize(
    ("text", "model", "said"),
    [
        (" ", "wishes:length", "needs a text"),
        ("red", "no/such/model", "no image-text model"),
        ("red", "no_such_module:f", "no_such_module"),
    ],
)
def test_what_is_not_there_is_named(text: str, model: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        text_score(text, model)


def test_one_number_for_each_image_is_needed(tmp_path: Path) -> None:
    path = scripted(WholeBatch(), tmp_path / "sum.pt")
    with pytest.raises(ObjectiveError, match="4 images"):
        text_score("red", str(path))(IMAGES)
