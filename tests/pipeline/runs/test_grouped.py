"""Tens of thousands of cheap evaluations through the loop: grouped lines, budget, resume."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from linear_faces import SMILE, LinearFaces, cosine, smile
from toys import TurnEvery

from pipeline.loop import Budget, Loop
from pipeline.runs.folder import RunFolder
from pipeline.runs.journal import Journal, without_time
from solvers.directions import (
    DirectionFromSamples,
    DirectionSearch,
    FindsDirection,
    MeanDifference,
    find_direction,
    start_from,
)
from vqlso.errors import ConfigError, ObjectiveError, RunFolderError
from vqlso.problems.direction import Direction


def problem(**settings: Any) -> Direction:
    return Direction(LinearFaces(), smile(), **{"longest": 1.0, "anchors": 2} | settings)


def search(direction: Direction, seed: int = 0, **settings: Any) -> DirectionSearch:
    return DirectionSearch(direction, **{"radius": 0.1, "seed": seed} | settings)


def loop_in(path: Path, **settings: Any) -> Loop:
    direction = settings.pop("problem", problem())
    solver: FindsDirection = settings.pop("solver", None) or search(direction)
    return Loop(
        problem=direction,
        generator=direction.generator,
        archive=start_from(direction),
        solver=solver,
        folder=RunFolder(path),
        **{"budget": Budget(queries=600, batch=2), "group": 10} | settings,
    )


def test_a_direction_runs_through_the_loop(tmp_path: Path) -> None:
    loop = loop_in(tmp_path)
    loop.run()
    events = loop.folder.journal.events()
    assert [event["event"] for event in events] == ["round", *["proposals"] * 10, "end"]
    assert events[-1]["queries"] == loop.queries == 600  # images: 100 times (2 + 1) * 2
    assert sum(events[1]["sizes"]) == len(events[1]["scores"]) == 20
    assert [event["first"] for event in events[1:-1]] == list(range(0, 200, 20))
    assert len(loop.archive) == 1
    assert not list(tmp_path.glob("archive/*"))
    assert cosine(loop.solver.direction, SMILE) > 0.8


def test_it_finds_what_it_finds_without_a_folder(tmp_path: Path) -> None:
    loop = loop_in(tmp_path, seed=3)
    loop.run()
    found = find_direction(problem(), search(problem()), images=600, seed=3)
    np.testing.assert_array_equal(loop.solver.direction, found.d)
    assert found.images == loop.queries


def test_no_proposal_begins_that_the_budget_cannot_pay_for(tmp_path: Path) -> None:
    loop = loop_in(tmp_path, budget=Budget(queries=35, batch=2))
    loop.run()
    assert loop.queries == 30
    assert sum(sum(event["sizes"]) for event in loop.folder.journal.events("proposals")) == 10


def test_images_that_the_solver_scores_count(tmp_path: Path) -> None:
    solver = DirectionFromSamples(problem(), MeanDifference(), samples=100)
    loop = loop_in(tmp_path, solver=solver, budget=Budget(queries=330, batch=1))
    loop.run()
    assert loop.queries == 3 * (100 + (1 + 1) * 2)
    again = loop_in(tmp_path, solver=DirectionFromSamples(problem(), MeanDifference(), samples=100))
    again.restore()
    assert again.queries == loop.queries
    np.testing.assert_array_equal(again.solver.direction, loop.solver.direction)


class StoppedError(Exception):
    """The process ends here."""


@pytest.mark.parametrize("lines", [1, 2, 6, 10])
def test_a_killed_run_ends_like_one_that_was_not(
    lines: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = loop_in(tmp_path / "whole")
    whole.run()
    append, left = Journal.append_all, [lines]

    def counted(self: Journal, *args: Any) -> None:
        if left[0] == 0:
            raise StoppedError
        left[0] -= 1
        append(self, *args)

    killed = loop_in(tmp_path / "killed")
    with monkeypatch.context() as patch:
        patch.setattr(Journal, "append_all", counted)
        with pytest.raises(StoppedError):
            killed.run()
    resumed = loop_in(tmp_path / "killed")
    resumed.run()
    np.testing.assert_array_equal(resumed.solver.direction, whole.solver.direction)
    assert without_time(resumed.folder.journal.events()) == without_time(
        whole.folder.journal.events()
    )


def test_a_finished_run_gives_its_direction_again(tmp_path: Path) -> None:
    loop = loop_in(tmp_path, solver=search(problem(), restart_after=30, judges=10))
    loop.run()
    again = loop_in(tmp_path, solver=search(problem(), restart_after=30, judges=10))
    again.run()
    np.testing.assert_array_equal(again.solver.direction, loop.solver.direction)
    assert again.queries == loop.queries


def test_another_solver_cannot_continue(tmp_path: Path) -> None:
    loop_in(tmp_path).run()
    with pytest.raises(RunFolderError, match=r"from id 0 on.*settings"):
        loop_in(tmp_path, solver=search(problem(), seed=1)).restore()


def moody(images: Any) -> np.ndarray:
    levels = smile()(images)
    return np.where(levels < 0.3, np.nan, levels)


def test_failures_are_journalled_and_restored(tmp_path: Path) -> None:
    direction = replace(problem(), objective=moody)
    loop = loop_in(tmp_path, problem=direction)
    loop.run()
    told = loop.folder.journal.events("proposals")
    failed = {int(id_): why for event in told for id_, why in event["reasons"].items()}
    assert 20 < len(failed) < 180
    assert set(failed.values()) == {"the objective returned nan"}
    scores = [score for event in told for score in event["scores"]]
    assert [id_ for id_, score in enumerate(scores) if score is None] == sorted(failed)
    again = loop_in(tmp_path, problem=direction)
    again.run()
    np.testing.assert_array_equal(again.solver.direction, loop.solver.direction)


def test_too_many_failures_in_a_row_are_kept_and_end_the_run(tmp_path: Path) -> None:
    nothing = replace(problem(), objective=lambda images: np.full(len(images), np.nan))
    loop = loop_in(tmp_path, problem=nothing, group=100)
    with pytest.raises(ObjectiveError, match="20 times in a row"):
        loop.run()
    (event,) = loop.folder.journal.events("proposals")
    assert event["scores"] == [None] * 20


def test_the_generator_of_grouped_proposals_is_not_retrained(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="retrainer=none"):
        loop_in(tmp_path, retrainer=TurnEvery(3))
