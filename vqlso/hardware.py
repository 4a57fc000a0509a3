"""Threads and precision: one place decides how much of the machine a run takes."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager
from functools import cache

import torch


def available_cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def limit_threads(threads: int) -> None:
    """Bound torch's thread pools; LightGBM and HiGHS take the same number as a parameter.

    More OpenMP threads than idle cores made training 10-20 times slower where it was measured
    (two threads, two cores, one of them busy), so the bound is a run's own setting.
    """
    torch.set_num_threads(threads)


def keep_few_kernels() -> None:
    """Let oneDNN keep 256 compiled operations rather than 1,024, where nobody said how many.

    It compiles them for each length of a batch, and a retraining ends with a batch of any length:
    of a VQ-VAE a step takes 62, another length 34 more, which a long run would pile up. It asks
    for the number at a process's first convolution, and not again.
    """
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "256")


@cache
def bfloat16_pays() -> bool:
    """Whether bf16 runs on matrix hardware: on a GPU of 2020 or later, or AMX / AVX-512 BF16.

    Elsewhere bf16 is emulated and slower than float32.
    """
    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    capabilities: dict[str, bool] = getattr(torch.cpu, "get_capabilities", dict)()
    return bool(capabilities.get("amx_bf16") or capabilities.get("avx512_bf16"))


def autocast(device: torch.device) -> AbstractContextManager[None]:
    """bf16 autocast where it pays, float32 elsewhere."""
    return torch.autocast(device.type, torch.bfloat16, enabled=bfloat16_pays())


def fabric_precision() -> str:
    """Lightning Fabric's name of the precision that `autocast` chooses."""
    return "bf16-mixed" if bfloat16_pays() else "32-true"
