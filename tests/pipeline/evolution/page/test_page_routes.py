"""The addresses of the page, without a browser and without Gradio's queue."""

import io
import json
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest

pytest.importorskip("gradio", reason="Gradio is not installed")

from PIL import Image
from safetensors.numpy import load
from starlette.applications import Starlette
from starlette.routing import Route
from starlette.testclient import TestClient

from pipeline.evolution.page import uploads as uploads_module
from pipeline.evolution.page.routes import Routes
from pipeline.evolution.page.runs import RunsFolder
from pipeline.evolution.page.sessions import OpenSessions
from pipeline.evolution.page.uploads import Uploads
from pipeline.evolution.session import EvolutionSession
from pipeline.evolution.settings import EvolutionSettings
from pipeline.runs.folder import RunFolder

HTML = {"accept": "text/html"}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> RunsFolder:
    top = tmp_path_factory.mktemp("top")
    run = RunFolder(top / "runs" / "study" / "a run")
    run.write("config.yaml", b"name: x\n")
    run.write("report.html", b"<h1>a report</h1>")
    RunFolder(top / "runs" / "unfinished").write("config.yaml", b"name: x\n")
    RunFolder(top / "secret").write("config.yaml", b"name: x\n")
    return RunsFolder(top / "runs")


@pytest.fixture(scope="module")
def sessions(runs: RunsFolder) -> OpenSessions:
    return OpenSessions(runs, EvolutionSession)


@pytest.fixture(scope="module")
def page(runs: RunsFolder, sessions: OpenSessions, defaults: EvolutionSettings) -> TestClient:
    table = Routes(runs, sessions, Uploads(), defaults).table()
    return TestClient(
        Starlette(routes=[Route(path, end, methods=[how]) for path, end, how in table])
    )


@pytest.fixture(scope="module")
def name(sessions: OpenSessions, defaults: EvolutionSettings) -> str:
    """A session after its first step."""
    name = sessions.begin(defaults)
    state = sessions.state(name)
    sessions.advance(name, state["revision"], [2, *[0] * (defaults.population - 1)], None)
    return name


def test_what_is_sent_is_what_is_shown(page: TestClient, name: str) -> None:
    state = page.get(f"/sessions/{name}/state").json()
    base = f"/sessions/{name}/{state['revision']}"
    image = Image.open(io.BytesIO(page.get(f"{base}/3.png").content))
    assert image.size == (16, 16)
    sent = page.get(f"{base}/3.safetensors")
    assert load(sent.content)["z"].shape[0] == 1
    assert f"{name}-step2-image4.safetensors" in sent.headers["content-disposition"]
    favourite = load(page.get(f"/sessions/{name}/favourite.safetensors").content)["z"]
    # The first of a generation is the last favourite.
    assert np.array_equal(favourite, load(page.get(f"{base}/0.safetensors").content)["z"])
    assert page.get(f"/sessions/{name}/favourite.png").content == page.get(f"{base}/0.png").content
    archive = ZipFile(io.BytesIO(page.get(f"/sessions/{name}/session.zip").content))
    assert "journal.jsonl" in archive.namelist()


@pytest.mark.parametrize("file", ["{}/99.png", "{}/3.exe", "00000000/3.png", "favourite.zip"])
def test_what_is_not_on_show_is_not_sent(file: str, page: TestClient, name: str) -> None:
    revision = page.get(f"/sessions/{name}/state").json()["revision"]
    answer = page.get(f"/sessions/{name}/{file.format(revision)}")
    assert answer.status_code == 400
    assert answer.json()["problem"]


def test_no_session_of_this_name(page: TestClient) -> None:
    for path in ("/sessions/none", "/sessions/none/state", "/sessions/none/session.zip"):
        assert page.get(path).status_code == 404
    assert page.get("/sessions/unfinished/state").json()["problem"]
    for headers in (HTML, None):  # whoever asks for a page gets one
        told = page.get("/sessions/none", headers=headers).text
        assert "There is no run" in told
        assert '<a href="/">' in told


def test_the_first_page_offers_what_is_there(
    page: TestClient, name: str, defaults: EvolutionSettings
) -> None:
    shown = page.get("/").text
    assert f"/sessions/{name}" in shown
    assert Path(defaults.generator).name in shown
    assert "default-src 'self'" in page.get("/").headers["content-security-policy"]


def test_runs_and_their_reports(page: TestClient, name: str) -> None:
    listed = page.get("/runs").text
    assert all(run in listed for run in ("study/a run", "unfinished", name))
    assert 'src="/reports/study/a%20run"' in page.get("/runs/study/a run").text
    assert "no report yet" in page.get("/runs/unfinished").text
    report = page.get("/reports/study/a run")
    assert report.text == "<h1>a report</h1>"
    policy = report.headers["content-security-policy"]
    assert policy.startswith("sandbox;")
    assert "allow-scripts" not in policy
    assert "default-src 'none'" in policy


@pytest.mark.parametrize(
    "path", ["..%2Fsecret", "%2e%2e/secret", "study/..%2f..%2fsecret", "%2Fetc", "a%00b", ""]
)
def test_paths_outside_are_not_there(path: str, page: TestClient) -> None:
    for start in ("/runs/", "/reports/", "/sessions/"):
        if (start, path) != ("/runs/", ""):
            assert page.get(start + path).status_code == 404


def test_names_are_text_and_no_markup(page: TestClient, runs: RunsFolder) -> None:
    odd = "<script>alert(1)</script>"
    RunFolder(runs.root / "x" / odd.replace("/", "_")).write("config.yaml", b"name: x\n")
    assert "<script>alert" not in page.get("/runs").text
    assert "<script>alert" not in page.get(f"/runs/{odd}", headers=HTML).text


@pytest.mark.parametrize(
    ("kind", "content", "complaint"),
    [
        ("photo", b"no picture", "no photo"),
        ("photo", b"", "empty"),
        ("photo", b"x" * 2001, "larger than"),
        ("session", b"x" * 2001, "larger than"),
        ("weights", b"x", "nothing else"),
    ],
)
def test_what_cannot_be_sent(
    kind: str, content: bytes, complaint: str, page: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    for each in ("photo", "session"):
        monkeypatch.setitem(uploads_module.LIMITS, each, 2000)
    answer = page.post(f"/uploads/{kind}", content=content)
    assert answer.status_code == 400
    assert complaint in answer.json()["problem"]


def test_a_photo_comes_back_as_it_will_be_used(page: TestClient) -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (20, 20), (0, 128, 0)).save(buffer, "JPEG")
    answer = page.post("/uploads/photo", content=buffer.getvalue()).json()
    assert answer["upload"]
    assert answer["preview"].startswith("data:image/png;base64,")


def test_only_the_pages_own_files_are_assets(page: TestClient) -> None:
    for name in ("session.js", "style.css"):
        assert page.get(f"/assets/{name}").status_code == 200
    for name in ("routes.py", "..%2F__init__.py", "frame.html.j2"):
        assert page.get(f"/assets/{name}").status_code == 404
    assert "--scorer" in page.get("/assets/style.css").text


def test_state_is_json_that_browsers_do_not_keep(page: TestClient, name: str) -> None:
    answer = page.get(f"/sessions/{name}/state")
    assert answer.headers["cache-control"] == "no-store"
    assert json.loads(answer.text)["name"] == name
