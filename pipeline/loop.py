"""The loop that everything runs through: propose, score, record, retrain, journal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.retraining import NoRetraining
from pipeline.runs.folder import RunFolder
from pipeline.runs.grouped import ProposalGroup, asked_again
from pipeline.runs.journal import Event
from pipeline.runs.query_log import QueryLog, is_novel, rows_of_answers
from pipeline.runs.replay import replayed
from pipeline.shift import Settled, ShiftMonitor
from vqlso.archive import Archive
from vqlso.contracts import (
    CountsFailures,
    CountsImages,
    DifferentiableProblem,
    EncodingGenerator,
    FollowsProblem,
    Generator,
    KeepsSurrogate,
    Problem,
    RetrainableGenerator,
    Retrainer,
    Solver,
)
from vqlso.errors import ConfigError, ObjectiveError, RunFolderError
from vqlso.images import to_unit
from vqlso.progress import SILENT, Progress
from vqlso.records import Context, Proposal, Scores
from vqlso.spaces import CodeGrid

SAMPLES_SHOWN = 16


@dataclass(frozen=True)
class Budget:
    """When the loop ends.

    Attributes:
        queries: images that the black box may score; controls and measurements do not count, and
            failures where the problem says so (`CountsFailures`).
        batch: latents a proposal. Cut at the end of the budget, except where the problem counts
            its own images: then the loop ends where no whole proposal can be paid for.
        failures_in_a_row: failed scorings after which the loop gives up.
        settled: the earlier end, when the generator's distribution no longer moves.
    """

    queries: int = 500
    batch: int = 1
    failures_in_a_row: int = 20
    settled: Settled = Settled()


class Loop:
    """Alternates search and retraining until the budget is spent (paper 003, figure 2).

    `propose` and `record` may stand apart by any time; `run` merely alternates them.

    Args:
        problem: scores proposals.
        generator: the generator before any retraining.
        archive: the scored training set under that generator; grows by every query.
        solver: the outer search.
        retrainer: changes the generator between rounds.
        folder: where everything is kept; an interrupted run in it is continued.
        budget: when to stop.
        monitor: measures the generator's distribution after each round, if wanted.
        group: proposals a line of the journal, for tens of thousands of cheap evaluations whose
            latents and images are then neither archived nor kept; 0 for a line, an image and a
            row of the archive for each query.
        seed: the run's seed.
        progress: shows queries with an ETA.

    Raises:
        ConfigError: proposals are to be grouped, but the generator is to be retrained on them.
    """

    def __init__(
        self,
        *,
        problem: Problem,
        generator: Generator,
        archive: Archive,
        solver: Solver,
        folder: RunFolder,
        retrainer: Retrainer = NoRetraining(),
        budget: Budget = Budget(),
        monitor: ShiftMonitor | None = None,
        group: int = 0,
        seed: int = 0,
        progress: Progress = SILENT,
    ) -> None:
        if group and not isinstance(retrainer, NoRetraining):
            raise ConfigError(
                "Grouped proposals are not archived, so no generator can be retrained on them: use "
                "retrainer=none."
            )
        self.problem = problem
        self.generator = generator
        self.archive = archive
        self.solver = solver
        self.folder = folder
        self.retrainer = retrainer
        self.budget = budget
        self.monitor = monitor
        self.seed = seed
        self.progress = progress
        self.group = ProposalGroup(folder.journal, group) if group else None
        self.log = QueryLog(folder)
        self.queries = 0
        self.round = -1
        self._round_began = 0
        self._failures = 0
        self._means: list[float] = []

    def run(self) -> None:
        """Continue from whatever the journal tells until the budget is spent.

        Raises:
            ObjectiveError: the black box failed too often in a row.
            RunFolderError: the folder cannot be written, or belongs to another generator.
            VqlsoError: whatever solver, problem and retrainer raise.
        """
        self.restore()
        if self.finished:
            return
        if self.round < 0:
            self._open_round(self.generator, {}, 0.0)
        with self.progress.task("queries", self.budget.queries) as advance:
            advance(self.queries)
            while not self.exhausted():
                if self._retraining_is_due():
                    self.retrain()
                    continue
                proposal = self.propose()
                started, before = perf_counter(), self.queries
                scores = self.problem.evaluate(proposal, Context(self.seed, self.round))
                self.record(proposal, scores, perf_counter() - started)
                advance(self.queries - before)
        if self.group is not None:
            self.group.write()
        self.log.end(self.round)
        self.folder.journal.append("end", {"queries": self.queries, "rounds": self.round})

    @property
    def finished(self) -> bool:
        """Whether the journal's last event is the end."""
        return bool(self.folder.journal.events("end"))

    def propose(self) -> Proposal:
        """The solver's next latents, within the budget."""
        proposal = self.solver.ask(self._batch)
        if self.queries == self._round_began and isinstance(self.solver, KeepsSurrogate):
            self.folder.keep_surrogate(self.solver, max(self.round, 0))
        return proposal

    def record(self, proposal: Proposal, scores: Scores, seconds: float = 0.0) -> None:
        """Archive, journal and tell the scores of a proposal, given in any order.

        Raises:
            ObjectiveError: a score is missing, or too many failures in a row; everything up to
                here is kept.
        """
        answers = rows_of_answers(proposal, scores)
        if self.group is None:
            self.log.write(proposal, scores, self._measured(proposal, scores, answers), seconds)
        else:
            self.group.add(proposal, scores, seconds)
        self.absorb(proposal, scores)
        if self._failures >= self.budget.failures_in_a_row:
            if self.group is not None:
                self.group.write()
            raise ObjectiveError(
                f"The objective failed {self._failures} times in a row, lastly with "
                f"'{scores.reason[answers[-1]]}'. Mend it, then "
                f"`vqlso resume {self.folder.path}`, with --force if that changes its source."
            )

    def retrain(self) -> None:
        """One retraining: a new generator, the archive re-encoded, the solver rebased."""
        started = perf_counter()
        generator, report = self.retrainer.retrain(
            self._retrainable, self.archive, seed=self.seed, round_=self.round + 1
        )
        self._move_to(generator)
        self.log.end(self.round)
        self.folder.keep_generator(generator, self.round + 1)
        self._open_round(generator, report.measures, perf_counter() - started)

    def restore(self) -> None:
        """Rebuild the state that the journal tells of; does nothing for a fresh folder.

        Raises:
            RunFolderError: the kept generator is not the one that the journal names.
        """
        events = self.folder.journal.events()
        rounds = [event for event in events if event["event"] == "round"]
        if not rounds:
            self.solver.rebase(self.archive)
            return
        self.round, self._round_began = rounds[-1]["round"], rounds[-1]["queries"]
        self._means = [event["shift"]["mean"] for event in rounds if event["shift"]]
        queries = [event for event in events if event["event"] == "query"]
        earlier = [event for event in queries if event["round"] < self.round]
        self.solver.rebase(self.archive)
        # Codes of earlier rounds are of generators that are gone: they only keep the places of
        # their images until these are encoded anew.
        self.replay(earlier, self.archive.version)
        if self.round > 0:
            self._move_to(self.folder.kept_generator(type(self._retrainable), self.round))
        if rounds[-1]["version"] != self.generator.version:
            raise RunFolderError(
                f"{self.folder.path} was run with generator {rounds[-1]['version']}, but "
                f"{self.generator.version} is here: data, weights or settings have changed. "
                "Start a new run with another out=DIR."
            )
        self.folder.forget_before(self.round)  # a kill may have come before it was done
        self.log.begin(queries[len(earlier) :])
        self.replay(queries[len(earlier) :], self.generator.version)
        for group in (event for event in events if event["event"] == "proposals"):
            for proposal, scores in asked_again(group, self.solver):
                self.absorb(proposal, scores)

    def _measured(
        self, proposal: Proposal, scores: Scores, answers: NDArray[np.int64]
    ) -> list[dict[str, Any]]:
        """What a query's line tells beyond what was proposed and answered."""
        known = self.archive.latents(self.archive.version)
        return [
            {"round": self.round, "novel": is_novel(proposal.z[row], known, proposal.z[:row])}
            | self.reencoded(scores.images[answer], proposal.z[row])
            for row, answer in enumerate(answers)
        ]

    @property
    def _batch(self) -> int:
        """Latents of the next proposal: never more than remain, where each takes one image."""
        if isinstance(self.problem, CountsImages):
            return self.budget.batch
        return min(self.budget.batch, self.budget.queries - self.queries)

    def exhausted(self) -> bool:
        """Whether the run ends here; what else may end it is for subclasses to say."""
        if self.queries >= self.budget.queries or self.budget.settled.reached(self._means):
            return True
        own = self.solver.images_of(self._batch) if isinstance(self.solver, CountsImages) else 0
        cost = own + _images_of(self.problem, self._batch)
        return self.queries + cost > self.budget.queries

    def absorb(self, proposal: Proposal, scores: Scores) -> None:
        """Take answered points into archive and solver, in the order of the proposal."""
        answers = rows_of_answers(proposal, scores)
        ok = scores.ok[answers]
        answered = answers[ok]
        if self.group is None:
            self.archive.add(
                scores.images[answered], scores.values[answered], proposal.z[ok], proposal.version
            )
        self.solver.tell(proposal, scores)
        counted = len(proposal) if _failures_count(self.problem) else int(ok.sum())
        self.queries += _images_of(self.problem, counted) + proposal.details.get("images", 0)
        for fine in ok:
            self._failures = 0 if fine else self._failures + 1

    def _retraining_is_due(self) -> bool:
        """Due at any number of queries since the last one: a batch may step over it."""
        if isinstance(self.retrainer, NoRetraining):
            return False  # else a long search would ask for all its queries after each one
        first = self._round_began + 1 if self.round > 0 else 0
        return any(self.retrainer.due(number) for number in range(first, self.queries + 1))

    def _move_to(self, generator: RetrainableGenerator) -> None:
        self.archive.reencode(lambda images: generator.encode(to_unit(images)), generator.version)
        self.generator = generator
        self.problem = self.problem.moved_to(generator)
        if isinstance(self.solver, FollowsProblem) and isinstance(
            self.problem, DifferentiableProblem
        ):
            self.solver.follow(self.problem)
        self.solver.rebase(self.archive)

    def _open_round(
        self, generator: Generator, measures: Mapping[str, float], seconds: float
    ) -> None:
        """Measure the generator's distribution, and let the round count."""
        round_ = self.round + 1
        started = perf_counter()
        shift = self._observe(round_)
        self.folder.journal.append(
            "round",
            {
                "round": round_,
                "queries": self.queries,
                "version": generator.version,
                "fit": dict(measures),
                "shift": shift,
            },
            {"retrain": seconds, "measure": perf_counter() - started},
        )
        self.folder.forget_before(round_)
        self.round, self._round_began = round_, self.queries
        if shift:
            self._means.append(shift["mean"])

    def _observe(self, round_: int) -> dict[str, Any]:
        if self.monitor is None:
            return {}
        # Round 0 is the generator before any weighting: what it has learnt is the training set.
        uniform = np.full(len(self.archive), 1 / len(self.archive))
        weights = self.retrainer.weights(self.archive) if round_ else uniform
        samples = self.monitor.observe(self.generator, self.archive, weights, round_)
        if len(samples.degrees):
            self.folder.write_arrays(
                f"rounds/{round_:03d}/shift.npz",
                images=samples.images[:SAMPLES_SHOWN],
                degrees=samples.degrees,
                judged=samples.judged,
            )
        return samples.facts()

    def reencoded(self, image: NDArray[np.uint8], z: NDArray[Any]) -> dict[str, float]:
        """How far encode(decode(z)) is from z, in cells or in length: the two need not agree."""
        if not isinstance(self.generator, EncodingGenerator):
            return {}
        again = self.generator.encode(to_unit(image[None]))[0]
        if isinstance(self.generator.space, CodeGrid):
            return {"reencoded_cells": int((again != z).sum())}
        return {"reencoded_distance": float(np.linalg.norm(again - z))}

    @property
    def _retrainable(self) -> RetrainableGenerator:
        if not isinstance(self.generator, RetrainableGenerator):
            raise ConfigError(
                f"A {type(self.generator).__name__} has no encoder, without which the archive's "
                "latents are lost at the first retraining: use retrainer=none."
            )
        return self.generator

    def replay(self, events: list[Event], version: str) -> None:
        """Absorb what journalled queries told of, as latents of this generator version."""
        if not events:
            return
        images = np.stack([self.folder.read_image(event["id"]) for event in events])
        self.absorb(*replayed(events, images, version))


def _images_of(problem: Problem, n: int) -> int:
    return problem.images_of(n) if isinstance(problem, CountsImages) and n else n


def _failures_count(problem: Problem) -> bool:
    return not isinstance(problem, CountsFailures) or problem.failures_count
