"""The loop that everything runs through: propose, score, record, retrain, journal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.journal import Event
from pipeline.retraining import NoRetraining
from pipeline.run_folder import RunFolder
from pipeline.shift import Settled, ShiftMonitor
from vqlso.archive import Archive
from vqlso.contracts import Problem, RetrainableGenerator, Retrainer, Solver
from vqlso.errors import ObjectiveError, RunFolderError
from vqlso.images import to_unit
from vqlso.progress import SILENT, Progress
from vqlso.records import Context, Proposal, Scores, ScoreStatus


@dataclass(frozen=True)
class Budget:
    """When the loop ends.

    Attributes:
        queries: images that the black box may score; controls and measurements do not count.
        batch: latents a proposal.
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
        seed: the run's seed.
        progress: shows queries with an ETA.
    """

    def __init__(
        self,
        *,
        problem: Problem,
        generator: RetrainableGenerator,
        archive: Archive,
        solver: Solver,
        folder: RunFolder,
        retrainer: Retrainer = NoRetraining(),
        budget: Budget = Budget(),
        monitor: ShiftMonitor | None = None,
        seed: int = 0,
        progress: Progress = SILENT,
    ) -> None:
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
        self.queries = 0
        self.round = -1
        self._failures = 0
        self._means: list[float] = []

    def run(self) -> None:
        """Continue from whatever the journal tells until the budget is spent.

        Raises:
            ObjectiveError: the black box failed too often in a row.
            RunFolderError: the folder cannot be written, or belongs to another generator.
        """
        self.restore()
        if self.finished:
            return
        if self.round < 0:
            self._open_round(self.generator, {}, 0.0)
        with self.progress.task("queries", self.budget.queries) as advance:
            advance(self.queries)
            while not self._exhausted():
                if self._retraining_is_due():
                    self.retrain()
                    continue
                proposal = self.propose()
                started = perf_counter()
                scores = self.problem.evaluate(proposal, Context(self.seed, self.round))
                self.record(proposal, scores, perf_counter() - started)
                advance(len(proposal))
        self.folder.journal.append("end", {"queries": self.queries, "rounds": self.round})

    @property
    def finished(self) -> bool:
        """Whether the journal's last event is the end."""
        return bool(self.folder.journal.events("end"))

    def propose(self) -> Proposal:
        """The solver's next latents, within the budget."""
        return self.solver.ask(min(self.budget.batch, self.budget.queries - self.queries))

    def record(self, proposal: Proposal, scores: Scores, seconds: float = 0.0) -> None:
        """Archive, journal and tell the scores of a proposal.

        Raises:
            ObjectiveError: too many failures in a row; everything up to here is kept.
        """
        known = self.archive.latents(self.archive.version)
        for row, id_ in enumerate(proposal.ids):
            answer = int(np.flatnonzero(scores.ids == id_)[0])
            image = scores.images[answer]
            self.folder.write_image(int(id_), image)
            for role, images in scores.control_images.items():
                self.folder.write_image(int(id_), images[answer], role)
            facts = _query_facts(proposal, row, scores, answer) | {
                "round": self.round,
                "novel": not bool((known == proposal.z[row]).all(axis=(1, 2)).any()),
                "reencoded_cells": self._reencoded_cells(image, proposal.z[row]),
            }
            times = proposal.details.get("seconds", {}) | {"score": seconds}
            share = {stage: value / len(proposal) for stage, value in times.items()}
            self.folder.journal.append("query", facts, share)
        self._absorb(proposal, scores)
        if self._failures >= self.budget.failures_in_a_row:
            raise ObjectiveError(
                f"The objective failed {self._failures} times in a row, lastly with "
                f"'{scores.reason[-1]}'. Mend it, then `vqlso resume {self.folder.path}`."
            )

    def retrain(self) -> None:
        """One retraining: a new generator, the archive re-encoded, the solver rebased."""
        started = perf_counter()
        generator, report = self.retrainer.retrain(
            self.generator, self.archive, seed=self.seed, round_=self.round + 1
        )
        self._move_to(generator)
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
        self.round = rounds[-1]["round"]
        self._means = [event["shift"]["mean"] for event in rounds if event["shift"]]
        queries = [event for event in events if event["event"] == "query"]
        before = [event for event in queries if event["round"] < self.round]
        self._archive_events(before)
        if self.round > 0:
            self._move_to(type(self.generator).load(self.folder.generator_of(self.round)))
        else:
            self.solver.rebase(self.archive)
        if rounds[-1]["version"] != self.generator.version:
            raise RunFolderError(
                f"{self.folder.path} was run with generator {rounds[-1]['version']}, but "
                f"{self.generator.version} is here: data, weights or settings have changed. "
                "Start a new run with another out=DIR."
            )
        self.queries = len(before)
        for event in queries[len(before) :]:
            self._absorb(*self._replayed(event))

    def _exhausted(self) -> bool:
        return self.queries >= self.budget.queries or self.budget.settled.reached(self._means)

    def _retraining_is_due(self) -> bool:
        """Due at this number of queries, and not yet done there."""
        rounds = self.folder.journal.events("round")
        done_here = rounds[-1]["queries"] == self.queries and self.round > 0
        return self.retrainer.due(self.queries) and not done_here

    def _move_to(self, generator: RetrainableGenerator) -> None:
        self.archive.reencode(lambda images: generator.encode(to_unit(images)), generator.version)
        self.generator = generator
        self.problem = self.problem.moved_to(generator)
        self.solver.rebase(self.archive)

    def _open_round(
        self, generator: RetrainableGenerator, measures: Mapping[str, float], seconds: float
    ) -> None:
        """Keep the generator, measure its distribution, and let the round count."""
        round_ = self.round + 1
        if round_ > 0:
            generator.save(self.folder.generator_of(round_))
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
        self.folder.forget_generator_of(self.round)
        self.round = round_
        if shift:
            self._means.append(shift["mean"])

    def _observe(self, round_: int) -> dict[str, Any]:
        if self.monitor is None:
            return {}
        # Round 0 is the generator before any weighting: what it has learnt is the training set.
        uniform = np.full(len(self.archive), 1 / len(self.archive))
        weights = self.retrainer.weights(self.archive) if round_ else uniform
        samples = self.monitor.observe(self.generator, self.archive, weights, round_)
        self.folder.write_arrays(
            f"rounds/{round_:03d}/shift.npz",
            images=samples.images[:16],
            degrees=samples.degrees,
            judged=samples.judged,
        )
        return samples.facts()

    def _absorb(self, proposal: Proposal, scores: Scores) -> None:
        """Take answered points into archive and solver."""
        ok = scores.ok
        position = {int(id_): row for row, id_ in enumerate(proposal.ids)}
        rows = [position[int(id_)] for id_ in scores.ids[ok]]
        self.archive.add(scores.images[ok], scores.values[ok], proposal.z[rows], proposal.version)
        self.solver.tell(proposal, scores)
        self.queries += len(scores.ids)
        for answered in ok:
            self._failures = 0 if answered else self._failures + 1

    def _reencoded_cells(self, image: NDArray[np.uint8], z: NDArray[np.int64]) -> int:
        """How many cells encode(decode(z)) would change: the two need not agree."""
        return int((self.generator.encode(to_unit(image[None]))[0] != z).sum())

    def _archive_events(self, events: list[Event]) -> None:
        for event in events:
            proposal, scores = self._replayed(event)
            ok = scores.ok
            self.archive.add(
                scores.images[ok], scores.values[ok], proposal.z[ok], self.archive.version
            )

    def _replayed(self, event: Event) -> tuple[Proposal, Scores]:
        """The proposal and the scores that a journalled query told of."""
        ids = np.array([event["id"]], dtype=np.int64)
        failed = event["score_status"] != ScoreStatus.OK
        return (
            Proposal(
                ids=ids,
                z=np.array(event["z"], dtype=np.int64)[None],
                space=event["space"],
                version=event["version"],
                parents=np.array([event["parent"]], dtype=np.int64),
                predicted=np.array([_number(event["predicted"])]),
                acquisition=np.array([_number(event["acquisition"])]),
                bound=np.array([_number(event["bound"])]),
                status=(event["status"],),
            ),
            Scores(
                ids=ids,
                values=np.array([np.nan if failed else event["score"]]),
                status=(ScoreStatus(event["score_status"]),),
                reason=(event["reason"],),
                images=self.folder.read_image(event["id"])[None],
            ),
        )


def _query_facts(proposal: Proposal, row: int, scores: Scores, answer: int) -> dict[str, Any]:
    details = {key: value for key, value in proposal.details.items() if key != "seconds"}
    return {
        "id": int(proposal.ids[row]),
        "space": proposal.space,
        "version": proposal.version,
        "parent": int(proposal.parents[row]),
        "z": proposal.z[row].tolist(),
        "predicted": _json(proposal.predicted[row]),
        "acquisition": _json(proposal.acquisition[row]),
        "bound": _json(proposal.bound[row]),
        "status": str(proposal.status[row]),
        "score": _json(scores.values[answer]),
        "score_status": str(scores.status[answer]),
        "reason": scores.reason[answer],
        "controls": {name: _json(values[answer]) for name, values in scores.control_values.items()},
        **details,
    }


def _json(value: float) -> float | None:
    """JSON knows no NaN."""
    return float(value) if np.isfinite(value) else None


def _number(value: float | None) -> float:
    return np.nan if value is None else value
