"""The smile degree: a classifier's six levels made one continuous score."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vqlso.errors import ConfigError, ObjectiveError

LEVELS = 6


def on_degree_scale(labels: NDArray[np.float64]) -> bool:
    """Whether labels can be degrees from 0 to 5, rather than numbers on a scale of their own."""
    return bool(labels.min() >= 0 and 1 < labels.max() <= LEVELS - 1)


def degree_from_logits(logits: Tensor, temperature: float = 1.0) -> Tensor:
    """Probability-weighted mean of the levels 0..5 (paper 003, section 3, "Optimization task").

    degree = sum_k k * p_k with p = softmax(logits / temperature).

    Args:
        logits: (n, 6) unnormalised log probabilities of the levels 0 to 5.
        temperature: > 0; above 1 softens an overconfident classifier (Guo et al. 2017,
            "On Calibration of Modern Neural Networks").

    Returns:
        (n,) degrees in [0, 5], of the logits' dtype and differentiable.

    Raises:
        ObjectiveError: the logits are not of shape (n, 6).
        ConfigError: the temperature is not positive.
    """
    if logits.ndim != 2 or logits.shape[1] != LEVELS:
        raise ObjectiveError(
            f"A degree needs logits of shape (n, {LEVELS}), one per level; "
            f"got {tuple(logits.shape)}."
        )
    if not temperature > 0:
        raise ConfigError(f"The temperature must be above 0, got {temperature}.")
    levels = torch.arange(LEVELS, dtype=logits.dtype, device=logits.device)
    return torch.softmax(logits / temperature, dim=1) @ levels
