"""Sessions of several people in one server: apart, one computation at a time, nothing lost."""

import json
from collections.abc import Callable
from pathlib import Path
from threading import Event, Thread

import numpy as np
import pytest

from pipeline.evolution.generators import NAMED
from pipeline.evolution.page import sessions as sessions_module
from pipeline.evolution.page.calls import Calls, offered
from pipeline.evolution.page.drafts import draft_of
from pipeline.evolution.page.runs import RunsFolder
from pipeline.evolution.page.sessions import OpenSessions
from pipeline.evolution.page.uploads import Uploads
from pipeline.evolution.session import EvolutionSession
from pipeline.evolution.settings import EvolutionSettings
from pipeline.runs.folder import RunFolder
from vqlso.errors import DataError, RunFolderError, VqlsoError


@pytest.fixture
def sessions(tmp_path: Path) -> OpenSessions:
    return OpenSessions(RunsFolder(tmp_path / "runs"), EvolutionSession)


@pytest.fixture
def calls(sessions: OpenSessions, uploads: Uploads, defaults: EvolutionSettings) -> Calls:
    return Calls(sessions, uploads, defaults)


@pytest.fixture
def uploads() -> Uploads:
    return Uploads()


def picks(state: dict, *rows: int) -> list[int]:
    return [rows.count(row) for row in range(len(state["images"]))]


def advance(sessions: OpenSessions, name: str, *rows: int) -> dict:
    state = sessions.state(name)
    sessions.advance(name, state["revision"], picks(state, *rows), None)
    return sessions.state(name)


def test_a_session_goes_on_and_back(sessions: OpenSessions, defaults: EvolutionSettings) -> None:
    name = sessions.begin(defaults)
    first = sessions.state(name)
    assert (first["step"], first["favourite"], first["history"]) == (0, None, [])
    second = advance(sessions, name, 3, 3, 5)
    assert second["step"] == 1
    assert second["favourite"] == first["images"][3]
    assert second["history"][0]["picked"] == {3: 2, 5: 1}
    assert len(second["history"][0]["thumbnails"]) == 2
    sessions.go_back(name, 0)
    assert sessions.state(name) == first
    json.dumps(first)


def test_two_people_have_two_sessions(sessions: OpenSessions, defaults: EvolutionSettings) -> None:
    mine, yours = sessions.begin(defaults), sessions.begin(defaults)
    before = sessions.state(yours)
    advance(sessions, mine, 1)
    assert sessions.state(yours) == before
    assert mine != yours


def test_another_server_goes_on_where_it_stands(
    sessions: OpenSessions, defaults: EvolutionSettings
) -> None:
    name = sessions.begin(defaults)
    state = advance(sessions, name, 2)
    assert OpenSessions(sessions.runs, EvolutionSession).state(name) == state


def test_few_sessions_are_kept_open_and_none_is_lost(
    sessions: OpenSessions, defaults: EvolutionSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions_module, "KEPT_OPEN", 1)
    names = [sessions.begin(defaults) for _ in range(2)]
    states = [advance(sessions, name, row) for row, name in enumerate(names)]
    assert [sessions.state(name) for name in names] == states
    assert len(sessions._open) == 1


def test_picks_for_other_images_are_refused(
    sessions: OpenSessions, defaults: EvolutionSettings
) -> None:
    name = sessions.begin(defaults)
    old = sessions.state(name)
    new = advance(sessions, name, 1)
    with pytest.raises(DataError, match="Pick from those that you see now"):
        sessions.advance(name, old["revision"], picks(old, 1), None)
    assert sessions.state(name) == new


def test_a_second_click_while_computing_changes_nothing(
    sessions: OpenSessions, defaults: EvolutionSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = sessions.begin(defaults)
    state = sessions.state(name)
    began, may_end = Event(), Event()
    pick: Callable = EvolutionSession.pick

    def slow(self: EvolutionSession, *given: object) -> None:
        began.set()
        assert may_end.wait(60)
        pick(self, *given)

    monkeypatch.setattr(EvolutionSession, "pick", slow)
    first = Thread(target=sessions.advance, args=(name, state["revision"], picks(state, 4), None))
    first.start()
    assert began.wait(60)
    assert sessions.state(name) == {**state, "busy": True}
    with pytest.raises(RunFolderError, match="still being made"):
        sessions.advance(name, state["revision"], picks(state, 4), None)
    with pytest.raises(RunFolderError, match="still being made"):
        sessions.go_back(name, 0)
    may_end.set()
    first.join()
    assert sessions.state(name)["step"] == 1
    assert len(RunFolder(sessions.runs.path(name)).journal.events("query")) == len(state["images"])


def test_what_went_on_elsewhere_is_read_anew(
    sessions: OpenSessions, defaults: EvolutionSettings
) -> None:
    name = sessions.begin(defaults)
    state = sessions.state(name)
    elsewhere = EvolutionSession.open(RunFolder(sessions.runs.path(name)))
    elsewhere.pick(picks(state, 6))
    with pytest.raises(RunFolderError, match="elsewhere"):
        sessions.advance(name, state["revision"], picks(state, 1), None)
    assert sessions.state(name)["history"][0]["picked"] == {6: 1}


def test_a_downloaded_session_is_gone_on_with(
    sessions: OpenSessions, calls: Calls, uploads: Uploads, defaults: EvolutionSettings
) -> None:
    name = sessions.begin(defaults)
    state = advance(sessions, name, 3)
    with sessions.reading(name) as session:
        archive = session.archive_zip()
    answer = calls.begin({"start": "session", "upload": uploads.keep(archive)})
    assert answer["session"] != name
    assert sessions.state(answer["session"])["images"] == state["images"]


def test_picks_that_were_not_sent_outlive_browser_and_server(
    sessions: OpenSessions, defaults: EvolutionSettings
) -> None:
    name = sessions.begin(defaults)
    state = sessions.state(name)
    assert state["picked"] is None
    clicked = picks(state, 2, 2, 5)
    draft = {"shown": state["revision"], "counts": clicked}
    sessions.keep_picks(name, json.dumps(draft).encode())
    elsewhere = OpenSessions(sessions.runs, EvolutionSession)
    assert elsewhere.state(name) == {**state, "picked": clicked}
    assert advance(elsewhere, name, 2)["picked"] is None
    elsewhere.go_back(name, 0)
    assert elsewhere.state(name)["picked"] == clicked


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"{", b"[" * 50_000, b"null", b"\xff", b"{}"),
        *(b'{"shown": "x", "counts": [true]}', b'{"shown": "x", "counts": [-1]}'),
        *(b'{"shown": "x", "counts": [1.5]}', b'{"shown": 3, "counts": [1]}'),
        b'{"shown": "x", "counts": [' + b"1" * 5000 + b"]}",
        b'{"shown": "x", "counts": [' + b"1, " * 500 + b"1]}",
    ],
    ids=range(12),
)
def test_what_is_no_draft_is_not_kept(
    content: bytes, sessions: OpenSessions, defaults: EvolutionSettings
) -> None:
    run = RunFolder(sessions.runs.root / "a")
    run.write("config.yaml", b"name: a")
    with pytest.raises(DataError, match="no picks"):
        sessions.keep_picks("a", content)
    assert not (run.path / "picks.json").exists()
    with pytest.raises(RunFolderError, match="no run"):
        sessions.keep_picks("../a", content)


def test_a_draft_that_was_changed_is_passed_over(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    for content in (b"[]", b"{", b'{"shown": "x", "counts": [1]}', b'{"shown": "x"}'):
        folder.write("picks.json", content)
        assert draft_of(folder, "x", 2) is None
    assert draft_of(folder, "x", 1) is None
    folder.write("picks.json", b'{"shown": "x", "counts": [1, 0]}')
    assert draft_of(folder, "x", 2) == [1, 0]
    assert draft_of(folder, "y", 2) is None


@pytest.mark.parametrize(
    "archive", [b"no zip", b"PK\x05\x06" + bytes(18)], ids=["text", "empty zip"]
)
def test_what_is_no_session_leaves_nothing(
    archive: bytes, calls: Calls, uploads: Uploads, sessions: OpenSessions
) -> None:
    answer = calls.begin({"start": "session", "upload": uploads.keep(archive)})
    assert "session" in answer["problem"]
    assert list(sessions.runs.root.iterdir()) == []


def test_the_journal_of_a_session_was_changed(
    sessions: OpenSessions, defaults: EvolutionSettings
) -> None:
    name = sessions.begin(defaults)
    advance(sessions, name, 3)
    journal = RunFolder(sessions.runs.path(name)).journal.path
    journal.write_text(journal.read_text().replace('"score": 1.0', '"score": 9.0', 1))
    with pytest.raises(VqlsoError):
        OpenSessions(sessions.runs, EvolutionSession).state(name)


def test_a_session_begins_as_the_form_says(
    calls: Calls, sessions: OpenSessions, defaults: EvolutionSettings
) -> None:
    wanted = {"start": "random", "generator": defaults.generator, "population": 5, "picks": 1}
    begun = calls.begin({**wanted, "seed": 3})["session"]
    again = calls.begin({**wanted, "seed": 3})["session"]
    other = calls.begin({**wanted, "seed": None})["session"]
    state = sessions.state(begun)
    assert (len(state["images"]), state["picks"]) == (5, 1)
    assert sessions.state(again)["images"] == state["images"] != sessions.state(other)["images"]


@pytest.mark.parametrize(
    ("changed", "complaint"),
    [
        ({"generator": "/etc/passwd"}, "not offered"),
        ({"generator": ["stylegan2"]}, "not offered"),
        ({"population": 1000}, "population must be"),
        ({"population": None}, "population must be"),
        ({"picks": "many"}, "picks must be"),
        ({"seed": -1}, "seed must be"),
        ({"start": "anywhere"}, "starts at random"),
        ({"start": "photo", "upload": "nothing"}, "once more"),
        ({"start": "photo", "upload": None}, "once more"),
    ],
)
def test_a_form_that_cannot_be_used(
    changed: dict, complaint: str, calls: Calls, sessions: OpenSessions, defaults: EvolutionSettings
) -> None:
    wanted = {"start": "random", "generator": defaults.generator, "population": 5, "picks": 1}
    assert complaint in calls.begin({**wanted, **changed})["problem"]
    assert list(sessions.runs.root.iterdir()) == []


def test_picks_that_cannot_be_taken(
    calls: Calls, sessions: OpenSessions, defaults: EvolutionSettings
) -> None:
    name = sessions.begin(defaults)
    state = sessions.state(name)
    none = picks(state)
    one = picks(state, 0)
    for counts, mutation in ((none, None), (one[1:], None), (one, 7.0), ([-1, *one[1:]], None)):
        assert calls.next(name, state["revision"], counts, mutation)["problem"]
    assert calls.back(name, 3)["problem"]
    assert "no run" in calls.next("../x", state["revision"], one, None)["problem"]
    assert sessions.state(name) == state
    assert calls.next(name, state["revision"], one, 0.1) == {}


def test_only_a_given_file_is_offered_beside_the_packaged(defaults: EvolutionSettings) -> None:
    assert {offer.name for offer in offered(EvolutionSettings())} == set(NAMED)
    own, *packaged = offered(defaults)
    assert own.title == Path(defaults.generator).name
    assert {offer.name for offer in packaged} == set(NAMED)


def test_large_images_are_shown_reduced(sessions: OpenSessions) -> None:
    from pipeline.evolution.page.state import picture

    small = picture(np.zeros((3, 300, 300), dtype=np.uint8), 64)
    assert small == picture(np.zeros((3, 64, 64), dtype=np.uint8), 64)
