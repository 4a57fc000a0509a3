"""The two halves of a StyleGAN2 generator as one network."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vqlso.generators.stylegan2.mapping import MappingNetwork
from vqlso.generators.stylegan2.settings import StyleGAN2Settings
from vqlso.generators.stylegan2.synthesis import Noise, SynthesisNetwork

# How fast the running mean of w follows (Karras et al. 2019, the official training).
MEAN_W_DECAY = 0.998


class StyleGAN2Network(nn.Module):
    """Mapping and synthesis; the state's names are those of the official checkpoints.

    Attributes:
        settings: the architecture.
        mapping: z -> w.
        synthesis: w -> image.
    """

    def __init__(self, settings: StyleGAN2Settings) -> None:
        super().__init__()
        self.settings = settings
        self.mapping = MappingNetwork(
            settings.z_dim, settings.c_dim, settings.w_dim, settings.mapping_layers
        )
        self.synthesis = SynthesisNetwork(settings)

    def forward(
        self,
        z: Tensor,
        label: Tensor | None = None,
        *,
        mixing: float = 0.0,
        noise: Noise = "random",
        dtype: torch.dtype = torch.float32,
    ) -> tuple[Tensor, Tensor]:
        """Images as training wants them: of mixed styles, and with the latents behind them.

        Args:
            z: (n, z_dim).
            label: (n, c_dim), where the network is conditioned on labels.
            mixing: share of the images whose finer layers take another z's w (Karras et al.
                2019, section 3.1).
            noise: see `SynthesisNetwork.render`.
            dtype: of the convolutions.

        Returns:
            (n, colours, H, W) in about [-1, 1], and the (n, num_ws, w_dim) they were made of.
        """
        ws = self._repeated(self._tracked(self.mapping(z, label)))
        if mixing > 0:
            ws = self._mixed(ws, self._repeated(self.mapping(torch.randn_like(z), label)), mixing)
        return self.synthesis(ws, noise, dtype), ws

    def _repeated(self, w: Tensor) -> Tensor:
        return w.unsqueeze(1).expand(-1, self.settings.num_ws, -1)

    def _tracked(self, w: Tensor) -> Tensor:
        if self.training:
            self.mapping.w_avg.lerp_(w.detach().mean(dim=0), 1 - MEAN_W_DECAY)
        return w

    def _mixed(self, ws: Tensor, others: Tensor, mixing: float) -> Tensor:
        layers = self.settings.num_ws
        crossing = torch.randint(1, layers, (len(ws), 1), device=ws.device)
        unmixed = torch.rand(len(ws), 1, device=ws.device) >= mixing
        crossing = crossing.masked_fill(unmixed, layers)
        finer = torch.arange(layers, device=ws.device) >= crossing
        return torch.where(finer[:, :, None], others, ws)
