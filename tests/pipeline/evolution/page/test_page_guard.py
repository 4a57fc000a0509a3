"""Who may ask the page's server for what."""

import pytest

pytest.importorskip("gradio", reason="Gradio is not installed")

from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from pipeline.evolution.page.guard import CALL_LIMIT, Guard
from pipeline.evolution.page.launching import LOOPBACK

TOKEN = "a-token-that-nobody-guesses"
OPEN = "/gradio_api/startup-events"


def client(token: str | None = None, host: str = "127.0.0.1:7860") -> TestClient:
    hosts = LOOPBACK if token is None else None
    guarded = Guard(PlainTextResponse("inside"), hosts=hosts, token=token)
    return TestClient(guarded, base_url=f"http://{host}", follow_redirects=False)


@pytest.mark.parametrize(
    "path",
    ["/", "/runs", "/runs/a/b", "/sessions/x/state", "/gradio_api/call/next/0123abcd", OPEN],
)
def test_the_pages_own_addresses_are_open(path: str) -> None:
    assert client().get(path).text == "inside"


@pytest.mark.parametrize(
    "path",
    [
        "/config",
        "/gradio_api/file=/etc/passwd",
        "/gradio_api/file/etc/passwd",
        "/gradio_api/proxy=http://example.org",
        "/gradio_api/upload",
        "/gradio_api/queue/data",
        "/gradio_api/call/other",
        "/gradio_api/call/next/../../file=/etc/passwd",
        "/monitoring",
        "/assetsecret",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "HEAD"])
def test_gradios_other_addresses_do_not_exist(path: str, method: str) -> None:
    assert client().request(method, path).status_code == 404


def test_a_mistyped_address_leads_back() -> None:
    told = client().get("/session/x", headers={"accept": "text/html,*/*"})
    assert told.status_code == 404
    assert '<a href="/">' in told.text
    assert "default-src 'self'" in told.headers["content-security-policy"]


@pytest.mark.parametrize("host", ["localhost:80", "127.0.0.1", "[::1]:7860"])
def test_this_machine_has_several_names(host: str) -> None:
    assert client(host="localhost").get("/", headers={"host": host}).status_code == 200


@pytest.mark.parametrize("host", ["example.org", "127.0.0.1.example.org", "", "[::1"])
def test_a_foreign_name_for_this_machine_is_refused(host: str) -> None:
    assert client().get("/", headers={"host": host}).status_code == 403


@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
@pytest.mark.parametrize("origin", ["http://example.org", "http://127.0.0.1:3000", "null"])
def test_other_pages_neither_read_nor_write(method: str, origin: str) -> None:
    assert client().request(method, "/", headers={"origin": origin}).status_code == 403


def test_a_link_leads_here_but_a_foreign_form_does_not() -> None:
    foreign = {"sec-fetch-site": "cross-site"}
    assert client().get("/", headers=foreign).status_code == 200
    assert client().post("/uploads/photo", headers=foreign).status_code == 403


def test_calls_are_short() -> None:
    call = "/gradio_api/call/next"
    assert client().post(call, content=b"x" * CALL_LIMIT).status_code == 200
    assert client().post(call, content=b"x" * (CALL_LIMIT + 1)).status_code == 413
    assert client().post(call, content=iter([b"x"])).status_code == 413


def test_web_sockets_are_closed() -> None:
    with pytest.raises(WebSocketDisconnect) as closed, client().websocket_connect("/"):
        pass
    assert closed.value.code == 1008


@pytest.mark.parametrize("path", ["/", "/runs", "/gradio_api/call/next", "/config"])
def test_nothing_is_answered_without_the_token(path: str) -> None:
    asked = client(TOKEN, "192.0.2.1")
    for query in ("", "?token=", "?token=wrong", f"?token={TOKEN}x"):
        assert asked.get(path + query).status_code == 401
    assert asked.post(f"{path}?token={TOKEN}").status_code == 401
    assert asked.get(path, headers={"cookie": "vqlso-evolve=wrong"}).status_code == 401


def test_the_token_becomes_a_cookie_and_leaves_the_address() -> None:
    asked = client(TOKEN, "192.0.2.1")
    admitted = asked.get(f"/sessions/x?token={TOKEN}")
    assert admitted.status_code == 303
    assert admitted.headers["location"] == "/sessions/x"
    assert "httponly" in admitted.headers["set-cookie"].lower()
    assert asked.get("/sessions/x").text == "inside"


def test_the_token_leads_to_no_other_server() -> None:
    admitted = client(TOKEN, "192.0.2.1").get(f"http://192.0.2.1//example.org/?token={TOKEN}")
    assert admitted.headers["location"] == "/example.org/"
