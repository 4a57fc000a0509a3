"""What networks trained elsewhere need: matching weights and ImageNet's input statistics."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from vqlso.checkpoints import load_state
from vqlso.errors import CheckpointError

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
DATA_PARALLEL_PREFIX = "module."


def imagenet_normalised(images: Tensor) -> Tensor:
    """(n, 3, H, W) RGB in [0, 1] -> the same shape with ImageNet's channel mean and deviation.

    The statistics are those of torchvision's ImageNet weights.
    """
    mean = images.new_tensor(IMAGENET_MEAN).view(1, 3, 1, 1)
    std = images.new_tensor(IMAGENET_STD).view(1, 3, 1, 1)
    return (images - mean) / std


def load_weights(network: nn.Module, checkpoint: Path, architecture: str) -> None:
    """Give `network` a .pth file's weights as float32; every name and shape must match.

    Weights nested under `state_dict` and names with the `module.` prefix of data-parallel
    training are accepted. No code of the file is run: `torch.load` reads tensors only.

    Args:
        network: receives the weights; best built under `torch.device("meta")`, which neither
            initialises weights that are replaced here nor draws from the global random stream.
        checkpoint: a local file written by `torch.save`.
        architecture: the network in words, for the error message.

    Raises:
        CheckpointError: the file is missing, damaged, contains more than tensors and plain
            values, or belongs to another architecture.
    """
    weights = _without_prefix(_state_dict(_read(checkpoint), checkpoint, architecture))
    load_state(network, weights, str(checkpoint), architecture, assign=True)
    network.float()


def _read(checkpoint: Path) -> object:
    if not checkpoint.is_file():
        raise CheckpointError(f"No weights file at {checkpoint}. Give the path of a .pth file.")
    try:
        return torch.load(checkpoint, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged or hostile pickle can raise nearly anything
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise CheckpointError(
            f"{checkpoint} cannot be read as plain weights ({reason}). It is damaged, not a "
            "PyTorch file, or contains objects whose loading would run code, which is refused. "
            "Give a file that holds a state dict of tensors only."
        ) from error


def _state_dict(content: object, checkpoint: Path, architecture: str) -> Mapping[str, Any]:
    if isinstance(content, Mapping) and "state_dict" in content:
        content = content["state_dict"]
    if not isinstance(content, Mapping) or not content:
        raise CheckpointError(
            f"{checkpoint} holds no state dict (names and tensors), so it cannot be the weights "
            f"of {architecture}."
        )
    return {str(name): value for name, value in content.items()}


def _without_prefix(weights: Mapping[str, Any]) -> Mapping[str, Any]:
    if all(name.startswith(DATA_PARALLEL_PREFIX) for name in weights):
        return {name.removeprefix(DATA_PARALLEL_PREFIX): v for name, v in weights.items()}
    return weights
