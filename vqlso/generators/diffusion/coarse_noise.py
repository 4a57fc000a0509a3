"""A small part of the noise as a latent space, and the rest held fixed."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from vqlso.randomness import stream


class CoarseNoise:
    """x = A^T c + (I - A^T A) f, with c the latent and f standard normal noise that stays.

    A takes a channel's block of b x b pixels to its sum / b, one cell of c. Its rows do not overlap
    and have length 1, so A A^T = I: A^T is an isometry onto the noise that is constant on blocks,
    and A^T A projects there. With c and f standard normal, so is x: its covariance
    A^T A + (I - A^T A)^2 is I, for of a projection P both P (I - P) = 0 and (I - P)^2 = I - P.
    Of each pixel's variance of 1, c decides 1 / b^2 and f the remainder. Merely enlarged, c would
    leave out what the network takes for noise; scaled up to variance 1, blocks would show.

    The network looks to the coarse part for layout and colours, which images have most of.

    Args:
        image_size: H = W in pixels, a multiple of `side`.
        side: cells a side of each channel.
        seed: of f.
        device: of what is made.
    """

    def __init__(self, image_size: int, side: int, seed: int, device: torch.device) -> None:
        self.side = side
        self.block = image_size // side
        drawn = stream(seed, "fine noise").standard_normal((1, 3, image_size, image_size))
        whole = torch.from_numpy(drawn).to(device, torch.float32)
        self._fine = whole - self._spread(self.coarse(whole))

    def noise(self, c: Tensor) -> Tensor:
        """(n, 3 h w) latents -> (n, 3, H, W), differentiable in `c`."""
        return self._spread(c) + self._fine

    def coarse(self, noise: Tensor) -> Tensor:
        """(n, 3, H, W) -> (n, 3 h w), A x: the latents whose noise is nearest to this one."""
        return (F.avg_pool2d(noise, self.block) * self.block).flatten(1)

    def _spread(self, c: Tensor) -> Tensor:
        cells = c.view(-1, 3, self.side, self.side)
        return F.interpolate(cells, scale_factor=float(self.block), mode="nearest") / self.block
