"""What the generators that are made of one trained network share."""

from __future__ import annotations

import hashlib
from typing import Any

from torch import Tensor, nn

from vqlso.errors import DataError, LatentSpaceError


def weights_version(settings: dict[str, Any], network: nn.Module) -> str:
    """Hash of the settings and of all weights, 12 hexadecimal digits."""
    digest = hashlib.sha256(repr(settings).encode())
    for name, tensor in sorted(network.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:12]


def require_images(images: Tensor, shape: tuple[int, int, int], generator: str) -> None:
    """Make sure that a generator is given images of its own size.

    Args:
        images: to be encoded.
        shape: (3, H, W) of the generator.
        generator: its kind, for the error message.

    Raises:
        DataError: images of another shape than (n, 3, H, W).
    """
    if tuple(images.shape[1:]) != shape:
        raise DataError(
            f"This {generator} takes images of shape (n, {', '.join(map(str, shape))}); "
            f"got {tuple(images.shape)}. Resize the images or train a generator for them."
        )


def require_space(asked: str, own: str, generator: str) -> None:
    """Make sure that latents are meant for the space that a generator decodes.

    Raises:
        LatentSpaceError: they are meant for another one.
    """
    if asked != own:
        raise LatentSpaceError(f"A {generator} decodes latents of space '{own}', not '{asked}'.")
