"""The journal: what was written is read back, what was torn did not happen."""

import errno
import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.journal import Journal, plain, without_time
from vqlso.errors import RunFolderError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.jsonl"


def written(path: Path) -> Journal:
    journal = Journal(path)
    journal.append("round", {"round": 0})
    journal.append_all("query", [{"id": 0}, {"id": 1}, {"id": 2}], {"fit": 0.1234567})
    journal.append("end", {})
    return journal


def test_events_are_read_back_in_order(path: Path) -> None:
    events = written(path).events()
    assert without_time(events) == [
        {"event": "round", "round": 0},
        {"event": "query", "id": 0, "more": 2},
        {"event": "query", "id": 1, "more": 1},
        {"event": "query", "id": 2},
        {"event": "end"},
    ]
    assert events == Journal(path).events()
    assert [event["id"] for event in Journal(path).events("query")] == [0, 1, 2]


def test_time_is_all_that_two_runs_may_differ_in(path: Path) -> None:
    event = written(path).events("query")[0]
    assert event["time"].keys() == {"at", "seconds"}
    assert event["time"]["seconds"] == {"fit": 0.123457}
    assert "time" not in without_time([event])[0]


def test_a_journal_that_does_not_exist_is_empty(path: Path) -> None:
    assert Journal(path).events() == []
    assert not path.exists()


def test_wherever_it_is_torn_whole_groups_are_left(path: Path) -> None:
    """Every prefix of the file, as a kill at any byte would leave it."""
    everything = written(path).events()
    content = path.read_bytes()
    groups = (0, 1, 4, 5)
    for length in range(len(content) + 1):
        path.write_bytes(content[:length])
        torn = Journal(path)
        events = torn.events()
        assert len(events) in groups
        assert events == everything[: len(events)]
        whole = sum(group <= content[:length].count(b"\n") for group in groups) - 1
        assert len(events) == groups[whole]


@pytest.mark.parametrize("torn", [b'{"event": "query", "id"', b'{"event": "query", "more": 1}\n'])
def test_writing_goes_on_behind_the_last_whole_group(path: Path, torn: bytes) -> None:
    written(path)
    with path.open("ab") as file:
        file.write(torn)
    journal = Journal(path)
    journal.append("query", {"id": 7})
    assert [event["event"] for event in Journal(path).events()] == [
        "round",
        *["query"] * 3,
        "end",
        "query",
    ]


def test_reading_cuts_nothing(path: Path) -> None:
    """Another process may be writing this very line."""
    written(path)
    with path.open("ab") as file:
        file.write(b'{"event": "que')
    before = path.read_bytes()
    Journal(path).events()
    assert path.read_bytes() == before


def test_damage_in_the_middle_is_named(path: Path) -> None:
    written(path)
    lines = path.read_bytes().splitlines(keepends=True)
    lines[1] = b'{"event": \xff\n'
    path.write_bytes(b"".join(lines))
    with pytest.raises(RunFolderError, match=r"Line 2 of .*journal\.jsonl is damaged"):
        Journal(path).events()


def test_a_full_disk_is_named(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(RunFolderError, match=f"No space left.* `vqlso resume {path.parent}`"):
        Journal(path).append("round", {})


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(values)
def test_plain_values_are_json_whatever_they_were(value: object) -> None:
    text = json.dumps(plain(value), allow_nan=False)
    assert json.loads(text) == plain(value)


def test_plain_values_lose_nothing_but_what_json_does_not_know() -> None:
    value = {"a": [1.5, float("nan"), (2, float("inf"))], "b": {"c": -float("inf"), "d": "nan"}}
    assert plain(value) == {"a": [1.5, None, [2, None]], "b": {"c": None, "d": "nan"}}
