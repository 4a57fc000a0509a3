"""One thread a part of each batch, instead of all threads inside every operation.

oneDNN's gradient of a convolution's weights makes its threads wait for each other, spinning, in the
middle of the work. Where another process has preempted one of them, the others burn their time
until it is back: ten times as long and more on two cores of which one was busy, however OpenMP was
told to wait (docs/performance.md). Threads with a part of the batch each meet once a network.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache, partial
from threading import Barrier
from typing import Any

import torch
from torch import Tensor, nn

Forward = Callable[[Tensor], Tensor]


@contextmanager
def sharded(*modules: nn.Module) -> Iterator[None]:
    """Let each of `modules` split its batches over torch's threads while the context lasts.

    With one thread, without gradients or with parameters on a GPU nothing changes. Else output
    and gradients, of a backward pass that may come later, are what they would be but for rounding,
    given that a module treats the images of a batch one by one: no batch normalisation, no random
    numbers.

    Args:
        modules: each maps one tensor (n, ...) to one tensor (n, ...).
    """
    threads = torch.get_num_threads()
    on_cpu = [m for m in modules if all(p.device.type == "cpu" for p in m.parameters())]
    if threads == 1 or not on_cpu:
        yield
        return
    for module in on_cpu:
        module.forward = partial(_forward, module, module.forward, threads)
    try:
        yield
    finally:
        for module in on_cpu:
            del module.forward


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    """So many workers of one thread each, for the rest of the process."""
    pool = ThreadPoolExecutor(threads, initializer=_take_one_thread)
    meeting = Barrier(threads)
    for future in [pool.submit(meeting.wait) for _ in range(threads)]:
        future.result()
    # The bound set last is also that of every thread that torch meets later.
    torch.set_num_threads(threads)
    return pool


def _take_one_thread() -> None:
    # Asked for the first time torch gives a thread the process's bound; later it keeps its own.
    torch.get_num_threads()
    torch.set_num_threads(1)


# A forked process has the pool but not its threads, and would wait for them for ever.
os.register_at_fork(after_in_child=_pool.cache_clear)


def _forward(module: nn.Module, forward: Forward, shards: int, batch: Tensor) -> Tensor:
    if not torch.is_grad_enabled():
        return forward(batch)
    parameters = [p for p in module.parameters() if p.requires_grad]
    output: Tensor = _Sharded.apply(  # type: ignore[no-untyped-call]
        forward, shards, batch, *parameters
    )
    return output


class _Sharded(torch.autograd.Function):
    """A module's forward and backward pass, each shard in a thread with a graph of its own."""

    @staticmethod
    def forward(
        ctx: Any,
        forward: Forward,
        shards: int,
        batch: Tensor,
        *parameters: Tensor,
    ) -> Tensor:
        # Autocast, like the recording of gradients, is each thread's own.
        precision = partial(
            torch.autocast,
            "cpu",
            torch.get_autocast_dtype("cpu"),
            enabled=torch.is_autocast_enabled("cpu"),
        )

        def run(shard: Tensor) -> tuple[Tensor, Tensor]:
            with torch.enable_grad(), precision():
                start = shard.detach().requires_grad_(batch.requires_grad)
                return start, forward(start)

        ctx.pool, ctx.parameters = _pool(shards), parameters
        ctx.graphs = list(ctx.pool.map(run, batch.chunk(shards)))
        return torch.cat([end.detach() for _, end in ctx.graphs])

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        def run(graph: tuple[Tensor, Tensor], part: Tensor) -> tuple[Tensor, ...]:
            start, end = graph
            inputs = [start, *ctx.parameters] if start.requires_grad else [*ctx.parameters]
            return torch.autograd.grad(end, inputs, part)

        graphs, ctx.graphs = ctx.graphs, None
        parts = torch.split(gradient, [len(end) for _, end in graphs])
        found = list(ctx.pool.map(run, graphs, parts))
        of_batch = None
        if graphs[0][0].requires_grad:
            of_batch = torch.cat([gradients[0] for gradients in found])
            found = [gradients[1:] for gradients in found]
        # Always in the same order: a fit with as many threads is repeated to the last bit.
        of_parameters = [sum(each[1:], each[0]) for each in zip(*found, strict=True)]
        return None, None, of_batch, *of_parameters
