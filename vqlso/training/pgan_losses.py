"""What a PGAN's two networks minimise: paper 001, equations (1) to (3), and what they refer to."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F


def class_loss(logits: Tensor, labels: Tensor, classes: Sequence[int]) -> Tensor:
    """Equation (1): the cross-entropies of all groups of classes, added up, mean over images.

    Args:
        logits: (n, sum(classes)), one column a class of each group.
        labels: (n, groups) integers, the index of a class in each group.
        classes: how many classes each group has.
    """
    parts = torch.split(logits, list(classes), dim=1)
    losses = [F.cross_entropy(part, labels[:, i]) for i, part in enumerate(parts)]
    return torch.stack(losses).sum()


def wasserstein_loss(real: Tensor, fake: Tensor) -> Tensor:
    """E D(G(z)) - E D(x), from (n,) scores of real images and of generated ones."""
    return fake.mean() - real.mean()


def gradient_penalty(scores: Tensor, images: Tensor) -> Tensor:
    """E (||grad D(x)|| - 1)^2 over images between real and generated ones, without its weight.

    Gulrajani et al. 2017, "Improved Training of Wasserstein GANs", eq. 3.

    Args:
        scores: (n,) of the images, with their graph.
        images: (n, C, H, W) that require gradients.
    """
    (slopes,) = torch.autograd.grad(scores.sum(), images, create_graph=True)
    lengths = slopes.square().sum(dim=(1, 2, 3)).sqrt()
    return (lengths - 1).square().mean()


def between(real: Tensor, fake: Tensor) -> Tensor:
    """Images on the lines from real to generated ones, at places drawn from torch's stream."""
    place = torch.rand(len(real), 1, 1, 1, device=real.device)
    return real.lerp(fake, place)
