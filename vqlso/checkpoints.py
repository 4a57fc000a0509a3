"""Weights as safetensors with a JSON header: nothing in a checkpoint can run code."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from vqlso.errors import CheckpointError

NAMES_SHOWN = 3


def save_checkpoint(path: Path, kind: str, settings: Mapping[str, Any], network: nn.Module) -> None:
    """Write the weights and the settings that rebuild the network, atomically.

    Args:
        path: the file, conventionally `*.safetensors`.
        kind: the architecture's name; loading asks for it again.
        settings: JSON values.
        network: whose state is saved.
    """
    state = {
        name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".part")
    save_file(state, temporary, {"kind": kind, "settings": json.dumps(dict(settings))})
    os.replace(temporary, path)


def read_checkpoint(path: Path, kind: str) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The settings and the state of a checkpoint.

    Raises:
        CheckpointError: no such file, not safetensors, or another kind of network.
    """
    if not path.is_file():
        raise CheckpointError(f"There is no checkpoint at {path}.")
    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path} is not a readable safetensors file: {error}.") from error
    if header.get("kind") != kind:
        raise CheckpointError(
            f"{path} holds a network of kind '{header.get('kind', 'unknown')}', "
            f"where '{kind}' is needed."
        )
    return json.loads(header["settings"]), state


def load_state(network: nn.Module, state: Mapping[str, Tensor], source: str) -> None:
    """Load weights strictly: every name and every shape must match.

    Raises:
        CheckpointError: naming the first missing, unexpected and misshapen tensors.
    """
    expected = {name: tensor.shape for name, tensor in network.state_dict().items()}
    faults = {
        "missing": sorted(expected.keys() - state.keys()),
        "unexpected": sorted(state.keys() - expected.keys()),
        "misshapen": [
            f"{name} {tuple(state[name].shape)} instead of {tuple(shape)}"
            for name, shape in expected.items()
            if name in state and state[name].shape != shape
        ],
    }
    if any(faults.values()):
        told = "; ".join(
            f"{len(names)} {fault} ({', '.join(names[:NAMES_SHOWN])}"
            f"{', ...' if len(names) > NAMES_SHOWN else ''})"
            for fault, names in faults.items()
            if names
        )
        raise CheckpointError(
            f"{source} does not fit {type(network).__name__}: {told}. "
            "It was saved from another architecture or with other settings."
        )
    with torch.no_grad():
        network.load_state_dict(dict(state))
