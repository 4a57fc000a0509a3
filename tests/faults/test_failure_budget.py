"""Whether a failure of the black box costs one of the queries, and that a run ends either way."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from torch import Tensor
from toys import Mosaic, TurnEvery, WeightedGrey, search, training_set

from pipeline.loop import Budget, Loop
from pipeline.runs.folder import RunFolder
from pipeline.runs.journal import Event, without_time
from vqlso.errors import ObjectiveError
from vqlso.objectives.retried import RetriedObjective
from vqlso.problems.image_score import ImageScore


@dataclass(frozen=True)
class Choosy(WeightedGrey):
    """Scores what it likes."""

    likes: Callable[[Tensor], bool] = lambda _images: True

    def __call__(self, images: Tensor) -> NDArray[np.float64]:
        if not self.likes(images):
            raise RuntimeError("not this one")
        return super().__call__(images)


ODD = Choosy(likes=lambda images: bool(Mosaic().encode(images).sum() % 2))
NOTHING = Choosy(likes=lambda _images: False)


def loop_in(path: Path, objective: Choosy, failures_count: bool, queries: int = 8) -> Loop:
    return Loop(
        problem=ImageScore(Mosaic(), RetriedObjective(objective, 0, failures_count)),
        generator=Mosaic(),
        archive=training_set(),
        solver=search(),
        retrainer=TurnEvery(3),
        folder=RunFolder(path),
        budget=Budget(queries, failures_in_a_row=30),
    )


def ran(path: Path, objective: Choosy, failures_count: bool) -> list[Event]:
    loop = loop_in(path, objective, failures_count)
    loop.run()
    return without_time(loop.folder.journal.events())


@pytest.mark.parametrize("failures_count", [True, False])
def test_a_budget_counts_failures_or_not(failures_count: bool, tmp_path: Path) -> None:
    events = ran(tmp_path, ODD, failures_count)
    statuses = [event["score_status"] for event in events if event["event"] == "query"]
    assert "fail" in statuses
    counted = len(statuses) if failures_count else statuses.count("ok")
    assert counted == 8 == events[-1]["queries"]
    rounds = [event["queries"] for event in events if event["event"] == "round"]
    assert rounds == [0, 0, 3, 6]  # retrained after every third query that counts


def test_a_resumed_run_counts_alike(tmp_path: Path) -> None:
    whole = ran(tmp_path / "whole", ODD, False)
    journal = (tmp_path / "whole" / "journal.jsonl").read_bytes().splitlines(keepends=True)
    for length in range(1, len(journal)):
        path = tmp_path / str(length)
        for image in (tmp_path / "whole" / "archive").iterdir():
            RunFolder(path).write(f"archive/{image.name}", image.read_bytes())
        opened = [each for each in whole[:length] if each["event"] == "round"]
        RunFolder(path).keep_generator(Mosaic(opened[-1]["round"]), opened[-1]["round"])
        (path / "journal.jsonl").write_bytes(b"".join(journal[:length]))
        assert ran(path, ODD, False) == whole


def test_failures_that_cost_nothing_end_the_run_all_the_same(tmp_path: Path) -> None:
    loop = loop_in(tmp_path, NOTHING, False)
    with pytest.raises(ObjectiveError, match="failed 30 times in a row"):
        loop.run()
    assert loop.queries == 0
