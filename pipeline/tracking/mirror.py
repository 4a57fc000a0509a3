"""Mirrors a run's journal to a tracker; the journal stays the truth.

Whatever a tracker does, the run goes on: the first failure is told, and the rest of this process
is not mirrored. `tracker.json` remembers how many events have been, so that a resumed run neither
repeats nor omits any.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from math import isfinite
from typing import Any

import numpy as np

from pipeline.pictures import grid
from pipeline.runs.folder import RunFolder
from pipeline.runs.journal import Event
from pipeline.tracking.trackers import TRACKERS, Tracker

FILE = "tracker.json"
RANKS = {"best": 1, "top10": 10, "top50": 50}
SHOWN, COLUMNS = 16, 4
Numbers = dict[str, float]


class Figures:
    """The numbers of journal events, one after the other."""

    def __init__(self) -> None:
        self._top: list[float] = []  # a heap of the best new scores
        self.step = 0

    def of(self, event: Event) -> Numbers:
        """What a tracker is told of an event; `step` is then the queries so far.

        Of a GAN's training, which asks no queries, it is the images seen so far.
        """
        if event["event"] == "query":
            self.step += 1
            return self._query(event)
        if event["event"] == "round":
            return numbers(event["fit"], "round/") | numbers(event["shift"] or {}, "shift/")
        if event["event"] == "look":
            self.step = round(1000 * event["kimg"])
            known = {"frechet": event["frechet"], **event["measures"]}
            return numbers(known, "look/")
        return {}

    def _query(self, event: Event) -> Numbers:
        if event["score"] is not None and event["novel"]:
            heapq.heappush(self._top, event["score"])
            if len(self._top) > max(RANKS.values()):
                heapq.heappop(self._top)
        ranked = sorted(self._top, reverse=True)
        best = {name: ranked[k - 1] for name, k in RANKS.items() if len(ranked) >= k}
        return numbers({"score": event["score"], **best}, "query/")


class Mirror:
    """Tells a tracker what the journal tells.

    Args:
        folder: of the run.
        name: of the tracker.
        tell: is told, once, that the tracker failed.
    """

    def __init__(self, folder: RunFolder, name: str, tell: Callable[[str], None]) -> None:
        self._folder, self._name, self._tell = folder, name, tell
        self._figures = Figures()
        self._tracker: Tracker | None = None
        self._mirrored = 0  # events
        with self._harmless():
            self._begin()

    def _begin(self) -> None:
        """What an earlier process has mirrored only moves the figures on."""
        path = self._folder.path / FILE
        known = self._folder.read_json(FILE) if path.is_file() else {}
        if known.get("tracker") != self._name:
            known = {"id": "", "events": 0}
        events = self._folder.journal.events()
        self._mirrored = min(known["events"], len(events))
        for event in events[: self._mirrored]:
            self._figures.of(event)
        make = TRACKERS[self._name]
        self._tracker = make(self._folder.path, self._folder.path.name, known["id"])
        self._take(events[self._mirrored :])

    def take(self, events: Sequence[Event]) -> None:
        """Mirror events that the journal has just written."""
        with self._harmless():
            self._take(events)

    def conclude(self, summary: Mapping[str, Any]) -> None:
        """Mirror a finished run's figures and its best pictures."""
        with self._harmless():
            if self._tracker:
                self._show_best(self._tracker)
                self._tracker.conclude(numbers(summary, "summary/"))

    def close(self) -> None:
        """Let the tracker go."""
        with self._harmless():
            if self._tracker:
                self._tracker.close()

    def _take(self, events: Sequence[Event]) -> None:
        if self._tracker is None:
            return
        for event in events:
            if told := self._figures.of(event):
                self._tracker.log(told, self._figures.step)
        self._tracker.flush()
        self._mirrored += len(events)
        kept = {"tracker": self._name, "id": self._tracker.id, "events": self._mirrored}
        self._folder.write_json(FILE, kept)

    def _show_best(self, tracker: Tracker) -> None:
        if not (self._folder.path / "evaluation.npz").is_file():
            return
        best = self._folder.read_arrays("evaluation.npz")["best_images"][:SHOWN]
        if len(best):
            picture = np.asarray(grid(best, COLUMNS).convert("RGB"))
            tracker.show("best", picture, self._figures.step)

    @contextmanager
    def _harmless(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # whatever a tracker raises, a run is worth more
            self._tracker = None
            self._tell(
                f"{self._name} failed ({type(error).__name__}: {error}). The run goes on without "
                "it; what is missing is mirrored when the run is resumed."
            )


@contextmanager
def mirrored(
    folder: RunFolder, tracker: str, tell: Callable[[str], None]
) -> Iterator[Mirror | None]:
    """Mirror what is journalled within the context; None with tracker "none"."""
    if tracker == "none":
        yield None
        return
    mirror = Mirror(folder, tracker, tell)
    folder.journal.watchers.append(mirror.take)
    try:
        yield mirror
    finally:
        folder.journal.watchers.remove(mirror.take)
        mirror.close()


def numbers(values: Mapping[str, Any], prefix: str) -> Numbers:
    """The finite numbers among values, by dotted names behind a prefix; Booleans are none."""
    found: Numbers = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            found |= numbers(value, f"{prefix}{key}.")
        elif isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value):
            found[f"{prefix}{key}"] = float(value)
    return found
