"""The same seed on the same machine tells the same story: the tasks that no other test repeats.

The search is repeated in other processes by tests/resume, and a study by tests/sweep.
"""

import shutil
from pathlib import Path

import pytest
from tiny_runs import vqlso

from benchmarks.faults.kills import difference
from benchmarks.faults.subjects import Subject


@pytest.mark.parametrize("kind", ["invert", "train_gan"])
def test_a_task_repeats(kind: str, tmp_path: Path) -> None:
    stories = []
    for _ in range(2):
        subject = Subject(kind, tmp_path / kind)
        result = vqlso(*subject.begin())
        assert result.exit_code == 0, result.output
        stories.append(subject.story())
        shutil.rmtree(subject.folder)
    assert len(stories[0]["out journal"]) > 2
    assert not difference(*stories)
