"""The server behind the page: Gradio's queue computes, plain routes show and send.

Gradio's server mode lends its queue, which computes one generation at a time however many people
ask, and leaves the page to us.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio

from pipeline.evolution.page.calls import Calls
from pipeline.evolution.page.guard import Guard
from pipeline.evolution.page.routes import Routes
from pipeline.evolution.page.runs import RunsFolder
from pipeline.evolution.page.sessions import OpenSessions
from pipeline.evolution.page.uploads import Uploads
from pipeline.evolution.session import EvolutionSession

if TYPE_CHECKING:
    from pipeline.evolution.settings import EvolutionSettings

_ONE_AT_A_TIME = "computing"


def build_server(
    runs: Path, defaults: EvolutionSettings, *, hosts: Iterable[str] | None, token: str | None
) -> Any:
    """The Gradio server, not yet launched.

    Args:
        runs: folder of the run folders.
        defaults: of new sessions.
        hosts: names under which it may be asked; None for any.
        token: asked of everybody; None asks for none.

    Raises:
        RunFolderError: the runs folder cannot be made.
    """
    folder, uploads = RunsFolder(runs), Uploads()
    sessions = OpenSessions(folder, EvolutionSession)
    server = gradio.Server(title="VQLSO", docs_url=None, redoc_url=None, openapi_url=None)
    server.add_middleware(Guard, hosts=hosts, token=token)
    for path, endpoint, method in Routes(folder, sessions, uploads, defaults).table():
        server.add_route(path, endpoint, methods=[method])
    for name, call in Calls(sessions, uploads, defaults).table():
        server.api(
            call,
            name=name,
            concurrency_limit=1,
            concurrency_id=_ONE_AT_A_TIME,
            api_visibility="undocumented",
        )
    return server
