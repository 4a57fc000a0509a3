"""z -> w: StyleGAN2's mapping network."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vqlso.errors import LatentSpaceError
from vqlso.generators.stylegan2.layers import FullyConnected, normalised

LEARNING_RATE = 0.01


class MappingNetwork(nn.Module):
    """Fully connected layers from z, and a label if there are any, to w.

    The parameters are named as in the official checkpoints: `embed`, `fc0`, ..., `w_avg`.

    Args:
        z_dim: length of z; 0 for a network of labels alone, as in a discriminator.
        c_dim: length of a label; 0 for none.
        w_dim: length of w, and of the layers.
        layers: how many there are.
        averaged: whether a running mean of w is kept, as truncation needs.
    """

    def __init__(
        self, z_dim: int, c_dim: int, w_dim: int, layers: int, *, averaged: bool = True
    ) -> None:
        super().__init__()
        self.z_dim, self.c_dim, self.layers = z_dim, c_dim, layers
        if c_dim:
            self.embed = FullyConnected(c_dim, w_dim)
        widths = [z_dim + (w_dim if c_dim else 0)] + [w_dim] * layers
        for i in range(layers):
            layer = FullyConnected(
                widths[i], widths[i + 1], activated=True, learning_rate=LEARNING_RATE
            )
            self.add_module(f"fc{i}", layer)
        if averaged:
            self.register_buffer("w_avg", torch.zeros(w_dim))
        self.w_avg: Tensor

    def forward(self, z: Tensor | None, label: Tensor | None = None) -> Tensor:
        """(n, z_dim) and (n, c_dim) -> (n, w_dim) float32.

        Raises:
            LatentSpaceError: a label is missing, unwanted or of another length.
        """
        self._require(label)
        parts = [] if z is None else [normalised(z.float())]
        if label is not None:
            parts.append(normalised(self.embed(label.float())))
        x = torch.cat(parts, dim=1)
        for i in range(self.layers):
            x = self.get_submodule(f"fc{i}")(x)
        return x

    def truncated(self, w: Tensor, psi: float) -> Tensor:
        """w drawn towards the mean: w_avg + psi * (w - w_avg); psi = 1 changes nothing."""
        return self.w_avg.lerp(w, psi)

    def _require(self, label: Tensor | None) -> None:
        found = 0 if label is None else label.shape[-1]
        if found != self.c_dim:
            raise LatentSpaceError(
                f"This network is conditioned on labels of length {self.c_dim} (0: on none); got "
                f"one of length {found}."
            )
