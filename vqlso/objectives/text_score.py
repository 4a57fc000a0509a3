"""A sentence as the score: how well images fit it, by any image-text model that is given.

"An early way of generating images from text-prompts was optimizing the input embeddings for an
image generator like StyleGAN using CLIP as a loss function" (the discussion on score maximisation,
first answer). No such model is packaged; three forms of one are taken, and none unpickles Python
objects.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional as F

from vqlso.contracts import Objective
from vqlso.errors import CheckpointError, ConfigError, ObjectiveError
from vqlso.objectives.python_callable import PythonObjective

IMAGE_ENCODER = "image_encoder.pt"
TEXTS = "texts.safetensors"


def text_score(text: str, model: str) -> Objective:
    """The score of images under a text.

    Args:
        text: the wish.
        model: "module:function", a function of (images (n, 3, H, W) float32 in [0, 1], text) that
            returns n numbers; the path of a TorchScript file whose `forward` takes and returns
            the same as tensors; or a folder with `image_encoder.pt`, a TorchScript file from
            images to embeddings (n, d), and `texts.safetensors`, the embedding (d,) of each
            text by the text itself: the score is then their cosine. Gradients flow through
            files and folders. A TorchScript file is a program, although it cannot run Python:
            load only what you trust.

    Raises:
        ConfigError: there is no text, nothing at the path, or the function cannot be imported.
        CheckpointError: a file is no TorchScript, or does not know the text.
    """
    if not text.strip():
        raise ConfigError("A text score needs a text: give ascent.text='a smiling face'.")
    path = Path(model).expanduser()
    if path.is_dir():
        return _of_folder(text, path)
    if path.is_file():
        return ScriptedScore(text, _scripted(path), path.name)
    module, colon, _ = model.partition(":")
    if colon and module.replace(".", "").isidentifier():
        return CalledScore(text, model)
    raise ConfigError(
        f"There is no image-text model at '{model}': give the path of a TorchScript file, of a "
        f"folder with {IMAGE_ENCODER} and {TEXTS}, or module:function."
    )


class CalledScore(PythonObjective):
    """A Python function of images and text.

    Args:
        text: the wish.
        target: "module:function".

    Raises:
        ConfigError: it cannot be imported or called.
    """

    def __init__(self, text: str, target: str) -> None:
        super().__init__(target)
        self._text, called = text, self._function
        self._function = lambda images: called(images, text)  # type: ignore[call-arg]

    @property
    def name(self) -> str:
        """The text, and whose judgement it is."""
        return f"'{self._text}' by {super().name}"


class ScriptedScore:
    """An image-text model as one function of tensors.

    Args:
        text: the wish.
        model: (n, 3, H, W) in [0, 1] and the text -> (n,) or (n, 1), differentiable.
        origin: its name, for tables.
    """

    def __init__(self, text: str, model: Callable[[Tensor, str], Tensor], origin: str) -> None:
        self._text, self._model, self._origin = text, model, origin

    @property
    def name(self) -> str:
        """The text, and whose judgement it is."""
        return f"'{self._text}' by {self._origin}"

    def __call__(self, images: Tensor) -> NDArray[np.float64]:
        """(n, 3, H, W) float in [0, 1] -> (n,) float64."""
        with torch.no_grad():
            return np.asarray(self.value(images).double().cpu().numpy())

    def value(self, images: Tensor) -> Tensor:
        """(n, 3, H, W) float in [0, 1] -> (n,), differentiable.

        Raises:
            ObjectiveError: the model returned something other than a number for each image.
        """
        scores = self._model(images, self._text)
        if scores.numel() != len(images):
            raise ObjectiveError(
                f"{self._origin} returned shape {tuple(scores.shape)} for {len(images)} images: "
                "an image-text model gives one number for each."
            )
        return scores.reshape(-1)


def _of_folder(text: str, folder: Path) -> ScriptedScore:
    """Cosine of the image's and the text's embedding (Radford et al. 2021, "CLIP")."""
    for name in (IMAGE_ENCODER, TEXTS):
        if not (folder / name).is_file():
            raise CheckpointError(
                f"{folder} has no {name}: an image-text model is a folder with {IMAGE_ENCODER} "
                f"and {TEXTS} (docs/score-ascent.md shows how to write them)."
            )
    try:
        known = load_file(folder / TEXTS)
    except SafetensorError as error:
        raise CheckpointError(f"{folder / TEXTS} is no safetensors file ({error}).") from error
    if text not in known:
        raise CheckpointError(
            f"{folder / TEXTS} has no embedding of '{text}', but of: {', '.join(sorted(known))}. "
            "Choose one of them, or add the embedding."
        )
    wish, encoder = (
        F.normalize(known[text].float().flatten(), dim=0),
        _scripted(folder / IMAGE_ENCODER),
    )

    def cosine(images: Tensor, text: str) -> Tensor:  # noqa: ARG001
        embeddings = F.normalize(encoder(images).float().flatten(1), dim=1)
        if embeddings.shape[1] != len(wish):
            raise CheckpointError(
                f"{folder}: images have embeddings of length {embeddings.shape[1]}, the text of "
                f"{len(wish)}. Take both from one model."
            )
        return embeddings @ wish

    return ScriptedScore(text, cosine, folder.name)


def _scripted(path: Path) -> Any:
    """A TorchScript module, in evaluation mode."""
    try:
        with warnings.catch_warnings():
            # torch.export's files, which are to replace these, cannot take a text.
            warnings.simplefilter("ignore", DeprecationWarning)
            model = torch.jit.load(str(path), map_location="cpu")  # type: ignore[no-untyped-call]
    except RuntimeError as error:
        reason = (str(error).splitlines() or [""])[0]
        raise CheckpointError(
            f"{path} is no TorchScript file ({reason}). Other formats may hold pickled code and "
            "are not opened: write it by torch.jit.script(model).save(...)."
        ) from error
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    return model.eval()
