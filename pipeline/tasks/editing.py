"""The task `edit`: the vector that changes one attribute of any face (Meißner et al. 2022)."""

from __future__ import annotations

from collections.abc import Sequence
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline import pictures
from pipeline.configuration.settings import ExperimentConfig
from pipeline.editing.keep import Kept, check_kept, keep
from pipeline.editing.problem import Edited, editing_problem
from pipeline.editing.quality import Changes, changed_by, evaluation_of, quality
from pipeline.editing.record import DIRECTION, FOUND, STRIP, Course
from pipeline.editing.search import find, images_a_proposal
from pipeline.parts.direction_solvers import build_direction_solver
from pipeline.runs.folder import RunFolder
from solvers.directions import DirectionFromSamples
from vqlso.editing import conditional, strips
from vqlso.errors import ConfigError, DataError
from vqlso.problems.direction import Direction
from vqlso.progress import Progress
from vqlso.randomness import stream

LOOK_ANCHORS = 50
SUBJECT = "edit.json"


def check_edit(config: ExperimentConfig) -> None:
    """Build what the task will build, so that a mistake shows before anything is made.

    Raises:
        ConfigError, DataError, CheckpointError, LatentSpaceError: naming what is wrong and the
            remedy.
        MissingExtraError: a solver's package is not installed.
    """
    edited = editing_problem(config)
    solver, batch = build_direction_solver(config, edited.problem)
    cost = images_a_proposal(edited.problem, solver, batch)
    if cost > config.queries:
        learns = isinstance(solver, DirectionFromSamples)
        fewer = "solver.samples or edit.anchors" if learns else "edit.anchors"
        raise ConfigError(
            f"queries={config.queries} do not pay for one proposal of solver={config.solver.kind}, "
            f"which takes {cost} images: give more queries or fewer {fewer}."
        )
    check_kept(config.edit.keep, edited)


def edit(config: ExperimentConfig, folder: RunFolder, progress: Progress) -> dict[str, Any]:
    """Search, or continue to search, for the direction, and measure what it changes.

    Writes `direction.safetensors`, `strip.png` and `course.npz`; with attributes to keep also
    `before-keeping.safetensors`, and their own searches under `keep/`.

    Returns:
        The summary.

    Raises:
        DataError: an interrupted run is continued with another generator or attribute.
        VqlsoError: whatever generator, attribute and search raise.
    """
    edited = editing_problem(config)
    _require_same_subject(folder, edited)
    found = find(config, folder, edited.problem, progress)
    kept = [keep(config, folder, edited, each, progress) for each in config.edit.keep]
    began = perf_counter()
    d = conditional(found.d, [each.direction.d for each in kept])
    if kept:
        folder.write(FOUND, edited.direction(found.d).content)
    folder.write(DIRECTION, edited.direction(d).content)
    _course(edited.problem, found.looks, config.seed).write(folder)
    folder.write(STRIP, _strip(config, edited, d))
    measured = _measured(config, edited, found.d, d, kept)
    spent = found.seconds + sum(each.seconds for each in kept) + perf_counter() - began
    return {
        **measured,
        "longest": config.edit.longest,
        "queries": found.images + sum(each.images for each in kept),
        "failures": found.failures,
        "seconds": round(spent, 3),
        "attribute": edited.name,
        "identity_network": edited.identity.name if edited.identity else None,
        "space": edited.problem.edited_space.name,
        "generator": {"version": edited.problem.generator.version, "origin": edited.origin},
        "solver": config.solver.kind,
        "seed": config.seed,
    }


def _require_same_subject(folder: RunFolder, edited: Edited) -> None:
    subject = {
        "generator": edited.problem.generator.version,
        "attribute": edited.name,
        "source": edited.source,
    }
    if not (folder.path / SUBJECT).is_file():
        folder.write_json(SUBJECT, subject)
    known = folder.read_json(SUBJECT)
    different = [key for key in subject if known.get(key) != subject[key]]
    if different:
        raise DataError(
            f"{folder.path} was started with another {' and '.join(different)} than here now: "
            "bring it back, or start a new run with another out=DIR."
        )


def _course(
    problem: Direction, looks: Sequence[tuple[int, NDArray[np.float64]]], seed: int
) -> Course:
    effects = [problem.effect(d, anchors=LOOK_ANCHORS, seed=seed) for _, d in looks]
    return Course(
        images=np.array([images for images, _ in looks]),
        change=np.array([each.change for each in effects]),
        half_width=np.array([each.half_width for each in effects]),
        length=np.array([np.linalg.norm(d) for _, d in looks]),
    )


def _strip(config: ExperimentConfig, edited: Edited, d: NDArray[np.float64]) -> bytes:
    """A row for each face, a column for each strength."""
    space = edited.problem.edited_space
    latents = space.sample(config.edit.faces, stream(config.seed, "shown faces"))
    rows = strips(edited.problem.generator, space.name, latents, d, config.edit.strengths)
    images = rows.reshape(-1, *rows.shape[2:])
    return pictures.png(pictures.grid(images, columns=len(config.edit.strengths)))


def _measured(
    config: ExperimentConfig,
    edited: Edited,
    found: NDArray[np.float64],
    d: NDArray[np.float64],
    kept: Sequence[Kept],
) -> dict[str, Any]:
    """The figures of the summary."""
    effect = edited.problem.effect(d, anchors=config.edit.judges, seed=config.seed)
    evaluation = evaluation_of(edited, config.edit.originals, config.seed)
    changes = Changes.of(edited, d, evaluation.latents)
    buckets, without = quality(edited, evaluation, d)
    return {
        "effect": effect.change,
        "effect_half_width": effect.half_width,
        "raised": effect.raised,
        "lowered": effect.lowered,
        "spread": float(np.ptp(edited.problem.levels(evaluation.latents))),
        "length": float(np.linalg.norm(d)),
        "others": changes.others(edited.name),
        "identity": changes.identity,
        "changes": changes.facts(),
        "quality": buckets,
        "quality_missing": without,
        "kept": [
            {"attribute": each.direction.attribute, "before": before, "after": after}
            for each in kept
            if each.edited is not None
            for before, after in [changed_by(each.edited, (found, d), LOOK_ANCHORS, config.seed)]
        ],
    }
