"""What networks trained elsewhere need: matching weights and ImageNet's input statistics."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from vqlso.errors import CheckpointError

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
NAMES_SHOWN = 5
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
    mismatches = _mismatches(network.state_dict(), weights)
    if mismatches:
        raise CheckpointError(
            f"{checkpoint} does not hold the weights of {architecture}: {'; '.join(mismatches)}. "
            "Give the path of a checkpoint of exactly this architecture."
        )
    network.load_state_dict(weights, assign=True)
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


def _mismatches(expected: Mapping[str, Tensor], found: Mapping[str, Any]) -> list[str]:
    missing = [name for name in expected if name not in found]
    unexpected = [name for name in found if name not in expected]
    misshapen = [
        f"{name} is {_shape(found[name])} instead of {_shape(tensor)}"
        for name, tensor in expected.items()
        if name in found and _shape(found[name]) != _shape(tensor)
    ]
    kinds = {"missing": missing, "unexpected": unexpected, "misshapen": misshapen}
    return [f"{kind}: {_first(names)}" for kind, names in kinds.items() if names]


def _shape(value: object) -> str:
    return str(tuple(value.shape)) if isinstance(value, Tensor) else "no tensor"


def _first(names: list[str]) -> str:
    shown = ", ".join(names[:NAMES_SHOWN])
    rest = len(names) - NAMES_SHOWN
    return f"{shown} and {rest} more" if rest > 0 else shown
