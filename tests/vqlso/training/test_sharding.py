"""Sharded modules compute what whole ones do, and are themselves again afterwards."""

import copy
import os
import signal
import threading
from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor, nn

from vqlso.training import sharding
from vqlso.training.sharding import sharded


@pytest.fixture(params=[2, 3])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


class Watched(nn.Module):
    """Notes batch, thread, number of threads and precision of every call."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Sequential(nn.Conv2d(3, 4, 3), nn.LeakyReLU(), nn.Conv2d(4, 2, 1))
        self.calls: list[tuple[int, int, int, torch.dtype]] = []

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.inner(x)
        call = (len(x), threading.get_ident(), torch.get_num_threads(), y.dtype)
        self.calls.append(call)
        return y


@pytest.fixture
def module() -> Watched:
    torch.manual_seed(0)
    return Watched()


def gradients(module: nn.Module, batch: Tensor) -> list[Tensor]:
    """Output, and gradients of batch and parameters."""
    start = batch.clone().requires_grad_(True)
    output = module(start)
    module.zero_grad(set_to_none=True)
    output.square().mean().backward()
    return [output, start.grad, *(p.grad for p in module.parameters())]  # type: ignore[list-item]


@pytest.mark.parametrize("n", [1, 7, 12])
def test_output_and_gradients_are_the_whole_batches(threads: int, module: Watched, n: int) -> None:
    batch = torch.randn(n, 3, 8, 8)
    whole = gradients(module, batch)
    with sharded(module):
        parts = gradients(module, batch)
    for one, other in zip(whole, parts, strict=True):
        torch.testing.assert_close(other, one, rtol=1e-5, atol=1e-6)


def test_every_shard_has_a_thread_of_one_thread(threads: int, module: Watched) -> None:
    with sharded(module):
        gradients(module, torch.randn(12, 3, 8, 8))
    assert [call[0] for call in module.calls] == [12 // threads] * threads
    assert threading.get_ident() not in {call[1] for call in module.calls}
    assert {call[2] for call in module.calls} == {1}


def test_afterwards_all_is_as_before(threads: int, module: Watched) -> None:
    with sharded(module):
        module(torch.randn(threads, 3, 8, 8))
    with pytest.raises(RuntimeError, match="expected input"), sharded(module):
        module(torch.randn(4, 2, 8, 8))
    module.calls.clear()
    copy.deepcopy(module)
    gradients(module, torch.randn(4, 3, 8, 8))
    assert [call[0] for call in module.calls] == [4]
    assert torch.get_num_threads() == threads
    seen: list[int] = []
    later = threading.Thread(target=lambda: seen.append(torch.get_num_threads()))
    later.start()
    later.join()
    assert seen == [threads]


def test_the_backward_pass_may_come_later(threads: int, module: Watched) -> None:
    batch = torch.randn(6, 3, 8, 8)
    whole = gradients(module, batch)
    with sharded(module):
        output = module(batch)
    module.zero_grad(set_to_none=True)
    output.square().mean().backward()
    for one, p in zip(whole[2:], module.parameters(), strict=True):
        torch.testing.assert_close(p.grad, one, rtol=1e-5, atol=1e-6)


def test_a_forked_process_gets_threads_of_its_own(threads: int, module: Watched) -> None:
    batch = torch.randn(6, 3, 8, 8)
    with sharded(module):
        gradients(module, batch)
    child = os.fork()
    if not child:
        signal.alarm(60)
        torch.set_num_threads(1)
        assert sharding._pool.cache_info().currsize == 0
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0


def test_autocast_reaches_the_shards(threads: int, module: Watched) -> None:
    with sharded(module), torch.autocast("cpu", torch.bfloat16):
        module(torch.randn(4, 3, 8, 8))
    assert {call[3] for call in module.calls} == {torch.bfloat16}


def test_a_batch_without_gradient_and_frozen_parameters(threads: int, module: Watched) -> None:
    module.inner[0].requires_grad_(False)
    batch = torch.randn(6, 3, 8, 8)
    module(batch).sum().backward()
    whole = [p.grad for p in module.inner[2].parameters()]
    module.zero_grad(set_to_none=True)
    with sharded(module):
        module(batch).sum().backward()
    for one, p in zip(whole, module.inner[2].parameters(), strict=True):
        torch.testing.assert_close(p.grad, one, rtol=1e-5, atol=1e-6)
    assert all(p.grad is None for p in module.inner[0].parameters())


@pytest.mark.parametrize("context", [torch.no_grad, torch.inference_mode])
def test_nothing_is_split_where_nothing_is_learnt(
    threads: int, module: Watched, context: Callable[[], torch.no_grad]
) -> None:
    with sharded(module), context():
        module(torch.randn(6, 3, 8, 8))
    assert [call[0] for call in module.calls] == [6]


def test_one_thread_changes_nothing(module: Watched) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with sharded(module):
            gradients(module, torch.randn(4, 3, 8, 8))
    finally:
        torch.set_num_threads(before)
    assert [call[0] for call in module.calls] == [4]
