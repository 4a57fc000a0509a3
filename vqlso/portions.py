"""A batch divided among processes: each has a portion of it, and knows what all of it is like.

A fit on several processes says `dividing(portion)` around each step. What depends on a whole batch
(a codebook's running means, batch normalisation, random numbers) asks `portion_of` for its place
in it. Outside of `dividing` the portion is the whole batch, and nothing is exchanged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Self

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn import functional as F


@dataclass(frozen=True)
class Portion:
    """One process's rows of a batch.

    All processes must call `sum`, `mean`, `pick` and `agreed`, and in the same order. With one
    process all methods leave their tensors as they are.

    Attributes:
        start: the first own row.
        stop: one behind the last own row; equal to `start` where there are too few for all.
        whole: rows of the batch.
        processes: that the batch is divided among.
    """

    start: int
    stop: int
    whole: int
    processes: int = 1

    @classmethod
    def of(cls, whole: int, rank: int, processes: int) -> Portion:
        """Shares as equal as can be, in the order of the processes."""
        return cls(whole * rank // processes, whole * (rank + 1) // processes, whole, processes)

    def __len__(self) -> int:
        return self.stop - self.start

    @property
    def own(self) -> slice:
        """The own rows, to index the batch with."""
        return slice(self.start, self.stop)

    @property
    def weight(self) -> float:
        """Of this portion's mean in the mean over processes that equals the batch's mean."""
        return self.processes * len(self) / self.whole

    def cut(self, parts: int) -> Portion:
        """The same rows, each cut into `parts` rows, as an image into cells."""
        return Portion(self.start * parts, self.stop * parts, self.whole * parts, self.processes)

    def sum(self, value: Tensor) -> Tensor:
        """The sum over all processes, bitwise equal on all of them; gradients pass through it."""
        if self.processes == 1:
            return value
        summed: Tensor = _Sum.apply(value)  # type: ignore[no-untyped-call]
        return summed

    def mean(self, value: Tensor) -> Tensor:
        """The batch's mean from the means over each process's rows; a mean over none may be NaN."""
        if self.processes == 1:
            return value
        own = value * self.weight if len(self) else torch.zeros_like(value)
        return self.sum(own) / self.processes

    def pick(self, rows: Tensor, picks: Tensor) -> Tensor:
        """Rows of the batch by number, on all processes.

        Args:
            rows: (len(self), ...), the own ones.
            picks: (m,) int64 in 0..whole - 1, the same on all processes.
        """
        if self.processes == 1:
            return rows[picks]
        mine = (picks >= self.start) & (picks < self.stop)
        picked = rows.new_zeros(len(picks), *rows.shape[1:])
        picked[mine] = rows[picks[mine] - self.start]
        return self.sum(picked)

    def agreed(self, value: Tensor) -> Tensor:
        """The first process's tensor: two GPUs may round one computation differently."""
        if self.processes > 1:
            dist.broadcast(value, src=0)
        return value

    def drawn(self, draw: Callable[[int], Tensor]) -> Tensor:
        """Random numbers for the own rows, out of those that one process would draw for all."""
        if self.processes == 1:
            return draw(self.whole)
        return draw(self.whole)[self.own]


_current: ContextVar[Portion | None] = ContextVar("portion", default=None)


@contextmanager
def dividing(portion: Portion) -> Iterator[None]:
    """Within the block, batches are portions like this one."""
    token = _current.set(portion)
    try:
        yield
    finally:
        _current.reset(token)


def portion_of(rows: int) -> Portion:
    """Which part of the whole batch a batch of so many rows is."""
    current = _current.get()
    return Portion(0, rows, rows) if current is None else current


class BatchNorm2d(nn.BatchNorm2d):
    """Batch normalisation by the statistics of the whole batch, on CPUs as on GPUs.

    torch's SyncBatchNorm does the same, on GPUs only.

    Attributes:
        fixed: in training, too, normalise by the running statistics and leave them as they are.
    """

    fixed = False

    def train(self, mode: bool = True) -> Self:
        """Training mode, or evaluation mode; with fixed statistics always this."""
        return super().train(mode and not self.fixed)

    def forward(self, x: Tensor) -> Tensor:
        """(n, C, h, w) -> the same shape."""
        portion = portion_of(len(x))
        if not self.training or portion.processes == 1:
            return super().forward(x)
        wide, n = x.to(self.weight.dtype), portion.cut(x.shape[2] * x.shape[3]).whole
        mean = portion.sum(wide.sum((0, 2, 3))) / n
        centred = wide - mean[:, None, None]
        variance = portion.sum(centred.square().sum((0, 2, 3))) / n
        self._observe(mean.detach(), variance.detach() * n / (n - 1))
        scale = self.weight * (variance + self.eps).rsqrt()
        normalised = centred * scale[:, None, None] + self.bias[:, None, None]
        return normalised.to(x.dtype)

    def _observe(self, mean: Tensor, variance: Tensor) -> None:
        for running, value in ((self.running_mean, mean), (self.running_var, variance)):
            assert running is not None
            assert self.momentum is not None
            running.lerp_(value, self.momentum)
        assert self.num_batches_tracked is not None
        self.num_batches_tracked.add_(1)


class Dropout(nn.Dropout):
    """Dropout whose mask is drawn for the whole batch."""

    def forward(self, x: Tensor) -> Tensor:
        """(n, d) -> the same shape."""
        portion = portion_of(len(x))
        if not self.training or portion.processes == 1:
            return super().forward(x)
        return x * portion.drawn(lambda n: F.dropout(x.new_ones(n, *x.shape[1:]), self.p))


class _Sum(torch.autograd.Function):
    """All-reduce. What every process computes from the sum depends on every summand, so the
    gradients of the sum are summed likewise."""

    @staticmethod
    def forward(ctx: Any, value: Tensor) -> Tensor:  # noqa: ARG004
        return _all_reduced(value)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:  # noqa: ARG004
        return _all_reduced(gradients[0])


def _all_reduced(value: Tensor) -> Tensor:
    total = value.clone(memory_format=torch.contiguous_format)
    dist.all_reduce(total)
    return total
