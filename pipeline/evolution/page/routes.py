"""The addresses of the page: what they show, and the files that they send."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from importlib.resources import files
from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from pipeline.evolution.page.calls import PICKS, POPULATIONS, offered
from pipeline.evolution.page.rendering import problem_page, reads_pages, rendered
from pipeline.evolution.page.runs import RunsFolder
from pipeline.evolution.page.sessions import OpenSessions
from pipeline.evolution.page.state import TILE_EDGE, picture, revision
from pipeline.evolution.page.uploads import LIMITS, MEGABYTE, Uploads, checked_photo, received
from pipeline.evolution.photos import png_of
from pipeline.pictures import embedded
from vqlso.errors import DataError, RunFolderError, VqlsoError

if TYPE_CHECKING:
    from pipeline.evolution.settings import EvolutionSettings

Endpoint = Callable[[Request], Awaitable[Response]]
Answering = Callable[[Request], Response]

_ASSETS = {
    "start.js": "text/javascript",
    "session.js": "text/javascript",
    "tiles.js": "text/javascript",
    "closer.js": "text/javascript",
    "shared.js": "text/javascript",
    "style.css": "text/css",
}
_MEDIA = {
    "png": "image/png",
    "safetensors": "application/octet-stream",
    "zip": "application/zip",
}
# A report is a file that somebody may have sent: it runs nothing and fetches nothing.
_REPORT_POLICY = (
    "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'"
)
_EARLIER = 12  # sessions offered on the first page


class Routes:
    """Everything that is asked for by an address of its own.

    Args:
        runs: the runs folder.
        sessions: the open sessions.
        uploads: where uploads wait.
        defaults: what the form proposes.
    """

    def __init__(
        self,
        runs: RunsFolder,
        sessions: OpenSessions,
        uploads: Uploads,
        defaults: EvolutionSettings,
    ) -> None:
        self._runs = runs
        self._sessions = sessions
        self._uploads = uploads
        self._defaults = defaults

    def table(self) -> list[tuple[str, Endpoint, str]]:
        """Path, endpoint and method of each address."""
        pages = {
            "/": self._start,
            "/sessions/{session}": self._session,
            "/runs": self._list,
            "/runs/{run:path}": self._run,
        }
        sent = {
            "/sessions/{session}/state": self._state,
            "/sessions/{session}/session.zip": self._archive,
            "/sessions/{session}/favourite.{suffix}": self._favourite,
            "/sessions/{session}/{shown}/{row:int}.{suffix}": self._shown,
            "/reports/{run:path}": self._report,
            "/assets/{name}": self._asset,
        }
        return [
            *((path, _in_thread(answer, page=False), "GET") for path, answer in sent.items()),
            *((path, _in_thread(answer, page=True), "GET") for path, answer in pages.items()),
            ("/sessions/{session}/picks", self._picks, "POST"),
            ("/uploads/{kind}", self._upload, "POST"),
        ]

    def _start(self, _: Request) -> Response:
        return rendered(
            "start.html.j2",
            here="start",
            defaults=self._defaults,
            generators=offered(self._defaults),
            populations=POPULATIONS,
            picks=PICKS,
            limits={kind: limit // MEGABYTE for kind, limit in LIMITS.items()},
            earlier=[run for run in self._runs.all() if run.can_be_picked_in][:_EARLIER],
        )

    def _session(self, request: Request) -> Response:
        name = request.path_params["session"]
        self._runs.path(name)
        return rendered("session.html.j2", here="session", session=name)

    def _state(self, request: Request) -> Response:
        state = self._sessions.state(request.path_params["session"])
        return JSONResponse(state, headers={"Cache-Control": "no-store"})

    def _archive(self, request: Request) -> Response:
        name = request.path_params["session"]
        with self._sessions.reading(name) as session:
            return _download(session.archive_zip(), f"{name}.zip")

    def _favourite(self, request: Request) -> Response:
        name, suffix = request.path_params["session"], _suffix(request)
        with self._sessions.reading(name) as session:
            image, latent = session.favourite_image, session.favourite_latent
            file = f"{name}-step{session.step}-favourite.{suffix}"
        if image is None or latent is None:
            raise DataError("There is no favourite before the first step.")
        return _download(png_of(image) if suffix == "png" else latent, file)

    def _shown(self, request: Request) -> Response:
        name, suffix = request.path_params["session"], _suffix(request)
        row = request.path_params["row"]
        with self._sessions.reading(name) as session:
            if request.path_params["shown"] != revision(session.images):
                raise DataError("This image is no longer on show. Go back to its step first.")
            content = session.image_png(row) if suffix == "png" else session.latent(row)
            file = f"{name}-step{session.step + 1}-image{row + 1}.{suffix}"
        return _download(content, file)

    def _list(self, _: Request) -> Response:
        return rendered("runs.html.j2", here="runs", runs=self._runs.all())

    def _run(self, request: Request) -> Response:
        run = self._runs.described(request.path_params["run"])
        best = [picture(image, TILE_EDGE) for image in self._runs.best_images(run.name)]
        return rendered("run.html.j2", here="runs", run=run, best=best)

    def _report(self, request: Request) -> Response:
        content = self._runs.file(request.path_params["run"], "report.html").read_bytes()
        return HTMLResponse(content, headers={"Content-Security-Policy": _REPORT_POLICY})

    def _asset(self, request: Request) -> Response:
        name = request.path_params["name"]
        if name not in _ASSETS:
            raise RunFolderError("There is nothing at this address.")
        content = files("pipeline.evolution.page").joinpath(name).read_text("utf-8")
        if name == "style.css":
            # The page looks like the reports: their style, then what only the page has.
            content = files("pipeline.report").joinpath("page.css").read_text("utf-8") + content
        return Response(content, media_type=_ASSETS[name], headers={"Cache-Control": "no-cache"})

    async def _picks(self, request: Request) -> Response:
        name, content = request.path_params["session"], await request.body()
        try:
            await run_in_threadpool(self._sessions.keep_picks, name, content)
        except VqlsoError as error:
            return JSONResponse({"problem": str(error)}, 400)
        return JSONResponse({})

    async def _upload(self, request: Request) -> Response:
        kind = request.path_params["kind"]
        try:
            if kind not in LIMITS:
                raise DataError("Photos and sessions can be sent, nothing else.")
            content = await received(request.stream(), kind)
            if kind == "photo":
                content = await run_in_threadpool(checked_photo, content)
        except VqlsoError as error:
            return JSONResponse({"problem": str(error)}, 400)
        answer = {"upload": self._uploads.keep(content)}
        if kind == "photo":
            answer["preview"] = embedded(content)
        return JSONResponse(answer)


def _in_thread(answer: Answering, *, page: bool) -> Endpoint:
    """Files and replays take time that other people's requests must not wait for.

    Args:
        answer: to a request.
        page: whether the address is a page, which says in words what went wrong.
    """

    async def endpoint(request: Request) -> Response:
        try:
            return await run_in_threadpool(answer, request)
        except VqlsoError as error:
            status = 404 if isinstance(error, RunFolderError) else 400
            if page or reads_pages(request.headers):
                return problem_page(str(error), status)
            return JSONResponse({"problem": str(error)}, status)

    return endpoint


def _suffix(request: Request) -> str:
    suffix = str(request.path_params["suffix"])
    if suffix not in {"png", "safetensors"}:
        raise DataError("An image is sent as .png, its latent as .safetensors.")
    return suffix


def _download(content: bytes, name: str) -> Response:
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    return Response(content, media_type=_MEDIA[name.rpartition(".")[2]], headers=headers)
