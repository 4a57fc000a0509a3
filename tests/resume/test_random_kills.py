"""A few of the kills of benchmarks/faults/kills.py, whose hundreds are for the night."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.faults.kills import difference, moment
from benchmarks.faults.stages import NAMES, WHOLE
from vqlso.randomness import stream

if sys.platform != "linux":
    pytest.skip("no such signal here", allow_module_level=True)

REPOSITORY = Path(__file__).parents[2]


def test_runs_killed_at_random_moments_end_as_if_they_had_not_been(tmp_path: Path) -> None:
    chosen = ["--subjects", "search,invert", "--kills", "4", "--seed", "3"]
    result = subprocess.run(
        [sys.executable, "-m", "benchmarks.faults.kills", *chosen, "--results", tmp_path],
        cwd=REPOSITORY,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    told = json.loads((tmp_path / "kills.json").read_text())
    *subjects, everything = told["tables"][0]["rows"]
    assert [row[0] for row in subjects] == ["search", "invert"]
    assert int(everything[1]) >= 4
    assert everything[4] == "0"


def test_moments_are_of_the_whole_run_and_of_every_stage_that_it_has() -> None:
    seconds = {name: [0.5, 0.25] for name in NAMES} | {WHOLE: [10.0], "data": []}
    drawn = [moment(seconds, stream(0, "test", number)) for number in range(400)]
    assert {each.stage for each in drawn} == set(NAMES) - {"data"}
    for each in drawn:
        assert 0 <= each.seconds <= seconds[each.stage][each.number - 1]
    whole = [each for each in drawn if each.stage == WHOLE]
    assert 150 < len(whole) < 250
    assert max(each.seconds for each in whole) > 9


@pytest.mark.parametrize(
    ("story", "words"),
    [
        ({"files": ["a", "b"], "journal": [{"id": 1}]}, ""),
        ({"files": ["a"], "journal": [{"id": 1}]}, "files"),
        ({"files": ["a", "b"], "journal": [{"id": 2}]}, 'journal: {"id": 1} became {"id": 2}'),
        ({"files": ["a", "b"]}, "journal"),
    ],
)
def test_what_differs_is_told(story: dict[str, object], words: str) -> None:
    expected = {"files": ["a", "b"], "journal": [{"id": 1}]}
    told = difference(expected, story)
    assert told.startswith(words)
    assert bool(told) == bool(words)
