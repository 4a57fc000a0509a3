"""Checkpoints: what was saved comes back, and anything else is refused by name."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from vqlso.checkpoints import load_state, read_checkpoint, save_checkpoint
from vqlso.errors import CheckpointError, ConfigError


@dataclass(frozen=True)
class Toy:
    """Settings of the toy network."""

    inputs: int
    scale: float = 0.1

    def __post_init__(self) -> None:
        if self.inputs < 1:
            raise ConfigError("inputs")


def toy(values: dict[str, Any]) -> Toy:
    return Toy(**values)


def network(seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(4, 2))


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "folder" / "toy.safetensors"
    save_checkpoint(path, "toy", asdict(Toy(3, 0.1)), network())
    return path


def test_settings_weights_and_buffers_come_back_bitwise(saved: Path) -> None:
    settings, state = read_checkpoint(saved, "toy", toy)
    assert settings == Toy(3, 0.1)
    other = network(seed=1)
    assert not torch.equal(other[0].weight, network()[0].weight)
    load_state(other, state, "here", "a toy")
    expected = network().state_dict()
    assert other.state_dict().keys() == expected.keys()
    for name, tensor in other.state_dict().items():
        assert torch.equal(tensor, expected[name])
        assert tensor.dtype == expected[name].dtype


def test_memory_layout_does_not_matter(saved: Path, tmp_path: Path) -> None:
    turned = network().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    save_checkpoint(tmp_path / "turned", "toy", asdict(Toy(3, 0.1)), turned)
    # Not the files: safetensors writes the header's entries in any order.
    states = [read_checkpoint(path, "toy", toy)[1] for path in (tmp_path / "turned", saved)]
    assert states[0].keys() == states[1].keys()
    for name, tensor in states[0].items():
        assert tensor.numpy().tobytes() == states[1][name].numpy().tobytes()


def test_a_file_is_replaced_as_a_whole(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = saved.read_bytes()

    def half_written(path: Path, content: bytes) -> None:
        with path.open("wb") as file:
            file.write(content[: len(content) // 2])
        raise OSError("disk full")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "write_bytes", half_written)
        with pytest.raises(OSError, match="disk full"):
            save_checkpoint(saved, "toy", {}, network(1))
    assert saved.read_bytes() == before
    save_checkpoint(saved, "toy", asdict(Toy(5)), network(1))
    assert read_checkpoint(saved, "toy", toy)[0] == Toy(5)
    assert [path.name for path in saved.parent.iterdir()] == ["toy.safetensors"]


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"no checkpoint at .*absent"):
        read_checkpoint(tmp_path / "absent", "toy", toy)


@pytest.mark.parametrize("kept", [0, 7, 200, -1])
def test_a_truncated_file_is_refused(kept: int, saved: Path) -> None:
    saved.write_bytes(saved.read_bytes()[:kept])
    with pytest.raises(CheckpointError, match=r"toy\.safetensors is not a readable"):
        read_checkpoint(saved, "toy", toy)


def test_another_kind_is_refused(saved: Path) -> None:
    with pytest.raises(CheckpointError, match="of kind 'toy', where 'vqvae' is needed"):
        read_checkpoint(saved, "vqvae", toy)
    save_file({"a": torch.zeros(1)}, saved)
    with pytest.raises(CheckpointError, match="'unknown'"):
        read_checkpoint(saved, "toy", toy)


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ({}, "KeyError"),
        ({"settings": "{"}, "JSONDecodeError"),
        ({"settings": "[1]"}, "TypeError"),
        ({"settings": json.dumps({"inputs": 3, "colour": 1})}, "colour"),
        ({"settings": json.dumps({})}, "inputs"),
        ({"settings": json.dumps({"inputs": 0})}, "ConfigError"),
    ],
)
def test_settings_that_cannot_be_understood_are_refused(
    header: dict[str, str], message: str, saved: Path
) -> None:
    save_file({"a": torch.zeros(1)}, saved, {"kind": "toy"} | header)
    with pytest.raises(CheckpointError, match=message):
        read_checkpoint(saved, "toy", toy)


def test_missing_unexpected_and_misshapen_tensors_are_named() -> None:
    state = network().state_dict()
    state["extra.weight"] = state.pop("0.bias")
    state["2.weight"] = torch.zeros(3, 4)
    receiver = network(1)
    before = {name: tensor.clone() for name, tensor in receiver.state_dict().items()}
    with pytest.raises(CheckpointError) as caught:
        load_state(receiver, state, "file.safetensors", "a toy of 3 inputs")
    message = str(caught.value)
    assert message.startswith("file.safetensors does not hold the weights of a toy of 3 inputs: ")
    for fault in (
        "missing: 0.bias;",
        "unexpected: extra.weight;",
        "misshapen: 2.weight is (3, 4) instead of (2, 4).",
    ):
        assert fault in message
    for name, tensor in receiver.state_dict().items():
        assert torch.equal(tensor, before[name])


def test_only_the_first_names_are_listed() -> None:
    with pytest.raises(CheckpointError, match=r"missing: 0\.weight, .* and 4 more\."):
        load_state(network(), {}, "here", "a toy")


def test_a_network_without_memory_is_given_the_tensors_themselves() -> None:
    with torch.device("meta"):
        empty = nn.Linear(4, 2)
    state = {"weight": torch.ones(2, 4), "bias": torch.zeros(2)}
    load_state(empty, state, "here", "a layer", assign=True)
    assert empty.weight.data_ptr() == state["weight"].data_ptr()
    assert torch.equal(empty(torch.ones(1, 4)), torch.full((1, 2), 4.0))
