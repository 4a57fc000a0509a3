"""StyleGAN2's forward pass in NumPy and float64, from the published formulas alone: an oracle.

It reads weights by their official names and shares no code with the package.
"""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Weights = dict[str, Array]

ROOT_TWO = np.sqrt(2.0)


def leaky(x: Array) -> Array:
    return np.where(x > 0, x, 0.2 * x) * ROOT_TWO


def unit_square(x: Array) -> Array:
    return x / np.sqrt((x**2).mean(axis=1, keepdims=True) + 1e-8)


def mapped(weights: Weights, z: Array, layers: int, label: Array | None = None) -> Array:
    """(n, z_dim) -> (n, w_dim)."""
    x = unit_square(z)
    if label is not None:
        matrix, bias = weights["mapping.embed.weight"], weights["mapping.embed.bias"]
        x = np.concatenate(
            [x, unit_square(label @ matrix.T / np.sqrt(matrix.shape[1]) + bias)], axis=1
        )
    for i in range(layers):
        matrix, bias = weights[f"mapping.fc{i}.weight"], weights[f"mapping.fc{i}.bias"]
        x = leaky(x @ matrix.T * (0.01 / np.sqrt(matrix.shape[1])) + 0.01 * bias)
    return x


def style(weights: Weights, layer: str, w: Array) -> Array:
    matrix, bias = weights[f"{layer}.affine.weight"], weights[f"{layer}.affine.bias"]
    return w @ matrix.T / np.sqrt(matrix.shape[1]) + bias


def correlated(image: Array, kernel: Array) -> Array:
    """(C, h, w) with (O, C, k, k), without padding."""
    k = kernel.shape[-1]
    height, width = image.shape[1] - k + 1, image.shape[2] - k + 1
    out = np.zeros((len(kernel), height, width))
    for a in range(k):
        for b in range(k):
            window = image[:, a : a + height, b : b + width]
            out += np.einsum("oc,chw->ohw", kernel[:, :, a, b], window)
    return out


def low_passed(image: Array, fir: Array, before: int, after: int) -> Array:
    """Each channel convolved with 4 times the filter, after padding with zeros."""
    padded = np.pad(image, ((0, 0), (before, after), (before, after)))
    flipped = 4 * fir[::-1, ::-1]
    return np.stack([correlated(channel[None], flipped[None, None])[0] for channel in padded])


def modulated(image: Array, weight: Array, styles: Array, *, up: bool, demodulated: bool) -> Array:
    """One image with a kernel of its own."""
    kernel = weight * styles[None, :, None, None]
    if demodulated:
        kernel = kernel / np.sqrt((kernel**2).sum(axis=(1, 2, 3), keepdims=True) + 1e-8)
    k = weight.shape[-1]
    if not up:
        pad = k // 2
        return correlated(np.pad(image, ((0, 0), (pad, pad), (pad, pad))), kernel)
    _, h, w = image.shape
    out = np.zeros((len(kernel), 2 * h + 1, 2 * w + 1))
    for y in range(h):
        for x in range(w):
            out[:, 2 * y : 2 * y + k, 2 * x : 2 * x + k] += np.einsum(
                "ocab,c->oab", kernel, image[:, y, x]
            )
    return out


def synthesised(
    weights: Weights, ws: Array, resolution: int, *, noise: bool = True, clamp: float = np.inf
) -> Array:
    """(n, num_ws, w_dim) -> (n, 3, H, W) in about [-1, 1]."""
    return np.stack([_one(weights, w, resolution, noise, clamp) for w in ws])


def _one(weights: Weights, ws: Array, resolution: int, noise: bool, clamp: float) -> Array:
    def layer(name: str, x: Array, w: Array, up: bool) -> Array:
        kernel = weights[f"{name}.weight"]
        y = modulated(x, kernel, style(weights, name, w[None])[0], up=up, demodulated=True)
        if up:
            y = low_passed(y, weights[f"{name}.resample_filter"], 1, 1)
        if noise:
            y = y + weights[f"{name}.noise_const"] * weights[f"{name}.noise_strength"]
        return np.clip(leaky(y + weights[f"{name}.bias"][:, None, None]), -clamp, clamp)

    x, image, index, r = weights["synthesis.b4.const"], None, 0, 4
    while r <= resolution:
        block = f"synthesis.b{r}"
        if r > 4:
            x = layer(f"{block}.conv0", x, ws[index], up=True)
            index += 1
        x = layer(f"{block}.conv1", x, ws[index], up=False)
        index += 1
        kernel = weights[f"{block}.torgb.weight"]
        colour = style(weights, f"{block}.torgb", ws[index][None])[0] / np.sqrt(kernel.shape[1])
        rgb = modulated(x, kernel, colour, up=False, demodulated=False)
        rgb = np.clip(rgb + weights[f"{block}.torgb.bias"][:, None, None], -clamp, clamp)
        image = rgb if image is None else rgb + _doubled(image, weights[f"{block}.resample_filter"])
        r *= 2
    assert image is not None
    return image


def _doubled(image: Array, fir: Array) -> Array:
    c, h, w = image.shape
    spread = np.zeros((c, 2 * h, 2 * w))
    spread[:, ::2, ::2] = image
    return low_passed(spread, fir, 2, 1)
