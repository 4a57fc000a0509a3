"""Threads and precision follow one switch."""

import os
from collections.abc import Iterator

import pytest
import torch

from vqlso import hardware

CPU = torch.device("cpu")


@pytest.fixture
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("pays", "dtype", "name"),
    [(True, torch.bfloat16, "bf16-mixed"), (False, torch.float32, "32-true")],
)
def test_fabric_and_autocast_agree(
    pays: bool, dtype: torch.dtype, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hardware, "bfloat16_pays", lambda: pays)
    with hardware.autocast(CPU):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == dtype
    assert hardware.fabric_precision() == name


@pytest.mark.parametrize(
    ("capabilities", "pays"),
    [
        ({"amx_bf16": True}, True),
        ({"avx512_bf16": True}, True),
        ({"avx2": True}, False),
        ({}, False),
    ],
)
def test_bf16_needs_hardware_for_it(
    capabilities: dict[str, bool], pays: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)
    assert hardware.bfloat16_pays.__wrapped__() is pays


@pytest.mark.usefixtures("threads")
def test_threads_are_bounded() -> None:
    hardware.limit_threads(1)
    assert torch.get_num_threads() == 1
    assert hardware.available_cores() >= 1


def test_a_bound_of_kernels_that_somebody_set_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ONEDNN_PRIMITIVE_CACHE_CAPACITY", raising=False)
    hardware.keep_few_kernels()
    assert os.environ["ONEDNN_PRIMITIVE_CACHE_CAPACITY"] == "256"
    monkeypatch.setenv("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "2000")
    hardware.keep_few_kernels()
    assert os.environ["ONEDNN_PRIMITIVE_CACHE_CAPACITY"] == "2000"
