"""The mean of w, for files that lack it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vqlso.generators.import_gan.architecture import mapping_settings
from vqlso.generators.import_gan.found import State
from vqlso.generators.import_gan.refusal import RefusedError
from vqlso.randomness import stream

SAMPLES = 10_000
BATCH = 1_000
LEARNING_RATE = 0.01
EPSILON = 1e-8


def with_mean_latent(state: State, *, seed: int = 0) -> tuple[State, tuple[str, ...]]:
    """The state with `mapping.w_avg`, and a note if it had to be estimated.

    Args:
        state: tensors under NVIDIA's names.
        seed: of the z that are mapped.

    Raises:
        RefusedError: it lacks the mean and is conditioned on labels, whose distribution is unknown.
    """
    if "mapping.w_avg" in state:
        return state, ()
    settings = mapping_settings(state)
    if settings["c_dim"]:
        raise RefusedError(
            "a conditional generator without w_avg, which only its training labels give"
        )
    rng = stream(seed, "mean-latent")
    total = np.zeros(settings["w_dim"])
    for _ in range(SAMPLES // BATCH):
        z = rng.standard_normal((BATCH, settings["z_dim"]), dtype=np.float32)
        total += mapped(state, z).sum(axis=0, dtype=np.float64)
    mean = (total / SAMPLES).astype(np.float32)
    note = f"The file lacks the mean of w: it was estimated from {SAMPLES:,} mapped z."
    return {**state, "mapping.w_avg": mean}, (note,)


def mapped(state: State, z: NDArray[np.float32]) -> NDArray[np.float32]:
    """z -> w by the unconditional mapping network (Karras et al. 2019, figure 1).

    Args:
        state: tensors under NVIDIA's names.
        z: (n, z_dim).

    Returns:
        (n, w_dim).
    """
    x: NDArray[np.float32] = z / np.sqrt(np.mean(z**2, axis=1, keepdims=True) + EPSILON)
    for layer in range(mapping_settings(state)["mapping_layers"]):
        weight, bias = state[f"mapping.fc{layer}.weight"], state[f"mapping.fc{layer}.bias"]
        if x.shape[1:] != weight.shape[1:] or bias.shape != weight.shape[:1]:
            raise RefusedError(f"a mapping network whose layer {layer} does not fit the one before")
        x = x @ weight.T * np.float32(LEARNING_RATE / np.sqrt(weight.shape[1]))
        x += bias * np.float32(LEARNING_RATE)
        x = np.maximum(x, np.float32(0.2) * x) * np.float32(np.sqrt(2))
    return x
