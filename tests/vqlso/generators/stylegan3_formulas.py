"""StyleGAN3's synthesis in NumPy and float64, from the published formulas alone: an oracle.

It reads weights by their official names, takes sizes and rates as plain numbers and shares no code
with the package.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.signal import convolve2d

Array = NDArray[np.float64]
Weights = dict[str, Array]


def waves(weights: Weights, w: Array, size: int, rate: int, bandwidth: float) -> Array:
    """w (w_dim,) -> (C, size, size): equation of section 3.2, one sample at a time."""
    prefix = "synthesis.input."
    matrix, bias = weights[prefix + "affine.weight"], weights[prefix + "affine.bias"]
    t = matrix @ w / np.sqrt(len(w)) + bias
    t = t / np.sqrt(t[0] ** 2 + t[1] ** 2)
    rotation = np.array([[t[0], -t[1], 0], [t[1], t[0], 0], [0, 0, 1]])
    translation = np.array([[1, 0, -t[2]], [0, 1, -t[3]], [0, 0, 1]])
    transform = rotation @ translation @ weights[prefix + "transform"]
    channels = len(weights[prefix + "phases"])
    out = np.zeros((channels, size, size))
    for c in range(channels):
        frequency = weights[prefix + "freqs"][c]
        phase = weights[prefix + "phases"][c] + frequency @ transform[:2, 2]
        turned = frequency @ transform[:2, :2]
        above = np.hypot(*turned) - bandwidth
        amplitude = np.clip(1 - above / (rate / 2 - bandwidth), 0, 1)
        for row in range(size):
            for column in range(size):
                x, y = ((i + 0.5 - size / 2) / rate for i in (column, row))
                angle = turned @ np.array([x, y]) + phase
                out[c, row, column] = amplitude * np.sin(2 * np.pi * angle)
    mixing = weights[prefix + "weight"] / np.sqrt(channels)
    return np.einsum("dc,chw->dhw", mixing, out)


def layer(
    weights: Weights,
    prefix: str,
    x: Array,
    w: Array,
    *,
    up: int,
    down: int,
    out_size: int,
    clamp: float | None,
    to_image: bool,
) -> Array:
    """One layer, for one image."""
    weight, bias = weights[f"{prefix}.weight"], weights[f"{prefix}.bias"]
    matrix, offset = weights[f"{prefix}.affine.weight"], weights[f"{prefix}.affine.bias"]
    style = matrix @ w / np.sqrt(len(w)) + offset
    kernel = weight.shape[-1]
    if to_image:
        modulated = weight * style[None, :, None, None] / np.sqrt(weight[0].size)
    else:
        modulated = weight * style[None, :, None, None]
        modulated = modulated / np.sqrt((modulated**2).sum(axis=(1, 2, 3), keepdims=True))
    x = x / np.sqrt(weights[f"{prefix}.magnitude_ema"])
    padded = np.pad(x, ((0, 0), (kernel - 1,) * 2, (kernel - 1,) * 2))
    y = np.stack(
        [
            sum(
                convolve2d(channel, plane[::-1, ::-1], "valid")
                for channel, plane in zip(padded, planes, strict=True)
            )
            for planes in modulated
        ]
    )
    y = y + bias[:, None, None]
    if to_image:
        return y if clamp is None else np.clip(y, -clamp, clamp)
    first, second = weights[f"{prefix}.up_filter"], weights[f"{prefix}.down_filter"]
    first = np.outer(first, first)
    second = np.outer(second, second) if second.ndim == 1 else second
    # From the size that must come out, backwards.
    wanted = (out_size - 1) * down + len(second) + len(first) - 1
    total = wanted - y.shape[1] * up
    before = (total + up) // 2
    y = np.stack([spread(channel, up, before, total - before) for channel in y])
    y = np.stack([convolve2d(channel, first, "valid") for channel in y]) * up**2
    y = np.where(y > 0, y, 0.2 * y) * np.sqrt(2)
    y = y if clamp is None else np.clip(y, -clamp, clamp)
    return np.stack([convolve2d(channel, second, "valid")[::down, ::down] for channel in y])


def spread(x: Array, factor: int, before: int, after: int) -> Array:
    """Zeros after each sample, then zeros on all sides, or fewer samples."""
    side = len(x) * factor
    out = np.zeros((side, side))
    out[::factor, ::factor] = x
    out = np.pad(out, (max(before, 0), max(after, 0)))
    return out[max(-before, 0) : len(out) - max(-after, 0)][
        :, max(-before, 0) : len(out) - max(-after, 0)
    ]
