"""Requests as no script of the page would send them: each is answered, and nothing else done."""

import json
from pathlib import Path

import pytest

pytest.importorskip("gradio", reason="Gradio is not installed")

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Route
from starlette.testclient import TestClient

from benchmarks.faults.fuzz_inputs import AWKWARD, damaged, objects
from pipeline.evolution.page.guard import Guard
from pipeline.evolution.page.routes import Routes
from pipeline.evolution.page.runs import RunsFolder
from pipeline.evolution.page.sessions import OpenSessions
from pipeline.evolution.page.uploads import Uploads
from pipeline.evolution.session import EvolutionSession
from pipeline.evolution.settings import EvolutionSettings
from pipeline.runs.folder import RunFolder

SECRET = "not for you"
CASES = 300
PICKS = {"shown": "01234567", "counts": [0, 1, 0]}
PARTS = st.one_of(
    st.sampled_from(["sessions", "runs", "reports", "assets", "uploads", "state", "picks"]),
    st.sampled_from(["NAME", "secret", "..", "%2e%2e", "..%2f..%2fsecret", "%00", "favourite.png"]),
    st.sampled_from(["3.png", "00000000", "session.zip", "style.css", "photo", "session"]),
    st.sampled_from([each.decode("latin-1") for each in AWKWARD]),
    st.text(max_size=8),
)
PATHS = st.lists(PARTS, max_size=5).map(lambda parts: "/" + "/".join(parts))
BODIES = st.one_of(
    objects(PICKS).map(lambda told: json.dumps(told).encode()),
    damaged([json.dumps(PICKS).encode()]),
)
METHODS = st.sampled_from(["GET", "GET", "POST", "HEAD", "PUT", "OPTIONS"])
REQUESTS = st.one_of(
    st.tuples(METHODS, PATHS, BODIES),
    st.tuples(st.just("POST"), st.just("/sessions/NAME/picks"), BODIES),
    st.tuples(st.just("POST"), st.sampled_from(["/uploads/photo", "/uploads/session"]), BODIES),
)


@pytest.fixture(scope="module")
def top(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A runs folder beside a run that is nobody's business."""
    top = tmp_path_factory.mktemp("top")
    secret = RunFolder(top / "secret")
    secret.write("config.yaml", SECRET.encode())
    secret.write("report.html", SECRET.encode())
    return top


@pytest.fixture(scope="module")
def asked(top: Path, defaults: EvolutionSettings) -> tuple[TestClient, str]:
    """The page's addresses behind their guard, and the name of a session."""
    runs = RunsFolder(top / "runs")
    sessions = OpenSessions(runs, EvolutionSession)
    name = sessions.begin(defaults)
    table = Routes(runs, sessions, Uploads(), defaults).table()
    app = Starlette(
        routes=[Route(path, end, methods=[how]) for path, end, how in table],
        middleware=[Middleware(Guard, hosts={"testserver"}, token=None)],
    )
    return TestClient(app, follow_redirects=False), name


@settings(max_examples=CASES, deadline=None, suppress_health_check=list(HealthCheck), database=None)
@given(request_=REQUESTS)
def test_every_request_is_answered_and_nothing_else_happens(
    asked: tuple[TestClient, str], top: Path, request_: tuple[str, str, bytes]
) -> None:
    client, name = asked
    method, path, body = request_
    before = _files(top)
    try:
        url = client.base_url.join(path.replace("NAME", name))
    except Exception:  # no client can send it
        return
    answer = client.request(method, url, content=body)  # which raises what the server raises
    assert answer.status_code < 500
    assert SECRET not in answer.text
    assert answer.status_code < 400 or answer.text or method == "HEAD"
    assert _files(top) - before <= {top / "runs" / name / "picks.json"}


def _files(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if path.is_file()}
