"""Weights as safetensors with a JSON header: nothing in a checkpoint can run code."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from vqlso.errors import CheckpointError, VqlsoError
from vqlso.files import write_whole

NAMES_SHOWN = 5

Settings = TypeVar("Settings")


def save_checkpoint(
    path: Path,
    kind: str,
    settings: Mapping[str, Any],
    network: nn.Module,
    *,
    half: bool = False,
) -> None:
    """Write the weights and the settings that rebuild the network, atomically.

    Args:
        path: the file, conventionally `*.safetensors`.
        kind: the architecture's name; loading asks for it again.
        settings: JSON values.
        network: whose state is saved.
        half: keep floating-point numbers as float16, at half the size.
    """
    state = {
        name: (tensor.half() if half and tensor.is_floating_point() else tensor)
        for name, tensor in network.state_dict().items()
    }
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}
    header = {"kind": kind, "settings": json.dumps(dict(settings))}
    write_whole(path, save(state, header))


def read_checkpoint(
    path: Path, kind: str, settings: Callable[[dict[str, Any]], Settings]
) -> tuple[Settings, dict[str, Tensor]]:
    """The settings and the state of a checkpoint.

    Args:
        path: a file that `save_checkpoint` wrote.
        kind: the architecture's name.
        settings: makes the settings from the JSON values that were saved.

    Raises:
        CheckpointError: no such file, not safetensors, another kind of network, or settings
            that cannot be understood.
    """
    header, state = _read(path, f" of a {kind}")
    if header.get("kind") != kind:
        raise CheckpointError(
            f"{path} holds a network of kind '{header.get('kind', 'unknown')}', "
            f"where '{kind}' is needed."
        )
    try:
        return settings(json.loads(header["settings"])), state
    except (KeyError, TypeError, ValueError, VqlsoError) as error:
        raise CheckpointError(
            f"The settings in {path} cannot be understood ({type(error).__name__}: {error}): it "
            "was written by another version of the program. Train the network again."
        ) from error


def kind_of(path: Path) -> str:
    """The architecture's name in a checkpoint's header; "unknown" where it has none.

    Raises:
        CheckpointError: no such file, or not safetensors.
    """
    return _read(path, "", names=())[0].get("kind", "unknown")


def load_state(
    network: nn.Module,
    state: Mapping[str, Any],
    source: str,
    architecture: str,
    *,
    assign: bool = False,
) -> None:
    """Load weights strictly: every name and every shape must match.

    Args:
        network: receives the weights.
        state: tensors by name; anything else counts as misshapen.
        source: where the state comes from, for the error message.
        architecture: the network in words, for the error message.
        assign: let the tensors themselves become the network's, dtype included; needed by a
            network that was built under `torch.device("meta")`.

    Raises:
        CheckpointError: naming the first missing, unexpected and misshapen tensors.
    """
    mismatches = _mismatches(network.state_dict(), state)
    if mismatches:
        raise CheckpointError(
            f"{source} does not hold the weights of {architecture}: {'; '.join(mismatches)}. "
            "Give the path of a checkpoint of exactly this architecture."
        )
    network.load_state_dict(dict(state), assign=assign)


def _read(
    path: Path, whose: str, names: Sequence[str] | None = None
) -> tuple[dict[str, str], dict[str, Tensor]]:
    """The header, and the named tensors or all of them."""
    if not path.is_file():
        raise CheckpointError(
            f"There is no checkpoint at {path}. Give the path of a .safetensors file{whose}."
        )
    try:
        with safe_open(path, framework="pt") as file:
            wanted = file.keys() if names is None else names
            return file.metadata() or {}, {name: file.get_tensor(name) for name in wanted}
    except (SafetensorError, OSError) as error:
        raise CheckpointError(
            f"{path} is not a readable safetensors file ({error}): it is damaged or was cut off. "
            "Copy or train it again."
        ) from error


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
