"""rosinality's StyleGAN2 checkpoints: `convert_weight.py`'s and `train.py`'s."""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from vqlso.generators.import_gan.architecture import FIR, resample_filters, stylegan2_settings
from vqlso.generators.import_gan.found import FoundGenerator, State, copied
from vqlso.generators.import_gan.mean_latent import with_mean_latent
from vqlso.generators.import_gan.refusal import RefusedError, expect, shown
from vqlso.generators.import_gan.torch_storage import StoredTensor

Array = NDArray[np.float32]

# Within a convolution or an output layer.
PARTS = {
    "conv.weight": "weight",
    "conv.modulation.weight": "affine.weight",
    "conv.modulation.bias": "affine.bias",
    "activate.bias": "bias",
    "noise.weight": "noise_strength",
    "bias": "bias",
}
STYLE = re.compile(r"style\.(\d{1,3})\.(weight|bias)")
FIRST = re.compile(r"(conv1|to_rgb1)\.(.+)")
CONVOLUTION = re.compile(r"convs\.(\d{1,2})\.(.+)")
OUTPUT = re.compile(r"to_rgbs\.(\d{1,2})\.(.+)")
NOISE = re.compile(r"noises\.noise_(\d{1,2})")
KERNEL = re.compile(r"(convs\.\d{1,2}\.conv\.blur|to_rgbs\.\d{1,2}\.upsample)\.kernel")


def read_rosinality(checkpoint: Mapping[str, object], largest: int) -> FoundGenerator:
    """The running mean of the generator, under NVIDIA's names.

    Args:
        checkpoint: what `torch.save` wrote, with a state dict under `g_ema`.
        largest: bytes that the copied weights may take.

    Raises:
        RefusedError: the state dict is not that of rosinality's StyleGAN2.
    """
    tensors = expect(checkpoint["g_ema"], dict, "g_ema")
    weights = copied(
        (
            (name, expect(tensor, StoredTensor, shown(str(name))))
            for name, tensor in tensors.items()
        ),
        largest,
    )
    state: State = {}
    for name, array in weights.items():
        if KERNEL.fullmatch(name):
            # Upsampling by 2 in both axes makes up for the zeros in between.
            if array.shape != FIR.shape or not np.allclose(array, 4 * FIR, atol=1e-6):
                raise RefusedError("a generator with another resampling filter than [1, 3, 3, 1]")
        else:
            new_name = _renamed(name)
            state[new_name] = _reshaped(new_name, array)
    state |= resample_filters(state)
    if "latent_avg" in checkpoint:
        average = expect(checkpoint["latent_avg"], StoredTensor, "latent_avg")
        state |= copied([("mapping.w_avg", average)], largest)
    state, notes = with_mean_latent(state)
    return FoundGenerator("stylegan2", stylegan2_settings(state, None), state, notes)


def _renamed(name: str) -> str:
    if name == "input.input":
        return "synthesis.b4.const"
    if (found := STYLE.fullmatch(name)) and int(found[1]) > 0:
        return f"mapping.fc{int(found[1]) - 1}.{found[2]}"
    if found := NOISE.fullmatch(name):
        return f"{_layer_path(int(found[1]) - 1)}.noise_const"
    if (found := FIRST.fullmatch(name)) and found[2] in PARTS:
        layer = "conv1" if found[1] == "conv1" else "torgb"
        return f"synthesis.b4.{layer}.{PARTS[found[2]]}"
    if (found := CONVOLUTION.fullmatch(name)) and found[2] in PARTS:
        return f"{_layer_path(int(found[1]))}.{PARTS[found[2]]}"
    if (found := OUTPUT.fullmatch(name)) and found[2] in PARTS:
        return f"synthesis.b{8 << int(found[1])}.torgb.{PARTS[found[2]]}"
    raise RefusedError(
        f"a generator with the tensor {shown(name)}, which rosinality's StyleGAN2 lacks"
    )


def _layer_path(index: int) -> str:
    """The convolution after b4's, which itself has index -1."""
    return "synthesis.b4.conv1" if index < 0 else f"synthesis.b{8 << index // 2}.conv{index % 2}"


def _reshaped(name: str, array: Array) -> Array:
    """Without the axes of size 1 that NVIDIA's tensors do not have."""
    if name.endswith(("const", "conv0.weight", "conv1.weight", "torgb.weight")):
        axes = 2 if name.endswith("noise_const") else 3 if name.endswith(".const") else 4
        return array.reshape(array.shape[-axes:]) if _only_ones(array.shape[:-axes]) else array
    if name.endswith("noise_strength"):
        return array.reshape(()) if array.shape == (1,) else array
    return array.reshape(-1) if name.endswith("torgb.bias") else array


def _only_ones(sizes: tuple[int, ...]) -> bool:
    return all(size == 1 for size in sizes)
