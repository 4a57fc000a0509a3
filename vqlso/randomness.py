"""Random streams derived from (seed, role, indices), so that any step can be repeated alone."""

from __future__ import annotations

import zlib

import numpy as np


def stream(seed: int, role: str, *indices: int) -> np.random.Generator:
    """An independent generator for one role at one point of the run.

    A resumed run repeats query 37 without replaying queries 0..36, because no stream is
    shared between steps.

    Args:
        seed: the run's seed, >= 0.
        role: what the numbers are for, such as "reference" or "retraining".
        indices: where in the run, such as the round or the query id; each >= 0.
    """
    # As further entropy an index of 0 would change nothing, for entropy is padded with zeros.
    sequence = np.random.SeedSequence([seed, zlib.crc32(role.encode())], spawn_key=indices)
    return np.random.default_rng(sequence)


def torch_seed(seed: int, role: str, *indices: int) -> int:
    """A 63-bit seed for libraries that take one integer instead of a stream."""
    return int(stream(seed, role, *indices).integers(0, 2**63 - 1))
