"""Training the same VQ-VAE as one would who follows a tutorial, and around another quantiser."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

from vqlso.generators.quantizer import DEAD_SHARE, EMA_DECAY
from vqlso.generators.vqvae import VQVAENetwork
from vqlso.training.vqvae import COMMITMENT

HINT = "vector-quantize-pytorch is not installed: pip install -e '.[bench]'"

# pixels in [-1, 1] -> reconstruction, and what the quantiser adds to the loss
Model = Callable[[Tensor], tuple[Tensor, Tensor]]


class PngFolder(Dataset[Tensor]):
    """Images that are decoded whenever they are asked for."""

    def __init__(self, folder: Path) -> None:
        self.paths = sorted(folder.glob("*.png"))

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Tensor:
        pixels = np.asarray(Image.open(self.paths[index]).convert("RGB"))
        return torch.from_numpy(pixels.copy()).permute(2, 0, 1).float() / 127.5 - 1


def write_pngs(images: NDArray[np.uint8], folder: Path) -> PngFolder:
    """(n, 3, H, W) uint8 as one file each."""
    for number, image in enumerate(images):
        Image.fromarray(image.transpose(1, 2, 0)).save(folder / f"{number:06d}.png")
    return PngFolder(folder)


class PlainVQVAE(nn.Module):
    """Our network with its loss."""

    def __init__(self, network: VQVAENetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """(n, 3, H, W) -> the same shape, and the quantiser's loss."""
        reconstruction, quantized = self.network(pixels)
        return reconstruction, quantized.codebook_loss + COMMITMENT * quantized.commitment_loss


class PeerQuantizerVQVAE(nn.Module):
    """Our encoder and decoder around vector-quantize-pytorch with the same rules.

    Raises:
        SystemExit: it is not installed.
    """

    def __init__(self, network: VQVAENetwork, batch_size: int) -> None:
        super().__init__()
        try:
            from vector_quantize_pytorch import VectorQuantize  # type: ignore[import-not-found]
        except ImportError as error:
            raise SystemExit(HINT) from error
        settings = network.settings
        cells = batch_size * (settings.image_size // 8) ** 2
        self.encoder, self.decoder = network.encoder, network.decoder
        self.quantizer = VectorQuantize(
            dim=settings.dimension,
            codebook_size=settings.categories,
            decay=EMA_DECAY,
            commitment_weight=COMMITMENT,
            kmeans_init=True,
            threshold_ema_dead_code=DEAD_SHARE * cells / settings.categories,
            accept_image_fmap=True,
        )

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """(n, 3, H, W) -> the same shape, and the quantiser's loss."""
        vectors, _, loss = self.quantizer(self.encoder(pixels))
        return self.decoder(vectors), loss.sum()


class PlainTraining:
    """float32, one Adam over the parameters, a loader that decodes every image every epoch.

    Args:
        model: trained on from call to call.
        images: its data.
        batch_size: images a step.
        learning_rate: Adam's.
    """

    def __init__(
        self, model: nn.Module, images: PngFolder, batch_size: int, learning_rate: float
    ) -> None:
        self.model = model.train()
        self.loader = DataLoader(images, batch_size, shuffle=True)
        self.optimiser = torch.optim.Adam(model.parameters(), lr=learning_rate)

    def epoch(self) -> None:
        """Every image once."""
        for pixels in self.loader:
            reconstruction, quantization = self.model(pixels)
            loss = F.mse_loss(reconstruction, pixels) + quantization
            self.optimiser.zero_grad()
            loss.backward()
            self.optimiser.step()
