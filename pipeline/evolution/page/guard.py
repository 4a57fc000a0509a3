"""Who may ask the server for what, decided before anything else sees the request.

Gradio's server has some fifty routes beside the page's, among them one that serves files and one
that fetches addresses. The page needs three of them; the others do not exist here.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse, RedirectResponse, Response

from pipeline.evolution.page.rendering import problem_page, reads_pages

COOKIE = "vqlso-evolve"
KILOBYTE = 1024
CALL_LIMIT = 64 * KILOBYTE  # bytes: counts of some dozens of images, and a few settings
CALLS = ("begin", "next", "back")
NOTHING = "There is nothing at this address."

_OPEN = "/gradio_api/startup-events"  # Gradio asks itself for it once
_ROUTES = re.compile(
    rf"/|/(assets|sessions|runs|reports|uploads)(/.*)?|/gradio_api/call/({'|'.join(CALLS)})(/\w+)?"
)
_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
)


class Guard:
    """ASGI middleware that lets through what the page itself asks for.

    Args:
        app: what is guarded.
        hosts: names under which the server may be asked; None for any. A foreign page could
            otherwise point its own name at a loopback address (DNS rebinding).
        token: without it nothing is answered; None asks for none.
    """

    def __init__(self, app: Any, *, hosts: Iterable[str] | None, token: str | None) -> None:
        self.app = app
        self.hosts = None if hosts is None else frozenset(hosts)
        self.token = token

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer a forbidden request here, and pass all others on."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        refusal = self._refusal(scope, Headers(scope=scope))
        if refusal is not None:
            await refusal(scope, receive, send)
            return

        async def send_with_headers(message: Any) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *_HEADERS]
            await send(message)

        await self.app(scope, receive, send_with_headers)

    def _refusal(self, scope: Any, headers: Headers) -> Response | None:
        path, post = scope["path"], scope["method"] == "POST"
        if path == _OPEN and not post:
            return None
        if self.hosts is not None and _host(headers) not in self.hosts:
            return PlainTextResponse("This page is served to this machine only.", 403)
        if self.token is not None and not self._knows_token(headers):
            return self._admission(scope)
        if not _ROUTES.fullmatch(path):
            return _nothing(headers)
        if not _from_own_page(headers, post):
            return PlainTextResponse("Another page asked for this.", 403)
        # Uploads are measured as they come in.
        if post and not path.startswith("/uploads/") and _length(headers) > CALL_LIMIT:
            return PlainTextResponse("This request is too large.", 413)
        return None

    def _knows_token(self, headers: Headers) -> bool:
        held = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
        return held is not None and self._is_token(held.value)

    def _is_token(self, offered: str) -> bool:
        return secrets.compare_digest(offered.encode(), (self.token or "").encode())

    def _admission(self, scope: Any) -> Response:
        """The token of an address becomes a cookie, and leaves the address."""
        offered = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]
        if scope["method"] != "GET" or not self._is_token(offered):
            return PlainTextResponse(
                "Open the whole address that `vqlso evolve` printed: it ends with a token.", 401
            )
        # An absolute address with another host must not follow from a path such as //host.
        admitted = RedirectResponse("/" + scope["path"].lstrip("/"), 303)
        admitted.set_cookie(COOKIE, self.token or "", httponly=True, samesite="lax")
        return admitted


def _nothing(headers: Headers) -> Response:
    if reads_pages(headers):
        return problem_page(NOTHING, 404)
    return PlainTextResponse(NOTHING, 404)


def _host(headers: Headers) -> str | None:
    try:
        return urlsplit(f"//{headers.get('host', '')}").hostname
    except ValueError:
        return None


def _from_own_page(headers: Headers, post: bool) -> bool:
    """Browsers say which page a request comes from; what is no browser need not.

    Links from anywhere may lead here. Gradio would let pages of other ports of this machine read.
    """
    if post and headers.get("sec-fetch-site", "same-origin") not in {"same-origin", "none"}:
        return False
    origin = headers.get("origin")
    return origin is None or urlsplit(origin).netloc == headers.get("host")


def _length(headers: Headers) -> float:
    """Bytes of the body; infinite where they are not told beforehand."""
    told = headers.get("content-length", "")
    return int(told) if told.isdecimal() else float("inf")
