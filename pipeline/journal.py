"""The journal: one JSON line an event, appended and synced, read back up to the first torn line.

Two journals are equal when they are equal without their time fields: everything under "time" may
differ between two runs of one seed, nothing else may.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from vqlso.errors import RunFolderError

Event = dict[str, Any]


class Journal:
    """Append-only events of one run.

    Args:
        path: the file; created with its first event.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._drop_torn_tail()

    def append(
        self, kind: str, facts: Mapping[str, Any], seconds: Mapping[str, float] | None = None
    ) -> Event:
        """Write one event and wait until it is on the disk.

        Args:
            kind: the event's kind: "start", "query", "round" or "end".
            facts: JSON values that two runs of one seed share.
            seconds: durations by stage; they go into the event's time field.

        Raises:
            RunFolderError: the disk is full or the folder cannot be written.
        """
        rounded = {name: round(value, 6) for name, value in (seconds or {}).items()}
        event: Event = {
            "event": kind,
            **facts,
            "time": {"at": datetime.now(UTC).isoformat(), "seconds": rounded},
        }
        line = json.dumps(event, allow_nan=False) + "\n"
        try:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(line)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise RunFolderError(
                f"The journal {self.path} cannot be written ({error.strerror}). "
                "Free some space or mend the folder's rights; `vqlso resume` then continues."
            ) from error
        return event

    def events(self, kind: str | None = None) -> list[Event]:
        """All events so far, or those of one kind, in order."""
        return [event for event in self._read() if kind in (None, event["event"])]

    def _read(self) -> Iterator[Event]:
        if not self.path.is_file():
            return
        with self.path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, start=1):
                try:
                    yield json.loads(line)
                except json.JSONDecodeError as error:
                    raise RunFolderError(
                        f"Line {number} of {self.path} is damaged. Cut the file before that line "
                        "to resume from there."
                    ) from error

    def _drop_torn_tail(self) -> None:
        """A killed run may leave half a line; the event it told of did not happen."""
        if not self.path.is_file():
            return
        content = self.path.read_bytes()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            with self.path.open("r+b") as file:
                file.truncate(whole)


def without_time(events: list[Event]) -> list[Event]:
    """The events as two runs of one seed must share them."""
    return [{key: value for key, value in event.items() if key != "time"} for event in events]
