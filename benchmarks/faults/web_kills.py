"""Servers of the page that are killed while a person picks: is everything that was answered there?

    python -m benchmarks.faults.web_kills
    python -m benchmarks.faults.web_kills --kills 3

A person begins a session, picks, goes back and picks again. At random moments of what the person
asks for the server is ended by SIGKILL and begun anew at the same address. What was answered must
then be shown; what was not may have happened or not, but nothing between, with the picks that were
not sent off, and is asked for again.
At its end the session must show what it shows of a person whose server lived, with the same
journal, but for times, and the same files.

The generator is untrained and has 16 pixels: half of a step is writing.
"""

from __future__ import annotations

import argparse
import io
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.extra_tables import printed, titled
from benchmarks.faults.kills import difference
from benchmarks.faults.web_person import Person, UnansweredError
from benchmarks.faults.web_servers import POPULATION, Server
from benchmarks.recording import RESULTS, Recording
from pipeline.runs.folder import RunFolder
from pipeline.runs.journal import Event, without_time
from vqlso.randomness import stream

SHARE = 0.6  # of the asked that are struck
BEYOND = 1.2  # times as long as an answer takes: some kills come after it
STARTS = ("random", "photo", "session")
# (rows that are picked, chosen size), or the step that is returned to.
Move = tuple[tuple[int, ...], float | None] | int
COURSE: tuple[Move, ...] = (
    ((1, 1, 3), None),
    ((0, 4), 0.3),
    1,
    ((2,), None),
    ((5, 6, 6), 0.05),
    0,
    ((7,), None),
)
State = dict[str, Any]


@dataclass
class Reference:
    """A session whose server lived.

    Attributes:
        wanted: what it was begun with; uploads are sent anew for each session.
        upload: the content of what was uploaded.
        states: what was shown, from the first generation on.
        seconds: that each answer took.
        story: what must not depend on a kill.
    """

    wanted: State
    upload: bytes | None
    states: list[State] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    story: State = field(default_factory=dict)


@dataclass
class Tally:
    """What became of the killed servers' sessions.

    Attributes:
        kills: by what had been asked for.
        unanswered: kills that came before the answer.
        done: of these, those after which it had been done all the same.
        sessions: that were killed at least once and went on to their end.
        lost: what was not as it should be.
    """

    kills: Counter[str] = field(default_factory=Counter)
    unanswered: Counter[str] = field(default_factory=Counter)
    done: Counter[str] = field(default_factory=Counter)
    sessions: int = 0
    lost: list[str] = field(default_factory=list)


class Story:
    """One session from its beginning to its end.

    Args:
        server: that serves it.
        reference: what it is compared with, and what it asks for.
        rng: draws when the server is killed.
        tally: what is counted.
    """

    def __init__(
        self, server: Server, reference: Reference, rng: np.random.Generator, tally: Tally
    ) -> None:
        self._server = server
        self._person = Person(server.address)
        self._reference = reference
        self._rng = rng
        self._tally = tally
        self._name = ""

    def told(self) -> None:
        """Begin, go the whole course, and compare."""
        before = self._tally.kills.total()
        self._begin()
        for place, each in enumerate(COURSE, start=1):
            self._go(place, each)
        self._expect("the end", self._reference.story, story(self._server, self._name))
        self._tally.sessions += self._tally.kills.total() > before

    def _begin(self) -> None:
        known = set(self._person.listed())

        def ask() -> None:
            self._name = begun(self._person, self._reference)

        def done() -> bool:
            # Whose page was never told the name finds it among the earlier sessions.
            self._name = next(iter(set(self._person.listed()) - known), "")
            return bool(self._name)

        self._until_done(f"begin: {self._reference.wanted['start']}", ask, done, 0, None)

    def _go(self, place: int, each: Move) -> None:
        steps = len(self._events())

        def done() -> bool:
            return len(self._events()) > steps

        def ask() -> None:
            moved(self._person, self._name, each)

        # A person sees the images first: with them a session that was closed is opened again.
        before = shown(self._person, self._name)
        if not isinstance(each, int):
            self._person.pick(self._name, clicks(each))
            before |= {"picked": clicks(each)}
        name = "back" if isinstance(each, int) else "next"
        self._until_done(name, ask, done, place, before)

    def _until_done(
        self,
        name: str,
        ask: Callable[[], None],
        done: Callable[[], bool],
        place: int,
        before: State | None,
    ) -> None:
        """Ask, perhaps be struck, and ask again until it is done."""
        while True:
            answered = self._asked(name, ask, self._reference.seconds[place])
            if done():
                self._tally.done[name] += not answered
                break
            if answered:
                self._tally.lost.append(f"{self._name}: {name} {place} was answered and is gone")
                break
            if before is not None:
                self._expect(f"before {name} {place}", before)
        self._expect(f"{name} {place}", self._reference.states[place])

    def _asked(self, name: str, ask: Callable[[], None], seconds: float) -> bool:
        """Whether it was answered, where the server may have been killed before or after."""
        if self._rng.random() > SHARE:
            ask()
            return True
        answered = False
        delay = self._rng.uniform(0, BEYOND * seconds)
        with self._server.killed_after(delay), suppress(UnansweredError):
            ask()
            answered = True
        self._server.start()
        self._tally.kills[name] += 1
        self._tally.unanswered[name] += not answered
        return answered

    def _events(self) -> list[Event]:
        return RunFolder(self._server.runs / self._name).journal.events()

    def _expect(self, where: str, expected: State, found: State | None = None) -> None:
        found = shown(self._person, self._name) if found is None else found
        differs = difference(expected, found)
        if differs:
            self._tally.lost.append(f"{self._name} at {where}: {differs}")


def begun(person: Person, reference: Reference) -> str:
    """Begin the reference's session anew; its name."""
    wanted = dict(reference.wanted)
    if reference.upload is not None:
        kind = "session" if wanted["start"] == "session" else "photo"
        wanted["upload"] = person.upload(kind, reference.upload)
    return person.begin(wanted)


def moved(person: Person, name: str, move: Move) -> None:
    """Pick, or go back."""
    if isinstance(move, int):
        person.back(name, move)
    else:
        person.next(name, clicks(move), move[1])


def clicks(move: tuple[tuple[int, ...], float | None]) -> list[int]:
    """How often each image is picked."""
    return [move[0].count(row) for row in range(POPULATION)]


def shown(person: Person, name: str) -> State:
    """What the page shows of a session, but for its name."""
    return {key: told for key, told in person.state(name).items() if key != "name"}


def story(server: Server, name: str) -> State:
    """What must not depend on a kill."""
    folder = RunFolder(server.runs / name)
    files = (path for path in folder.path.rglob("*") if path.is_file())
    return {
        "files": sorted(str(path.relative_to(folder.path)) for path in files),
        "journal": without_time(folder.journal.events()),
    }


def lived(server: Server, wanted: State, upload: bytes | None) -> Reference:
    """A session that nothing interrupts."""
    person, reference = Person(server.address), Reference(wanted, upload)
    name = begun(person, reference)
    reference.states.append(shown(person, name))
    for move in COURSE:
        if not isinstance(move, int):
            person.pick(name, clicks(move))
        moved(person, name, move)
        reference.states.append(shown(person, name))
    reference.story = story(server, name)
    reference.seconds = seconds(server, reference)
    return reference


def seconds(server: Server, reference: Reference) -> list[float]:
    """How long each answer takes of a server that was started for it, as after a kill."""
    person, taken, name = Person(server.address), [], ""
    for move in (None, *COURSE):
        server.kill()
        server.start()
        if move is not None:
            shown(person, name)
        began = perf_counter()
        if move is None:
            name = begun(person, reference)
        else:
            moved(person, name, move)
        taken.append(perf_counter() - began)
    return taken


def references(server: Server, starts: Sequence[str]) -> dict[str, Reference]:
    """One by each way to start."""
    fresh = {"generator": server.generator, "population": POPULATION, "picks": 4, "seed": 0}
    saved = {**fresh, "start": "random"}
    found = {}
    for start in starts:
        if start == "session":
            upload = _saved(Person(server.address), saved)
            found[start] = lived(server, {"start": start}, upload)
        else:
            photo = _photo() if start == "photo" else None
            found[start] = lived(server, {**fresh, "start": start}, photo)
    return found


def tallied(kills: int, starts: Sequence[str], seed: int, place: Path) -> Tally:
    """Kill servers until there were so many kills."""
    server, tally, number = Server(place), Tally(), 0
    server.start()
    try:
        known = references(server, starts)
        while tally.kills.total() < kills:
            start = tuple(known)[number % len(known)]
            Story(server, known[start], stream(seed, "kills of the page", number), tally).told()
            number += 1
            struck, lost = tally.kills.total(), len(tally.lost)
            print(f"{number} sessions: {struck} kills, {lost} lost", file=sys.stderr, flush=True)
    finally:
        server.kill()
    return tally


def table(tally: Tally) -> dict[str, Any]:
    """Kills by what had been asked for."""
    counted = (tally.kills, tally.unanswered, tally.done)
    rows = [[name, *(str(each[name]) for each in counted)] for name in tally.kills]
    rows.append(["all", *(str(each.total()) for each in counted)])
    heads = ["asked for", "kills", "before the answer", "of these done all the same"]
    title = f"{tally.sessions} sessions whose server was killed, {len(tally.lost)} lost"
    return titled(title, heads, rows)


def main(arguments: Sequence[str] | None = None) -> None:
    """Kill, begin anew, compare; exits with 1 if anything was lost."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=120, help="in all")
    parser.add_argument("--starts", nargs="+", choices=STARTS, default=STARTS, help="some of them")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder for web_kills.json")
    options = parser.parse_args(arguments)
    told = sys.argv[1:] if arguments is None else arguments
    command = " ".join(["python -m benchmarks.faults.web_kills", *told])
    packages = ("torch", "gradio")
    with (
        Recording("web_kills", command, {"seed": options.seed}, packages, options.results) as kept,
        tempfile.TemporaryDirectory() as place,
    ):
        tally = tallied(options.kills, options.starts, options.seed, Path(place))
        kept.extra = {
            "sessions": tally.sessions,
            "kills": tally.kills.total(),
            "lost": tally.lost,
            "tables": [table(tally)],
        }
        print(printed(kept.extra["tables"]))
    for line in tally.lost:
        print(line, file=sys.stderr)
    sys.exit(bool(tally.lost))


def _saved(person: Person, wanted: State) -> bytes:
    """A session that has gone two steps, as a file."""
    name = person.begin(wanted)
    for move in COURSE[:2]:
        moved(person, name, move)
    return person.archive(name)


def _photo() -> bytes:
    pixels = stream(0, "photo").integers(0, 256, (24, 24, 3)).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


if __name__ == "__main__":
    main()
