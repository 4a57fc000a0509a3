"""What an edit direction changes: the attribute, all others, and who is shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipeline.editing.problem import Edited
from vqlso.editing import EditEvaluation
from vqlso.metrics.intervals import mean_interval

BATCH = 50  # images at once


@dataclass(frozen=True)
class Changes:
    """What d does to each attribute at full strength, up and down.

    Attributes:
        names: of the k attributes.
        directed: (k,) mean of half the difference between +d and -d.
        half_width: (k,) of its 95 % interval.
        absolute: (k,) mean absolute change, up or down.
        identity: mean cosine of face embeddings before and after; NaN without an embedding.
    """

    names: tuple[str, ...]
    directed: NDArray[np.float64]
    half_width: NDArray[np.float64]
    absolute: NDArray[np.float64]
    identity: float

    @classmethod
    def of(cls, edited: Edited, d: NDArray[np.float64], latents: NDArray[np.float64]) -> Changes:
        """Measured on (n, *shape) latents.

        Args:
            edited: the problem, with what reads attributes and identity.
            d: (*shape).
            latents: of the originals, n >= 2.
        """
        levels, faces = zip(
            *(_seen(edited, latents + step * d) for step in (0, 1, -1)), strict=True
        )
        origin, up, down = levels
        intervals = [mean_interval(column) for column in ((up - down) / 2).T]
        same = [(faces[0] * other).sum(1).mean().item() for other in faces[1:]]
        return cls(
            names=edited.attributes,
            directed=np.array([mean for mean, _ in intervals]),
            half_width=np.array([half for _, half in intervals]),
            absolute=(np.abs(up - origin) + np.abs(down - origin)).mean(0) / 2,
            identity=float(np.mean(same)) if edited.identity else np.nan,
        )

    def others(self, target: str) -> float:
        """The mean absolute change of all attributes but one; NaN where there are no others."""
        kept = [
            value for name, value in zip(self.names, self.absolute, strict=True) if name != target
        ]
        return float(np.mean(kept)) if kept else np.nan

    def facts(self) -> list[dict[str, Any]]:
        """By attribute, for the summary."""
        columns = zip(self.names, self.directed, self.half_width, self.absolute, strict=True)
        keys = ("attribute", "directed", "half_width", "absolute")
        return [dict(zip(keys, each, strict=True)) for each in columns]


def evaluation_of(edited: Edited, originals: int, seed: int) -> EditEvaluation:
    """Originals and strengths of table 2, on as many faces as asked for."""
    return EditEvaluation(
        edited.problem.generator,
        edited.problem.edited_space.name,
        edited.levels,
        edited.target,
        edited.identity,
        originals=originals,
        seed=seed,
        batch_size=BATCH,
    )


def quality(
    edited: Edited, evaluation: EditEvaluation, d: NDArray[np.float64]
) -> tuple[dict[str, Any] | None, str]:
    """Buckets of all edits as table 2 has them, or why there are none."""
    levels = edited.problem.levels(evaluation.latents)
    if not ((levels >= 0) & (levels <= 1)).all():  # neither is NaN
        return None, (
            f"Edits aim at levels from 0 to 1, but '{edited.name}' has levels from "
            f"{np.nanmin(levels):.4g} to {np.nanmax(levels):.4g}."
            if np.isfinite(levels).any()
            else f"'{edited.name}' has no level for any original."
        )
    found = asdict(evaluation.quality(d))
    return {key: found[key] for key in ("buckets", "small", "edits")}, ""


def _seen(edited: Edited, latents: NDArray[np.float64]) -> tuple[NDArray[np.float64], Tensor]:
    """(n, k) levels, and (n, d) embeddings or (0, 0)."""
    space = edited.problem.edited_space.name
    levels, faces = [], [torch.empty(0, 0)] if edited.identity is None else []
    for start in range(0, len(latents), BATCH):
        images = edited.problem.generator.decode(latents[start : start + BATCH], space)
        levels.append(edited.levels(images))
        if edited.identity is not None:
            faces.append(edited.identity(images))
    return np.concatenate(levels), torch.cat(faces)


def changed_by(
    edited: Edited, vectors: Sequence[NDArray[np.float64]], anchors: int, seed: int
) -> list[float]:
    """The mean directed change of one attribute by each vector, on the same anchors."""
    return [edited.problem.effect(d, anchors=anchors, seed=seed).change for d in vectors]
