"""The task `invert`: the latents whose images are nearest to given pictures (paper 001)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from time import perf_counter
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save

from pipeline import pictures
from pipeline.configuration.settings import ExperimentConfig
from pipeline.inversion.problem import Inverted, inversion_problem
from pipeline.inversion.record import STARTS, Found, found_in, result_file, strip_file
from pipeline.loop import Budget, Loop
from pipeline.parts.target_solvers import build_target_solver, evaluations, searched_problem
from pipeline.runs.folder import RunFolder
from solvers.gradient import GradientSearch
from solvers.inversion import scored_starts
from vqlso.archive import Archive
from vqlso.contracts import EncodingGenerator, Solver
from vqlso.errors import ConfigError, DataError, SolverError
from vqlso.images import to_bytes
from vqlso.objectives.feature_networks import resized
from vqlso.problems.target_image import TargetImage
from vqlso.progress import Progress
from vqlso.randomness import stream
from vqlso.records import Proposal, Scores
from vqlso.spaces import CodeGrid

LATENT = "latent.safetensors"
# Changes some 40 % of the packaged VQ-VAE's codes, and the pictures hardly.
NOISE = 0.05


def check_inversion(config: ExperimentConfig) -> None:
    """Build what the task will build, so that a mistake shows before anything is made.

    Raises:
        ConfigError, DataError, CheckpointError: naming what is wrong and the remedy.
        MissingExtraError: a solver's package is not installed.
    """
    if config.invert.starts >= config.queries:
        raise ConfigError(
            f"invert.starts={config.invert.starts} leaves nothing of queries={config.queries} to "
            "the search: give fewer starts or more queries."
        )
    try:
        build_target_solver(config, inversion_problem(config).problem)
    except SolverError as error:
        raise ConfigError(str(error)) from error


def invert(config: ExperimentConfig, folder: RunFolder, progress: Progress) -> dict[str, Any]:
    """Search, or continue to search, for all targets at once.

    Writes `latent.safetensors`, and for each target the result and a strip of target and result.

    Returns:
        The summary.

    Raises:
        DataError: an interrupted run is continued with other targets.
        VqlsoError: whatever generator, criterion and search raise.
    """
    inverted = inversion_problem(config)
    archive, seconds = _starting_archive(config, folder, inverted)
    problem = searched_problem(config, inverted.problem)
    solver = build_target_solver(config, problem)
    TargetLoop(
        problem=problem,
        archive=archive,
        solver=solver,
        folder=folder,
        budget=Budget(
            queries=problem.targets * evaluations(config),
            batch=config.batch * _points_at_a_time(solver, problem),
        ),
        tolerance=inverted.tolerance,
        seed=config.seed,
        progress=progress,
    ).run()
    found = found_in(folder)
    _write_results(folder, problem, found)
    return _summary(config, folder, inverted, found, seconds)


class TargetLoop(Loop):
    """The loop around a target problem: it also ends when every target is reached.

    Args:
        problem: the targets, row r of the archive being scored by target r % targets.
        archive: the scored starts.
        solver, folder, budget, seed, progress: as `Loop`.
        tolerance: of the criterion; None to go on until the budget is spent.
    """

    def __init__(
        self,
        *,
        problem: TargetImage,
        archive: Archive,
        solver: Solver,
        folder: RunFolder,
        budget: Budget,
        tolerance: float | None,
        seed: int,
        progress: Progress,
    ) -> None:
        super().__init__(
            problem=problem,
            generator=problem.generator,
            archive=archive,
            solver=solver,
            folder=folder,
            budget=budget,
            seed=seed,
            progress=progress,
        )
        self._tolerance = tolerance
        self._best = archive.scores.reshape(-1, problem.targets).max(axis=0)

    def propose(self) -> Proposal:
        """As `Loop`, with the seconds that it took, and without controls.

        Controls tell whether a search beats chance on average; a target needs one answer only,
        and each control would cost as much as a query.
        """
        began = perf_counter()
        proposal = super().propose()
        seconds = {"propose": perf_counter() - began}
        return replace(proposal, controls={}, details={**proposal.details, "seconds": seconds})

    def absorb(self, proposal: Proposal, scores: Scores) -> None:
        super().absorb(proposal, scores)
        told = scores.ok
        np.maximum.at(self._best, scores.ids[told] % len(self._best), scores.values[told])

    def exhausted(self) -> bool:
        return super().exhausted() or self._all_reached()

    def _all_reached(self) -> bool:
        return self._tolerance is not None and bool((self._best >= -self._tolerance).all())


def _points_at_a_time(solver: Solver, problem: TargetImage) -> int:
    """All chains of a gradient method move in one batch anyway."""
    return solver.chains if isinstance(solver, GradientSearch) else problem.targets


def _starting_archive(
    config: ExperimentConfig, folder: RunFolder, inverted: Inverted
) -> tuple[Archive, float]:
    """The scored starts, and the seconds that they took; scored once, whatever is resumed."""
    problem = inverted.problem
    if not (folder.path / STARTS).is_file():
        began = perf_counter()
        first, scores = scored_starts(problem, _starts(config, problem), seed=config.seed)
        folder.write_arrays(
            STARTS,
            names=np.array(inverted.names),
            wanted=to_bytes(problem.wanted),
            version=np.array(problem.version),
            z=first.z,
            values=scores.values,
            images=scores.images,
            seconds=np.array(perf_counter() - began),
        )
    known = folder.read_arrays(STARTS)
    if str(known["version"]) != problem.version:
        raise DataError(
            f"{folder.path} was started with generator {known['version']}, not with "
            f"{problem.version}. Start a new run with another out=DIR."
        )
    if not np.array_equal(known["wanted"], to_bytes(problem.wanted)):
        raise DataError(
            f"{folder.path} was started with other targets than those that are here now "
            f"({config.invert.target}). Start a new run with another out=DIR."
        )
    archive = Archive(known["images"], known["values"], known["z"], problem.version)
    return archive, float(known["seconds"])


def _starts(config: ExperimentConfig, problem: TargetImage) -> NDArray[Any]:
    """(starts * targets, *shape): the same samples for each target, what it is encoded as first.

    Random codes look like nothing: those of a grid are what the target is encoded as under noise.
    """
    rng, n = stream(config.seed, "inversion starts"), config.invert.starts
    if isinstance(problem.space, CodeGrid):
        noisy = [problem.encoded(NOISE, rng) for _ in range(n - 1)]
        return np.concatenate([problem.encoded(), *noisy])
    starts = np.repeat(problem.space.sample(n, rng), problem.targets, axis=0)
    if isinstance(problem.generator, EncodingGenerator):
        starts[: problem.targets] = problem.encoded()
    return starts


def _write_results(folder: RunFolder, problem: TargetImage, found: Sequence[Found]) -> None:
    z = np.stack([each.z for each in found])
    results = to_bytes(problem.generator.decode(z, problem.space.name))
    targets = to_bytes(resized(problem.wanted.float(), problem.generator.image_shape[1:]))
    for place, (target, result) in enumerate(zip(targets, results, strict=True)):
        strip = pictures.png(pictures.grid(np.stack([target, result]), columns=2))
        folder.write(strip_file(found, place), strip)
        folder.write(result_file(found, place), pictures.png(pictures.enlarged(result, 1)))
    header = {
        "space": problem.space.name,
        "generator": problem.version,
        "criterion": problem.criterion.name,
        "targets": json.dumps([each.name for each in found]),
        "values": json.dumps([each.criterion for each in found]),
    }
    folder.write(LATENT, save({"z": torch.from_numpy(z)}, header))


def _summary(
    config: ExperimentConfig,
    folder: RunFolder,
    inverted: Inverted,
    found: Sequence[Found],
    seconds: float,
) -> dict[str, Any]:
    events = folder.journal.events("query")
    spent = sum(sum(event["time"]["seconds"].values()) for event in events)
    tolerance = inverted.tolerance
    reached = [None if tolerance is None else each.criterion <= tolerance for each in found]
    return {
        "targets": len(found),
        "reached": None if tolerance is None else sum(map(bool, reached)),
        "criterion_mean": float(np.mean([each.criterion for each in found])),
        "criterion_starts": float(np.mean([each.at_start for each in found])),
        "queries": sum(len(each.curve) for each in found),
        "gradients": events[-1].get("gradients", 0) if events else 0,
        "seconds": round(seconds + spent, 3),
        "criterion": inverted.problem.criterion.name,
        "tolerance": tolerance,
        "space": inverted.problem.space.name,
        "generator": {"version": inverted.problem.version, "origin": inverted.origin},
        "seed": config.seed,
        "results": [
            {
                "target": each.name,
                "criterion": each.criterion,
                "criterion_of_starts": each.at_start,
                "reached": done,
                "images": len(each.curve),
                "strip": strip_file(found, place),
                "result": result_file(found, place),
            }
            for place, (each, done) in enumerate(zip(found, reached, strict=True))
        ],
    }
