"""The course of a session, read from its journal: generations, picks, and ways back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pipeline.runs.journal import Event

# Files of a session, where it was begun with them.
PHOTO, TARGET = "photo.png", "target.png"


@dataclass(frozen=True)
class Answer:
    """One generation that a person has picked from.

    Attributes:
        events: its n "query" events, one an image, in the order in which they were shown.
    """

    events: tuple[Event, ...]

    @property
    def generation(self) -> int:
        """Its place on the line, from 0."""
        return int(self.events[0]["generation"])

    @property
    def mutation(self) -> float:
        """The size that it was made with."""
        return float(self.events[0]["mutation"])

    @property
    def chosen(self) -> float | None:
        """The size that the person chose for the next one; None left it to the rule."""
        chosen = self.events[0]["chosen"]
        return None if chosen is None else float(chosen)

    @property
    def picked(self) -> list[tuple[int, int]]:
        """(row, count) of the images that were picked."""
        counts = [int(event["score"]) for event in self.events]
        return [(row, count) for row, count in enumerate(counts) if count]

    @property
    def favourite(self) -> int:
        """The row that was picked most; the first of equals."""
        return max(self.picked, key=lambda each: each[1])[0]


@dataclass(frozen=True)
class Return:
    """A way back.

    Attributes:
        generation: of the line, the one that is shown again.
    """

    generation: int


def course(events: Sequence[Event]) -> Iterator[Answer | Return]:
    """Everything that the person did, in order."""
    shown: list[Event] = []
    for event in events:
        if event["event"] == "back":
            yield Return(int(event["generation"]))
        elif event["event"] == "query":
            shown.append(event)
            if not event.get("more"):
                yield Answer(tuple(shown))
                shown = []


def line(events: Sequence[Event]) -> list[Answer]:
    """The answers that the generation on show descends from."""
    answers: list[Answer] = []
    for each in course(events):
        if isinstance(each, Answer):
            answers.append(each)
        else:
            del answers[each.generation :]
    return answers
