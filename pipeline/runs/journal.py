"""The journal: one JSON line an event, appended and synced, read back up to the first torn line.

Two journals are equal when they are equal without their time fields: everything under "time" may
differ between two runs of one seed, nothing else may.

Each line ends with a link: a hash of the line, but for its time, and of the link before it. A
line that was changed, deleted or moved later breaks the chain. Journals of earlier versions have
no links and are read as they are.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from math import isfinite
from pathlib import Path
from typing import Any

from vqlso.errors import RunFolderError

Event = dict[str, Any]

KINDS = ("round", "query", "proposals", "look", "back", "end")
LINK = "link"
FIRST_LINK = ""


class Journal:
    """Append-only events of one run.

    Args:
        path: the file; created with its first event.

    Attributes:
        watchers: are given events that happened together, once they are on the disk.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.watchers: list[Callable[[Sequence[Event]], None]] = []
        self._mended = False
        self._last: str | None = FIRST_LINK  # None in a journal without links

    def append(
        self, kind: str, facts: Mapping[str, Any], seconds: Mapping[str, float] | None = None
    ) -> None:
        """Write one event and wait until it is on the disk; see `append_all`."""
        self.append_all(kind, [facts], seconds)

    def append_all(
        self,
        kind: str,
        facts: Sequence[Mapping[str, Any]],
        seconds: Mapping[str, float] | None = None,
    ) -> None:
        """Write events that happened together and wait until they are on the disk.

        A killed process leaves all of them or none: each tells in "more" how many follow it.

        Args:
            kind: the events' kind, one of `KINDS`.
            facts: of each event, JSON values that two runs of one seed share.
            seconds: each event's durations by stage; they go into its time field.

        Raises:
            RunFolderError: the disk is full or the folder cannot be written.
        """
        rounded = {name: round(value, 6) for name, value in (seconds or {}).items()}
        time = {"at": datetime.now(UTC).isoformat(), "seconds": rounded}
        try:
            self._drop_torn_tail()
            lines, last, told = "", self._last, []
            for more, each in zip(reversed(range(len(facts))), facts, strict=True):
                event = plain({"event": kind, **each} | ({"more": more} if more else {}))
                last = None if last is None else link_to(event, last)
                told.append(event | {"time": time})
                link = {} if last is None else {LINK: last}
                lines += json.dumps(told[-1] | link, allow_nan=False) + "\n"
            with self.path.open("a", encoding="utf-8") as file:
                file.write(lines)
                file.flush()
                os.fsync(file.fileno())
            self._last = last
        except OSError as error:
            raise RunFolderError(
                f"The journal {self.path} cannot be written ({error.strerror}). Free some space "
                f"or mend the folder's rights, then `vqlso resume {self.path.parent}`."
            ) from error
        for watch in self.watchers:
            watch(told)

    def events(self, kind: str | None = None) -> list[Event]:
        """All events so far, or those of one kind, in order.

        Raises:
            RunFolderError: a whole line is damaged, or lines were changed, deleted or moved.
        """
        events, _, _ = self._scan()
        return [event for event in events if kind in (None, event["event"])]

    def _scan(self) -> tuple[list[Event], int, str | None]:
        """The events that happened, how many bytes of the file tell of them, and the last link."""
        content = self.path.read_bytes() if self.path.is_file() else b""
        events: list[Event] = []
        group: list[Event] = []
        position, whole = 0, 0
        last: str | None = FIRST_LINK
        link: str | None = FIRST_LINK
        for number, line in enumerate(content.split(b"\n")[:-1], start=1):  # less a torn last line
            event = self._parsed(line, number)
            told = event.pop(LINK, None)
            if number == 1 and told is None:
                last = link = None
            elif link is not None:
                link = link_to(event, link)
            if told != link:
                raise RunFolderError(
                    f"Line {number} of {self.path} does not follow from the lines before it: "
                    f"lines were changed, deleted or moved. {self._remedy(number)}"
                )
            group.append(event)
            position += len(line) + 1
            if not event.get("more"):
                events += group
                group, whole, last = [], position, link
        return events, whole, last

    def _parsed(self, line: bytes, number: int) -> Event:
        try:
            event: Event = json.loads(line)
            if event["event"] not in KINDS or not isinstance(event["time"]["seconds"], dict):
                raise ValueError("no event")
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise RunFolderError(
                f"Line {number} of {self.path} is damaged. {self._remedy(number)}"
            ) from error
        return event

    def _remedy(self, number: int) -> str:
        return (
            f"Restore the file from a copy, cut it before line {number} to resume from there, or "
            "start a new run with another out=DIR."
        )

    def _drop_torn_tail(self) -> None:
        """A killed run may leave half a line or half a group: what it told of did not happen.

        Only a process that writes may cut: one that reads might cut what another is writing.
        """
        if not self._mended and self.path.is_file():
            _, whole, self._last = self._scan()
            os.truncate(self.path, whole)
        self._mended = True


def link_to(event: Event, before: str) -> str:
    """Sixteen hexadecimal digits of the event without its time, and of the link before it."""
    facts = {key: value for key, value in event.items() if key != "time"}
    return hashlib.sha256(f"{before}{json.dumps(facts)}".encode()).hexdigest()[:16]


def plain(value: Any) -> Any:
    """The value with None in place of the numbers that JSON does not know, NaN and infinities."""
    if isinstance(value, Mapping):
        return {key: plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    return None if isinstance(value, float) and not isfinite(value) else value


def without_time(events: list[Event]) -> list[Event]:
    """The events as two runs of one seed must share them."""
    return [{key: value for key, value in event.items() if key != "time"} for event in events]
