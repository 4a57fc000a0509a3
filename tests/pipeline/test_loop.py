"""The loop on toys: what it journals, when it retrains, how it stops, and how it is restored."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch import Tensor
from toys import SPACE, Mosaic, TurnEvery, WeightedGrey, search, training_set

from pipeline.loop import Budget, Loop
from pipeline.retraining import NoRetraining
from pipeline.runs.folder import RunFolder
from pipeline.runs.journal import Event, Journal, without_time
from pipeline.shift import Settled, ShiftMonitor
from vqlso.errors import ObjectiveError, RunFolderError
from vqlso.images import to_unit
from vqlso.problems.image_score import ImageScore
from vqlso.records import Proposal, Scores

SEEING = WeightedGrey()


def loop_in(path: Path, objective: WeightedGrey = SEEING, **settings: Any) -> Loop:
    """A loop of toys; `every` is the number of queries between retrainings, 0 for none."""
    every = settings.pop("every", 3)
    seed = settings.get("seed", 0)
    return Loop(
        problem=ImageScore(Mosaic(), objective),
        generator=Mosaic(),
        archive=training_set(),
        solver=search(seed),
        folder=RunFolder(path),
        retrainer=TurnEvery(every) if every else NoRetraining(),
        **{"budget": Budget(queries=7)} | settings,
    )


def told(loop: Loop, kind: str | None = None) -> list[Event]:
    return without_time(loop.folder.journal.events(kind))


class Moody(WeightedGrey):
    """Fails where the four greys, in steps from black, add up to an odd number."""

    def __call__(self, images: Tensor) -> np.ndarray:
        if Mosaic().encode(images).sum() % 2:
            raise RuntimeError("not today")
        return super().__call__(images)


class Broken(WeightedGrey):
    """Never answers."""

    def __call__(self, images: Tensor) -> np.ndarray:
        raise RuntimeError("out of order")


def test_a_run_is_told_from_round_0_to_the_end(tmp_path: Path) -> None:
    loop = loop_in(tmp_path)
    loop.run()
    kinds = "".join(event["event"][0] for event in told(loop))
    assert kinds == "rrqqqrqqqrqe"
    assert [event["id"] for event in told(loop, "query")] == list(range(7))
    assert [event["queries"] for event in told(loop, "round")] == [0, 0, 3, 6]
    assert [event["version"] for event in told(loop, "round")] == [
        f"turned {turn}" for turn in range(4)
    ]
    assert loop.finished
    assert len(loop.archive) == loop.archive.base + 7


def test_queries_tell_what_was_proposed_and_scored(tmp_path: Path) -> None:
    loop = loop_in(tmp_path, every=0)
    loop.run()
    for event in told(loop, "query"):
        image = loop.folder.read_image(event["id"])
        z = np.array(event["z"])
        np.testing.assert_array_equal(Mosaic().encode(torch_of(image))[0], z)
        assert event["score"] == pytest.approx(float(WeightedGrey()(torch_of(image))[0]))
        assert event["reencoded_cells"] == 0  # a mosaic loses nothing
        assert event["score"] > event["controls"]["random_codes"] - 1e-9
        assert set(event) >= {"parent", "predicted", "acquisition", "bound", "status", "novel"}


def torch_of(image: np.ndarray) -> Tensor:
    return to_unit(image[None])


def test_novel_means_neither_in_the_archive_nor_asked_before(tmp_path: Path) -> None:
    loop = loop_in(tmp_path, every=0, budget=Budget(queries=40, batch=4))
    loop.run()
    seen = {z.tobytes() for z in training_set().latents("turned 0")}
    queries = told(loop, "query")
    for event in queries:
        z = np.array(event["z"]).tobytes()
        assert event["novel"] is (z not in seen)
        seen.add(z)
    assert {event["novel"] for event in queries} == {True, False}


@pytest.mark.parametrize(
    ("queries", "batch", "every", "retrained_at"),
    [
        (7, 1, 3, [0, 3, 6]),
        (6, 1, 3, [0, 3]),  # none behind the last query
        (7, 2, 3, [0, 4, 6]),  # 3 is stepped over, 6 is met
        (9, 4, 3, [0, 4, 8]),
        (5, 10, 2, [0]),
        (3, 1, 0, []),
    ],
)
def test_retrainings_are_due_by_queries_whatever_the_batch(
    queries: int, batch: int, every: int, retrained_at: list[int], tmp_path: Path
) -> None:
    loop = loop_in(tmp_path, every=every, budget=Budget(queries, batch))
    loop.run()
    assert [event["queries"] for event in told(loop, "round")] == [0, *retrained_at]
    assert [event["id"] for event in told(loop, "query")] == list(range(queries))


def test_retraining_moves_archive_problem_and_solver(tmp_path: Path) -> None:
    loop = loop_in(tmp_path)
    loop.run()
    assert loop.archive.version == loop.generator.version == "turned 3"
    latents = loop.archive.latents("turned 3")
    images = loop.archive.images(slice(None))
    for image, z in zip(images, latents, strict=True):
        np.testing.assert_array_equal(Mosaic(3).encode(torch_of(image))[0], z)
    assert loop.solver.ask(1).version == "turned 3"
    kept = list(tmp_path.glob("rounds/*/generator.safetensors"))
    assert kept == [loop.folder.generator_of(3)]


class StoppedError(Exception):
    """The process ends here."""


def stop_after(patch: pytest.MonkeyPatch, number: int) -> None:
    """End the process, as far as a test can, once so many groups of events are written."""
    append_all, left = Journal.append_all, [number]

    def counted(
        self: Journal,
        kind: str,
        facts: Sequence[Mapping[str, Any]],
        seconds: Mapping[str, float] | None = None,
    ) -> None:
        append_all(self, kind, facts, seconds)
        left[0] -= 1
        if not left[0]:
            raise StoppedError

    patch.setattr(Journal, "append_all", counted)


@pytest.mark.parametrize("objective", [WeightedGrey(), Moody()], ids=["answers", "fails at times"])
@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("monitored", [False, True])
def test_a_run_stopped_anywhere_and_restored_is_the_same_run(
    objective: WeightedGrey, batch: int, monitored: bool, tmp_path: Path, monkeypatch
) -> None:
    monitor = ShiftMonitor(WeightedGrey(), samples=10, components=2) if monitored else None
    settings = {"objective": objective, "budget": Budget(8, batch), "monitor": monitor}
    whole = loop_in(tmp_path / "whole", **settings)
    whole.run()
    groups = sum("more" not in event for event in told(whole))
    for number in range(1, groups + 1):
        path = tmp_path / f"stopped {number}"
        stopped = loop_in(path, **settings)
        with monkeypatch.context() as patch:
            stop_after(patch, number)
            with pytest.raises(StoppedError):
                stopped.run()
        resumed = loop_in(path, **settings)
        resumed.run()
        assert told(resumed) == told(whole)
        np.testing.assert_array_equal(resumed.archive.scores, whole.archive.scores)
        np.testing.assert_array_equal(
            resumed.archive.latents(resumed.generator.version),
            whole.archive.latents(whole.generator.version),
        )


def test_a_finished_run_is_restored_and_left_alone(tmp_path: Path) -> None:
    first = loop_in(tmp_path)
    first.run()
    content = first.folder.journal.path.read_bytes()
    again = loop_in(tmp_path)
    again.run()
    assert first.folder.journal.path.read_bytes() == content
    np.testing.assert_array_equal(again.archive.scores, first.archive.scores)


def test_another_seed_searches_elsewhere(tmp_path: Path) -> None:
    loops = [
        loop_in(tmp_path / name, seed=seed) for name, seed in zip("abc", (0, 0, 1), strict=True)
    ]
    for loop in loops:
        loop.run()
    assert told(loops[0]) == told(loops[1]) != told(loops[2])


def test_failures_cost_budget_and_teach_nothing(tmp_path: Path) -> None:
    loop = loop_in(tmp_path, Moody(), budget=Budget(queries=12))
    loop.run()
    queries = told(loop, "query")
    failed = [event for event in queries if event["score_status"] == "fail"]
    assert len(queries) == 12
    assert 0 < len(failed) < 12
    assert all(event["score"] is None for event in failed)
    assert {event["reason"] for event in failed} == {"RuntimeError: not today"}
    assert len(loop.archive) == loop.archive.base + 12 - len(failed)


@pytest.mark.parametrize("batch", [1, 2])
def test_too_many_failures_in_a_row_end_the_run(batch: int, tmp_path: Path) -> None:
    budget = Budget(queries=50, batch=batch, failures_in_a_row=4)
    loop = loop_in(tmp_path, Broken(), budget=budget)
    with pytest.raises(ObjectiveError, match=f"4 times .*out of order.*resume {tmp_path}"):
        loop.run()
    assert len(told(loop, "query")) == 4
    assert not loop.finished
    mended = loop_in(tmp_path, budget=budget)
    mended.run()
    assert len(told(mended, "query")) == 50
    assert len(mended.archive) == mended.archive.base + 46


def test_failures_before_a_retraining_count_on_after_a_restart(tmp_path: Path) -> None:
    """In a row is in a row, whether the process or the generator changed in between."""
    straight = loop_in(tmp_path / "a", Broken(), budget=Budget(50, failures_in_a_row=5))
    with pytest.raises(ObjectiveError, match="5 times"):
        straight.run()
    first = loop_in(tmp_path / "b", Broken(), budget=Budget(50, failures_in_a_row=4))
    with pytest.raises(ObjectiveError, match="4 times"):
        first.run()
    second = loop_in(tmp_path / "b", Broken(), budget=Budget(50, failures_in_a_row=5))
    with pytest.raises(ObjectiveError, match="5 times"):
        second.run()
    assert told(straight) == told(second)


def test_a_settled_distribution_ends_the_run(tmp_path: Path) -> None:
    """A turn changes codes, not images: the samples' mean stays about where it is."""
    monitor = ShiftMonitor(WeightedGrey(), samples=200, components=2)
    budget = Budget(queries=50, settled=Settled(patience=2, tolerance=1.0))
    loop = loop_in(tmp_path, budget=budget, monitor=monitor)
    loop.run()
    assert loop.finished
    assert len(told(loop, "round")) == 4  # twice the patience
    assert len(told(loop, "query")) == 6


def test_proposing_and_recording_may_stand_apart(tmp_path: Path) -> None:
    """Scores in another order, hours later: the journal is the same."""
    together = loop_in(tmp_path / "a", every=0, budget=Budget(3, batch=3))
    together.run()
    apart = loop_in(tmp_path / "b", every=0, budget=Budget(3, batch=3))
    apart.restore()
    apart._open_round(apart.generator, {}, 0.0)
    proposal = apart.propose()
    scores = together.problem.evaluate(proposal, None)  # type: ignore[arg-type]
    apart.record(proposal, permuted(scores, [2, 0, 1]))
    assert told(apart, "query") == told(together, "query")
    np.testing.assert_array_equal(apart.archive.scores, together.archive.scores)


def permuted(scores: Scores, order: list[int]) -> Scores:
    return Scores(
        ids=scores.ids[order],
        values=scores.values[order],
        status=tuple(scores.status[row] for row in order),
        reason=tuple(scores.reason[row] for row in order),
        images=scores.images[order],
        control_values={name: each[order] for name, each in scores.control_values.items()},
        control_images={name: each[order] for name, each in scores.control_images.items()},
    )


@dataclass(frozen=True)
class Forgets:
    """A problem that leaves the last proposed point unanswered."""

    inner: ImageScore
    space = SPACE

    def evaluate(self, proposal: Proposal, context: object) -> Scores:
        scores = self.inner.evaluate(proposal, context)  # type: ignore[arg-type]
        rows = list(range(len(proposal) - 1))
        return permuted(scores, rows)


def test_an_answer_that_is_missing_is_an_error(tmp_path: Path) -> None:
    loop = loop_in(tmp_path, every=0, budget=Budget(3, batch=3))
    loop.problem = Forgets(loop.problem)  # type: ignore[assignment,arg-type]
    with pytest.raises(ObjectiveError, match=r"\[0, 1\] .* \[0, 1, 2\]"):
        loop.run()
    assert not told(loop, "query")


def test_another_generator_than_the_journal_names_is_refused(tmp_path: Path) -> None:
    loop_in(tmp_path, every=0).run()
    other = loop_in(tmp_path, every=0)
    other.generator = Mosaic(2)
    with pytest.raises(RunFolderError, match=r"generator turned 0, but turned 2 is here"):
        other.run()


def test_times_are_shared_by_the_queries_of_a_batch(tmp_path: Path) -> None:
    loop = loop_in(tmp_path, every=0, budget=Budget(4, batch=4))
    loop.restore()
    proposal = loop.propose()
    proposal = replace(proposal, details={**proposal.details, "seconds": {"fit": 8.0}})
    scores = loop.problem.evaluate(proposal, None)  # type: ignore[arg-type]
    loop.record(proposal, scores, seconds=2.0)
    seconds = [event["time"]["seconds"] for event in loop.folder.journal.events("query")]
    assert seconds == [{"fit": 2.0, "score": 0.5}] * 4
