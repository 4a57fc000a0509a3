"""What a score ascent has achieved: figures of all that was scored, and groups of images."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline import pictures
from pipeline.ascent import groups
from pipeline.ascent.groups import Group
from pipeline.ascent.methods import Climb
from pipeline.ascent.problem import Ascended
from pipeline.ascent.record import EVALUATION, asked_in, latents_in, picture_file
from pipeline.configuration.settings import ExperimentConfig
from pipeline.runs.folder import RunFolder
from vqlso.images import to_unit
from vqlso.metrics.top_k import novel, top_k_curve

CHANGED = "generator.safetensors"
SHOWN = 24
COLUMNS = 8


def measured(
    config: ExperimentConfig, folder: RunFolder, known: Ascended, climb: Climb
) -> dict[str, Any]:
    """Figures for the summary; pictures and a changed generator are written on the way.

    Images that are only measured are not paid for by the budget.
    """
    asked = asked_in(folder)
    fine = np.isfinite(asked.scores)
    images = asked.images[fine]
    judged = known.judge(to_unit(images)) if known.judge else np.empty(0)
    everything = Group(images, asked.scores[fine], judged)
    once = _first_occurrences(latents_in(folder)[fine], images)
    found = {groups.BEST: groups.best_of(everything.only(once))} | _samples(
        config, folder, known, climb
    )
    for name, group in found.items():
        sheet = pictures.grid(group.images[:SHOWN], COLUMNS)
        folder.write(picture_file(name), pictures.png(sheet))
    starts = int(fine[: asked.starts].sum())
    folder.write_arrays(EVALUATION, query_judged=judged[starts:])
    return {
        "queries": len(asked.scores),
        "starts": asked.starts,
        "distinct": int(once.sum()),
        **_figures(everything.scores, once, starts),
        "judge": _figures(judged, once, starts) if len(judged) else None,
        "failures": int((~fine).sum()),
        "groups": {name: groups.facts(each, known, config.seed) for name, each in found.items()},
    }


def _samples(
    config: ExperimentConfig, folder: RunFolder, known: Ascended, climb: Climb
) -> dict[str, Group]:
    """Samples of the generator before and, where it has changed, after; and real images."""
    found = {groups.BEFORE: groups.sampled(known.problem.generator, known, config.seed)}
    if climb.changed is not None:
        changed = climb.changed()
        changed.save(folder.path / CHANGED)
        found[groups.AFTER] = groups.sampled(changed, known, config.seed)
    real = groups.real_ones(known, config.seed)
    return found | ({groups.REAL: real} if real else {})


def _first_occurrences(
    latents: NDArray[np.float64], images: NDArray[np.uint8]
) -> NDArray[np.bool_]:
    """(n,) which rows are neither the latent nor the image of an earlier one.

    Chains begin at the best starts and score them again. A decoder's rounding may depend on the
    batch, so that an image alone would not always tell; nor would a latent, which a network takes
    as float32.
    """
    rounded = latents.astype(np.float32)
    return novel(rounded, rounded[:0]) & novel(images, images[:0])


def _figures(
    scores: NDArray[np.float64], once: NDArray[np.bool_], starts: int
) -> dict[str, float | None]:
    """Best, 10th and 50th best of what is counted once; the best start, and the mean behind it."""
    counted = np.where(once, scores, np.nan)
    return {
        "best": _last(top_k_curve(counted, 1)),
        "top10": _last(top_k_curve(counted, 10)),
        "top50": _last(top_k_curve(counted, 50)),
        "best_start": float(scores[:starts].max()),
        "query_mean": float(scores[starts:].mean()) if len(scores) > starts else None,
    }


def _last(curve: NDArray[np.float64]) -> float | None:
    return float(curve[-1]) if len(curve) and np.isfinite(curve[-1]) else None
