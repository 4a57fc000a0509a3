"""What a stranger's file turned out to hold."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from vqlso.generators.import_gan.refusal import RefusedError, shown
from vqlso.generators.import_gan.torch_storage import StoredTensor

Kind = Literal["stylegan2", "stylegan3-t", "stylegan3-r", "pgan"]
State = dict[str, NDArray[np.float32]]

HALF_PRECISION = ("float16", "bfloat16")
MOST_TENSORS = 4096


@dataclass(frozen=True)
class FoundGenerator:
    """A generator of any of the supported files, in one form.

    Attributes:
        kind: the architecture.
        settings: JSON values that rebuild it, all inferred from the weights where they show.
        state: weights and buffers, float32, under the names of NVIDIA's `G_ema`, or of a PGAN under
            this project's.
        notes: what a user should know, a sentence each.
    """

    kind: Kind
    settings: Mapping[str, Any]
    state: Mapping[str, NDArray[np.float32]]
    notes: tuple[str, ...] = ()


def copied(tensors: Iterable[tuple[str, StoredTensor]], largest: int) -> State:
    """The tensors as contiguous arrays of their own.

    Args:
        tensors: by name.
        largest: bytes of all arrays; views of one storage could be copied without end.

    Raises:
        RefusedError: too many tensors or bytes, another scalar type than float32, or
            numbers that are not finite.
    """
    state: State = {}
    for name, tensor in tensors:
        if tensor.scalar in HALF_PRECISION:
            raise RefusedError(
                f"a generator whose weights are stored in half precision ({shown(name)} is "
                f"{tensor.scalar}). NVIDIA keeps them in float32: look for the original file"
            )
        array = tensor.array()
        largest -= array.nbytes
        if largest < 0 or len(state) >= MOST_TENSORS:
            raise RefusedError("a network whose tensors unfold to more than the file's size")
        array = np.array(array, dtype=np.float32, order="C")
        if not np.isfinite(array).all():
            raise RefusedError(
                f"a generator whose {shown(name)} is not finite: its training failed"
            )
        state[name] = array
    return state
