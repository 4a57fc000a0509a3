"""Where the page is served, and what is needed for it."""

import socket
import sys
from pathlib import Path

import pytest

from pipeline.evolution.page import launch
from pipeline.evolution.page.launching import PORTS, free_port
from pipeline.evolution.settings import EvolutionSettings
from vqlso.errors import ConfigError, MissingExtraError


def test_gradio_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gradio", None)
    with pytest.raises(MissingExtraError, match=r"vqlso\[evolve\]"):
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
    ("host", "port"), [("192.0.2.1", None), ("192.0.2.1", 7860), ("127.0.0.1", 70_000)]
)
def test_what_this_machine_does_not_have(host: str, port: int | None) -> None:
    with pytest.raises(ConfigError, match="cannot be served"):
        free_port(host, port)
