"""The numbers of a StyleGAN2, and of either mapping network, read off the shapes of its weights."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from vqlso.generators.import_gan.found import State
from vqlso.generators.import_gan.refusal import RefusedError, names_shown

Shape = tuple[int, ...]

COARSEST = 4
FIR_TAPS = [1, 3, 3, 1]
FIR = np.outer(FIR_TAPS, FIR_TAPS).astype(np.float32) / np.float32(64)
BLOCK = re.compile(r"synthesis\.b(\d{1,5})\.")
MAPPING_LAYER = re.compile(r"mapping\.fc(\d{1,3})\.weight")


def shape_of(state: State, name: str, axes: int) -> Shape:
    """The shape of a tensor that must be there.

    Raises:
        RefusedError: it is missing or has another number of axes.
    """
    if name not in state:
        raise RefusedError(f"a generator without {name}")
    shape = state[name].shape
    if len(shape) != axes:
        raise RefusedError(f"a generator whose {name} has shape {shape} instead of {axes} axes")
    return shape


def mapping_settings(state: State) -> dict[str, int]:
    """z_dim, w_dim, c_dim and mapping_layers.

    Raises:
        RefusedError: there is no mapping network.
    """
    layers = len([name for name in state if MAPPING_LAYER.fullmatch(name)])
    w_dim, _ = shape_of(state, f"mapping.fc{max(layers - 1, 0)}.weight", 2)
    _, inputs = shape_of(state, "mapping.fc0.weight", 2)
    label, c_dim = (0, 0)
    if "mapping.embed.weight" in state:
        label, c_dim = shape_of(state, "mapping.embed.weight", 2)
    return {"z_dim": inputs - label, "w_dim": w_dim, "c_dim": c_dim, "mapping_layers": layers}


def mapping_shapes(settings: Mapping[str, Any]) -> dict[str, Shape]:
    """Name and shape of every tensor of a mapping network whose layers are all w_dim wide."""
    w_dim, c_dim = settings["w_dim"], settings["c_dim"]
    inputs = settings["z_dim"] + (w_dim if c_dim else 0)
    shapes: dict[str, Shape] = {"mapping.w_avg": (w_dim,)}
    if c_dim:
        shapes |= {"mapping.embed.weight": (w_dim, c_dim), "mapping.embed.bias": (w_dim,)}
    for layer in range(settings["mapping_layers"]):
        shapes[f"mapping.fc{layer}.weight"] = (w_dim, w_dim if layer else inputs)
        shapes[f"mapping.fc{layer}.bias"] = (w_dim,)
    return shapes


def stylegan2_settings(state: State, conv_clamp: float | None) -> dict[str, Any]:
    """The settings of a StyleGAN2 whose tensors are exactly these.

    Args:
        state: tensors under NVIDIA's names.
        conv_clamp: bound on every activation, which no shape shows.

    Raises:
        RefusedError: the tensors are not those of a StyleGAN2 with a skip image.
    """
    resolutions = sorted({int(found[1]) for name in state if (found := BLOCK.match(name))})
    if len(resolutions) < 2 or resolutions != [COARSEST << i for i in range(len(resolutions))]:
        raise RefusedError(f"a generator with blocks at {resolutions} instead of 4, 8, 16, ...")
    channels = {r: shape_of(state, f"synthesis.b{r}.conv1.weight", 4)[0] for r in resolutions}
    settings = {
        "resolution": resolutions[-1],
        **mapping_settings(state),
        # Every channel_base that gives these channels gives the same network; this is the least.
        "channel_base": max(resolution * count for resolution, count in channels.items()),
        "channel_max": max(channels.values()),
        "image_channels": shape_of(state, f"synthesis.b{COARSEST}.torgb.weight", 4)[0],
        "conv_clamp": conv_clamp,
    }
    require_shapes(state, stylegan2_shapes(settings), "StyleGAN2 with a skip image")
    return settings


def stylegan2_shapes(settings: Mapping[str, Any]) -> dict[str, Shape]:
    """Name and shape of every tensor of a StyleGAN2, as in NVIDIA's `G_ema`."""
    w_dim, resolution = settings["w_dim"], COARSEST
    images = settings["image_channels"]
    shapes = mapping_shapes(settings)
    inputs = 0
    while resolution <= settings["resolution"]:
        block = f"synthesis.b{resolution}"
        outputs = min(settings["channel_base"] // resolution, settings["channel_max"])
        if inputs:
            shapes |= _layer(f"{block}.conv0", inputs, outputs, w_dim, resolution)
        else:
            shapes[f"{block}.const"] = (outputs, COARSEST, COARSEST)
        shapes |= _layer(f"{block}.conv1", outputs, outputs, w_dim, resolution)
        shapes |= {
            f"{block}.resample_filter": (4, 4),
            f"{block}.torgb.weight": (images, outputs, 1, 1),
            f"{block}.torgb.bias": (images,),
            f"{block}.torgb.affine.weight": (outputs, w_dim),
            f"{block}.torgb.affine.bias": (outputs,),
        }
        inputs, resolution = outputs, 2 * resolution
    return shapes


def _layer(name: str, inputs: int, outputs: int, w_dim: int, resolution: int) -> dict[str, Shape]:
    return {
        f"{name}.weight": (outputs, inputs, 3, 3),
        f"{name}.bias": (outputs,),
        f"{name}.affine.weight": (inputs, w_dim),
        f"{name}.affine.bias": (inputs,),
        f"{name}.noise_strength": (),
        f"{name}.noise_const": (resolution, resolution),
        f"{name}.resample_filter": (4, 4),
    }


def resample_filters(state: State) -> State:
    """The low-pass filter of every block and layer, for files that keep none."""
    layers = {name.removesuffix(".noise_strength") for name in state if "noise_strength" in name}
    blocks = {layer.rpartition(".")[0] for layer in layers}
    return {f"{owner}.resample_filter": FIR.copy() for owner in sorted(layers | blocks)}


def require_shapes(state: State, expected: Mapping[str, Shape], architecture: str) -> None:
    """Compare every name and every shape.

    Raises:
        RefusedError: naming the first missing, unexpected and misshapen tensors.
    """
    missing = [name for name in expected if name not in state]
    unexpected = [name for name in state if name not in expected]
    misshapen = [name for name in expected if name in state and state[name].shape != expected[name]]
    if missing or unexpected or misshapen:
        raise RefusedError(
            f"a generator that is no {architecture} (missing: {names_shown(missing)}; unexpected: "
            f"{names_shown(unexpected)}; misshapen: {names_shown(misshapen)})"
        )
