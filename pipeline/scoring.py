"""The black box on many images at once: the training set, and samples that are only measured."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vqlso.contracts import Objective
from vqlso.errors import DataError, ObjectiveError
from vqlso.objectives.failures import reason_of


def scores_of(objective: Objective, images: Tensor) -> tuple[NDArray[np.float64], str]:
    """The scores of images, NaN where the black box fails: failures are data here as in the loop.

    A batch that fails is scored image by image, since one that cannot be scored is to take no
    other with it.

    Args:
        objective: the black box.
        images: (n, 3, H, W) float32 in [0, 1].

    Returns:
        (n,) float64, and the reason of the last failure; empty without one.

    Raises:
        DataError: images of a size that the objective does not take: they fail every time.
    """
    try:
        values = np.asarray(objective(images), dtype=np.float64)
        if values.shape != (len(images),):
            raise ObjectiveError(f"shape {values.shape} for {len(images)} images")
    except DataError:
        raise
    except (Exception, SystemExit) as error:
        if len(images) == 1:
            return np.array([np.nan]), reason_of(error)
        answers = [scores_of(objective, image) for image in torch.split(images, 1)]
        reasons = [reason for _, reason in answers if reason]
        return np.concatenate([value for value, _ in answers]), reasons[-1] if reasons else ""
    finite = np.isfinite(values)
    reason = "" if finite.all() else f"the objective returned {values[~finite][-1]}"
    return np.where(finite, values, np.nan), reason
