"""The sessions that are open in this process; a folder a session, and one computation at a time."""

from __future__ import annotations

import secrets
import shutil
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from threading import Lock
from typing import TYPE_CHECKING, Any

from pipeline.evolution.page.drafts import draft_of, kept_draft
from pipeline.evolution.page.runs import RunsFolder
from pipeline.evolution.page.state import described, revision
from pipeline.runs.folder import RunFolder
from vqlso.errors import DataError, RunFolderError

if TYPE_CHECKING:
    from pipeline.evolution.session import EvolutionSession
    from pipeline.evolution.settings import EvolutionSettings

KEPT_OPEN = 8  # sessions; one that is closed is opened again when somebody asks for it
BUSY = "The next images are still being made. Nothing of what you picked is lost: wait a moment."


@dataclass
class _Open:
    """An open session.

    Attributes:
        working: is held by whoever changes or reads the session.
        state: what the page shows; None until it was opened.
    """

    working: Lock = field(default_factory=Lock)
    session: EvolutionSession | None = None
    state: dict[str, Any] | None = None


class OpenSessions:
    """Sessions by name, opened when they are asked for.

    Args:
        runs: where their folders lie.
        kind: the class of sessions.
    """

    def __init__(self, runs: RunsFolder, kind: type[EvolutionSession]) -> None:
        self.runs = runs
        self.kind = kind
        self._open: OrderedDict[str, _Open] = OrderedDict()
        self._lock = Lock()

    def begin(self, settings: EvolutionSettings) -> str:
        """Start a session in a new folder; its name.

        Raises:
            VqlsoError: the settings do not fit, or the photo cannot be used.
        """
        return self._made(lambda folder: self.kind.create(folder, settings))

    def restore(self, archive: bytes) -> str:
        """Go on with a downloaded session, in a new folder; its name.

        Raises:
            DataError: the archive is not one, damaged or changed.
        """
        return self._made(lambda folder: self.kind.from_zip(archive, folder))

    def state(self, name: str) -> dict[str, Any]:
        """What the page shows, with the picks that were not sent; waits for nobody.

        Raises:
            RunFolderError: there is no such session, or its folder is damaged.
        """
        held = self._held(name)
        if held.state is None:
            with held.working:
                self._opened(name, held)
        state, folder = held.state or {}, RunFolder(self.runs.path(name))
        picked = draft_of(folder, state["revision"], len(state["images"])) if state else None
        return {**state, "name": name, "picked": picked, "busy": held.working.locked()}

    def keep_picks(self, name: str, content: bytes) -> None:
        """Keep picks that were not sent yet, for whoever opens this session next.

        Args:
            name: of the session.
            content: JSON of "shown", the revision that was picked from, and "counts".

        Raises:
            RunFolderError: there is no such session, or its folder cannot be written.
            DataError: these are no picks.
        """
        kept_draft(RunFolder(self.runs.path(name)), content)

    def advance(self, name: str, shown: str, counts: Sequence[int], mutation: float | None) -> None:
        """Take the picks and make the next generation.

        Args:
            name: of the session.
            shown: revision of the images that were picked from.
            counts: (population,) how often each was picked.
            mutation: size of the next generation; None for the automatic rule.

        Raises:
            RunFolderError: something is being computed.
            DataError: the picks were meant for other images, or there are none.
        """
        with self._changing(name) as session:
            if shown != revision(session.images):
                raise DataError(
                    "These images were shown before the session went on, perhaps in another tab. "
                    "Pick from those that you see now."
                )
            session.pick(counts, mutation)

    def go_back(self, name: str, step: int) -> None:
        """Return to an earlier step.

        Raises:
            RunFolderError: something is being computed.
            VqlsoError: there is no such step.
        """
        with self._changing(name) as session:
            session.back(step)

    @contextmanager
    def reading(self, name: str) -> Iterator[EvolutionSession]:
        """The session, unchanged as long as the block lasts."""
        held = self._held(name)
        with held.working:
            yield self._opened(name, held)

    @contextmanager
    def _changing(self, name: str) -> Iterator[EvolutionSession]:
        held = self._held(name)
        if not held.working.acquire(blocking=False):
            raise RunFolderError(BUSY)
        try:
            session = self._opened(name, held)
            yield session
            held.state = described(session)
        except RunFolderError:
            # Such as when it went on in another process: the folder is read anew.
            held.session = held.state = None
            raise
        finally:
            held.working.release()

    def _held(self, name: str) -> _Open:
        self.runs.path(name)
        with self._lock:
            held = self._open.setdefault(name, _Open())
            self._open.move_to_end(name)
            idle = [each for each in self._open if not self._open[each].working.locked()]
            for each in idle[: max(0, len(self._open) - KEPT_OPEN)]:
                del self._open[each]
        return held

    def _opened(self, name: str, held: _Open) -> EvolutionSession:
        if held.session is None:
            held.session = self.kind.open(RunFolder(self.runs.path(name)))
            held.state = described(held.session)
        return held.session

    def _made(self, make: Callable[[RunFolder], EvolutionSession]) -> str:
        name = f"evolve-{datetime.now():%Y%m%d-%H%M%S}-{secrets.token_hex(4)}"
        folder = self.runs.new(name)
        try:
            session = make(folder)
        except BaseException:
            shutil.rmtree(folder.path, ignore_errors=True)
            raise
        with self._lock:
            self._open[name] = _Open(session=session, state=described(session))
        return name
