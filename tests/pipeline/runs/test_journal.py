"""The journal: what was written is read back, what was torn did not happen."""

import errno
import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.runs.journal import Journal, plain, without_time
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


@pytest.mark.parametrize("kept", [0, 30, -1, None])
def test_writing_goes_on_behind_the_last_whole_group(path: Path, kept: int | None) -> None:
    """A group of two was being written: a part of its first line, or all of it, is there."""
    before = written(path).path.read_bytes()
    Journal(path).append_all("query", [{"id": 5}, {"id": 6}])
    group = path.read_bytes().removeprefix(before)
    first = group[: group.index(b"\n") + 1]
    path.write_bytes(before + first[:kept])
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


JUNK = [b"123", b"null", b"[]", b"{}", b"junk", b'{"event": "query"}', b'"x"', b"", b"[" * 100_000]


@pytest.mark.parametrize("junk", JUNK)
@pytest.mark.parametrize("line", [1, 3, 6])
def test_junk_is_named_wherever_it_stands(path: Path, junk: bytes, line: int) -> None:
    written(path)
    lines = path.read_bytes().split(b"\n")
    path.write_bytes(b"\n".join([*lines[: line - 1], junk, *lines[line - 1 :]]))
    with pytest.raises(RunFolderError, match=rf"Line {line} of .*journal\.jsonl is damaged"):
        Journal(path).events()


@pytest.mark.parametrize("gone", [0, 1, 2, 3])
def test_a_deleted_line_breaks_the_chain(path: Path, gone: int) -> None:
    lines = written(path).path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:gone] + lines[gone + 1 :]))
    with pytest.raises(RunFolderError, match=rf"Line {gone + 1} .*deleted or moved.*cut it before"):
        Journal(path).events()
    path.write_bytes(b"".join(lines[:gone]))
    Journal(path).append("query", {"id": 9})  # behind what was cut, the chain goes on
    assert Journal(path).events()[-1]["id"] == 9


def test_a_changed_fact_breaks_the_chain_and_another_time_does_not(path: Path) -> None:
    content = written(path).path.read_bytes()
    path.write_bytes(content.replace(b"0.123457", b"0.5"))
    assert len(Journal(path).events()) == 5
    path.write_bytes(content.replace(b'"id": 2', b'"id": 3'))
    with pytest.raises(RunFolderError, match=r"Line 4 .* does not follow"):
        Journal(path).events()


def test_a_journal_without_links_is_read_and_continued(path: Path) -> None:
    events = written(path).events()
    old = [json.dumps(event) + "\n" for event in events]
    path.write_text("".join(old))
    Journal(path).append("end", {})
    assert without_time(Journal(path).events()) == [*without_time(events), {"event": "end"}]
    assert "link" not in path.read_text()


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
