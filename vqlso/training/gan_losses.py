"""What a StyleGAN2's two networks minimise (Karras et al. 2020, sections 3 and 4)."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

# How fast the mean path length follows (Karras et al. 2020, section 3.2).
PATH_LENGTH_DECAY = 0.99


def generator_loss(fake: Tensor) -> Tensor:
    """-log sigmoid(D(G(z))), not saturating (Goodfellow et al. 2014, section 3).

    Args:
        fake: (n,) the discriminator's scores of generated images.
    """
    return F.softplus(-fake).mean()


def discriminator_loss(real: Tensor, fake: Tensor) -> Tensor:
    """Logistic loss of telling (n,) scores of real images from those of generated ones."""
    return F.softplus(-real).mean() + F.softplus(fake).mean()


def r1_penalty(scores: Tensor, images: Tensor) -> Tensor:
    """E ||grad D(x)||^2 / 2 over real images (Mescheder et al. 2018, eq. 9), without its gamma.

    Args:
        scores: (n,) of the images, with their graph.
        images: (n, C, H, W) that require gradients.
    """
    (slopes,) = torch.autograd.grad(scores.sum(), images, create_graph=True)
    return slopes.square().sum(dim=(1, 2, 3)).mean() / 2


def path_lengths(images: Tensor, ws: Tensor) -> Tensor:
    """(n,) lengths ||J^T y|| of steps in w for a random step y in the image.

    Karras et al. 2020, eq. 4; y is normal noise of length about 1, drawn from torch's global
    stream. The mean over layers stands for one w.

    Args:
        images: (n, C, H, W) with their graph.
        ws: (n, num_ws, w_dim) that they were made of.
    """
    step = torch.randn_like(images) / math.sqrt(images.shape[2] * images.shape[3])
    (slopes,) = torch.autograd.grad((images * step).sum(), ws, create_graph=True)
    return slopes.square().sum(dim=2).mean(dim=1).sqrt()
