"""The numbers of a StyleGAN3, read off its weights, and off its arguments where no shape shows."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from math import isfinite
from typing import Any

from vqlso.errors import ConfigError
from vqlso.generators.import_gan.architecture import (
    Shape,
    mapping_settings,
    mapping_shapes,
    require_shapes,
    shape_of,
)
from vqlso.generators.import_gan.found import Kind, State
from vqlso.generators.import_gan.refusal import RefusedError
from vqlso.generators.stylegan3.settings import LayerGeometry, StyleGAN3Settings

WEIGHT = re.compile(r"synthesis\.L(\d{1,3})_(\d{1,5})_(\d{1,5})\.weight")
# Settings that change what the layers compute and not, or not alone, the shape of a tensor.
WHOLE = ("num_critical", "margin_size", "filter_size", "lrelu_upsampling")
REAL = ("first_cutoff", "first_stopband", "last_stopband_rel", "output_scale")
LARGEST = 4096
DEFAULTS = StyleGAN3Settings()


def stylegan3_settings(
    state: State, arguments: Mapping[str, object], conv_clamp: float | None
) -> tuple[Kind, dict[str, Any]]:
    """The kind and the settings of a StyleGAN3 whose tensors are exactly these.

    Args:
        state: tensors under NVIDIA's names.
        arguments: with which the generator was made.
        conv_clamp: bound on every activation.

    Raises:
        RefusedError: the tensors are not those of a StyleGAN3 with these arguments.
    """
    layers = _layers(state)
    last = layers[-1]
    radial = any(name.endswith("down_filter") and state[name].ndim == 2 for name in state)
    known = {
        "resolution": last[1],
        **mapping_settings(state),
        "channel_max": max([count for _, _, count in layers[:-1]], default=0),
        "image_channels": last[2],
        "num_layers": len(layers) - 1,
        "conv_kernel": shape_of(state, layers[0][0], 4)[2],
        "radial_filters": radial,
        "conv_clamp": conv_clamp,
        **{name: _declared(arguments, name) for name in (*WHOLE, *REAL)},
    }
    known["channel_base"] = 2**30
    try:
        geometry = StyleGAN3Settings.from_dict(known).layers
        settings = known | {"channel_base": _channel_base(geometry, layers)}
        shapes = stylegan3_shapes(StyleGAN3Settings.from_dict(settings))
    except ConfigError as error:
        raise RefusedError(f"a StyleGAN3 with impossible numbers ({error})") from None
    kind: Kind = "stylegan3-r" if radial else "stylegan3-t"
    require_shapes(state, shapes, f"StyleGAN3 ({kind}) with the arguments it was made with")
    return kind, asdict(StyleGAN3Settings.from_dict(settings))


def stylegan3_shapes(settings: StyleGAN3Settings) -> dict[str, Shape]:
    """Name and shape of every tensor of a StyleGAN3 (as in NVIDIA's `G_ema`)."""
    layers, w_dim = settings.layers, settings.w_dim
    first = layers[0].in_channels
    shapes: dict[str, Shape] = mapping_shapes(asdict(settings)) | {
        "synthesis.input.weight": (first, first),
        "synthesis.input.affine.weight": (4, w_dim),
        "synthesis.input.affine.bias": (4,),
        "synthesis.input.transform": (3, 3),
        "synthesis.input.freqs": (first, 2),
        "synthesis.input.phases": (first,),
    }
    for i, layer in enumerate(layers):
        name = f"synthesis.L{i}_{layer.out_size}_{layer.out_channels}"
        shapes |= {
            f"{name}.weight": (layer.out_channels, layer.in_channels, layer.kernel, layer.kernel),
            f"{name}.bias": (layer.out_channels,),
            f"{name}.affine.weight": (layer.in_channels, w_dim),
            f"{name}.affine.bias": (layer.in_channels,),
            f"{name}.magnitude_ema": (),
        }
        if layer.up_taps > 1:
            shapes[f"{name}.up_filter"] = (layer.up_taps,)
        if layer.down_taps > 1:
            shapes[f"{name}.down_filter"] = (layer.down_taps,) * (2 if layer.radial else 1)
    return shapes


def _layers(state: State) -> list[tuple[str, int, int]]:
    """(name of the weight, size, channels) of every layer in order."""
    found = sorted(
        (int(match[1]), int(match[2]), int(match[3]), name)
        for name in state
        if (match := WEIGHT.fullmatch(name))
    )
    if not found or [i for i, *_ in found] != list(range(len(found))):
        raise RefusedError("a StyleGAN3 whose layers are not numbered L0, L1, ...")
    return [(name, size, channels) for _, size, channels, name in found]


def _channel_base(geometry: Sequence[LayerGeometry], layers: Sequence[tuple[str, int, int]]) -> int:
    """The least channel_base that gives the channels of all layers, each a rounded quotient."""
    counts = [count for _, _, count in layers[:-1]]
    cutoffs = [layer.out_cutoff for layer in geometry[:-1]]
    # Half a channel of slack either way; the roundest number within is the one that was meant.
    least = max((c - 0.5) * 2 * f for c, f in zip(counts, cutoffs, strict=True))
    below = [(c + 0.5) * 2 * f for c, f in zip(counts, cutoffs, strict=True) if c < max(counts)]
    most = min(below, default=2 * least)
    for power in range(30, -1, -1):
        candidate = (int(most) >> power) << power
        if candidate >= least:
            return candidate
    return int(most)


def _declared(arguments: Mapping[str, object], name: str) -> float | int:
    """An argument, or the official default where it was left out."""
    value = arguments.get(name, getattr(DEFAULTS, name))
    kinds = (int,) if name in WHOLE else (int, float)
    if not isinstance(value, kinds) or isinstance(value, bool):
        raise RefusedError(f"a StyleGAN3 whose {name} is no number")
    if not isfinite(value) or not 0 <= value <= LARGEST:
        raise RefusedError(f"a StyleGAN3 whose {name} lies outside [0, {LARGEST}]")
    return value
