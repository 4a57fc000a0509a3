"""Where the page is served, and what is needed for it."""

import socket
import sys
from pathlib import Path

import pytest

from pipeline.evolution.page import launch
from pipeline.evolution.page.launching import PORTS, free_port, page_address, serve
from pipeline.evolution.page.uploads import LIMITS
from pipeline.evolution.settings import EvolutionSettings
from vqlso.errors import ConfigError, MissingExtraError


def test_gradio_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gradio", None)
    with pytest.raises(MissingExtraError, match=r"\.\[evolve\]"):
        launch(tmp_path, host="127.0.0.1", port=None, browser=False, defaults=EvolutionSettings())
    assert list(tmp_path.iterdir()) == []


def test_a_taken_port_is_said_or_passed_over() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match="another --port"):
            free_port("127.0.0.1", port)
    assert free_port("127.0.0.1", port) == port
    assert free_port("127.0.0.1", None) in PORTS


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("127.0.0.1", "http://127.0.0.1:80"),
        ("::1", "http://[::1]:80"),
        ("0.0.0.0", "http://localhost:80"),
        ("::", "http://localhost:80"),
        ("my-machine", "http://my-machine:80"),
    ],
)
def test_the_address_is_one_that_a_browser_here_can_open(host: str, address: str) -> None:
    assert page_address(host, 80) == address


@pytest.mark.parametrize(
    ("host", "port"), [("192.0.2.1", None), ("192.0.2.1", 7860), ("127.0.0.1", 70_000)]
)
def test_what_this_machine_does_not_have(host: str, port: int | None) -> None:
    with pytest.raises(ConfigError, match="cannot be served"):
        free_port(host, port)


def test_others_need_the_token_and_no_proxy_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, defaults: EvolutionSettings
) -> None:
    """A real server at all addresses, in an environment whose proxy leads nowhere."""
    httpx = pytest.importorskip("httpx", reason="httpx comes with Gradio, which is not installed")
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "" if "no" in name.lower() else "http://127.0.0.1:9")
    server, address = serve(tmp_path / "runs", host="0.0.0.0", port=None, defaults=defaults)
    try:
        page, token = address.split("?")
        with httpx.Client(base_url=page, trust_env=False, headers={"accept": "text/html"}) as asked:
            refused = [
                asked.get("/"),
                asked.get("/runs"),
                asked.post("/uploads/photo", content=b"x"),
            ]
            assert [each.status_code for each in refused] == [401] * 3
            assert "whole address" in refused[0].text
            assert asked.get(f"/?{token}", follow_redirects=True).status_code == 200
            assert asked.get("/runs").status_code == 200
            for outside in ("/runs/..%2f..%2fetc", "/sessions/%2e%2e%2fsecret/state", "/config"):
                assert asked.get(outside).status_code == 404
            big = asked.post("/uploads/photo", content=bytes(LIMITS["photo"] + 1))
            assert "larger than" in big.json()["problem"]
    finally:
        server.blocks.close(verbose=False)
