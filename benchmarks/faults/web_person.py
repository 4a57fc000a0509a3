"""A person at the page, over HTTP: what the page's scripts send, and what comes back."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

import httpx

PATIENCE = 120.0  # seconds for an answer
_COMPLETE = re.compile(r"event: complete\ndata: (.*)\n")
_LISTED = re.compile(r'href="/sessions/([^"]+)"')


class UnansweredError(Exception):
    """The server was gone before it said that it had done what it was asked for."""


class Person:
    """Asks the server at an address; none of it outlives the server.

    Args:
        address: of the page.
    """

    def __init__(self, address: str) -> None:
        self._address = address

    def begin(self, wanted: dict[str, Any]) -> str:
        """Start a session; its name.

        Raises:
            UnansweredError: the server did not live to answer.
        """
        return str(self._computed("begin", [wanted])["session"])

    def pick(self, name: str, counts: Sequence[int]) -> None:
        """Pick from the images on show, without sending them off; raises as `begin`."""
        picks = {"shown": self.state(name)["revision"], "counts": list(counts)}
        self._asked("POST", f"/sessions/{name}/picks", json.dumps(picks).encode())

    def next(self, name: str, counts: Sequence[int], mutation: float | None) -> None:
        """Send the picks off, and see the next images; raises as `begin`."""
        shown = self.state(name)["revision"]
        self._computed("next", [name, shown, list(counts), mutation])

    def back(self, name: str, step: int) -> None:
        """Return to an earlier step; raises as `begin`."""
        self._computed("back", [name, step])

    def upload(self, kind: str, content: bytes) -> str:
        """Send a photo or a session; the name that it waits under."""
        return str(json.loads(self._asked("POST", f"/uploads/{kind}", content))["upload"])

    def state(self, name: str) -> dict[str, Any]:
        """What the page shows of a session."""
        told: dict[str, Any] = json.loads(self._asked("GET", f"/sessions/{name}/state"))
        return told

    def archive(self, name: str) -> bytes:
        """The whole session as a file."""
        return self._asked("GET", f"/sessions/{name}/session.zip")

    def listed(self) -> list[str]:
        """The sessions that the first page offers to go on with."""
        return _LISTED.findall(self._asked("GET", "/").decode())

    def _computed(self, call: str, data: list[Any]) -> dict[str, Any]:
        address = f"/gradio_api/call/{call}"
        joined = json.loads(self._asked("POST", address, json.dumps({"data": data}).encode()))
        stream = self._asked("GET", f"{address}/{joined['event_id']}").decode()
        found = _COMPLETE.search(stream)
        if not found:
            raise UnansweredError(f"{call} was broken off: {stream[-200:]}")
        answer: dict[str, Any] = json.loads(found[1])[0]
        if "problem" in answer:
            raise RuntimeError(f"{call}: {answer['problem']}")
        return answer

    def _asked(self, method: str, path: str, content: bytes | None = None) -> bytes:
        headers = {"Content-Type": "application/json"}
        try:
            answer = httpx.request(
                method, self._address + path, content=content, headers=headers, timeout=PATIENCE
            )
        except httpx.TransportError as error:
            raise UnansweredError(f"{path}: {type(error).__name__}") from error
        if answer.is_error:
            raise RuntimeError(f"{path}: {answer.status_code} {answer.text[:300]}")
        return answer.content
