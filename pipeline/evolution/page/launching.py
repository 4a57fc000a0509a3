"""Starts the page: the server, the address that is printed, and the browser."""

from __future__ import annotations

import errno
import ipaddress
import os
import secrets
import socket
import webbrowser
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any

import typer

from solvers.extras import extra_package
from vqlso.errors import ConfigError

if TYPE_CHECKING:
    from pipeline.evolution.settings import EvolutionSettings

PORTS = range(7860, 7960)
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


def launch(
    runs: Path, *, host: str, port: int | None, browser: bool, defaults: EvolutionSettings
) -> None:
    """Serve the page until it is interrupted.

    Args:
        runs: folder of the run folders; sessions are made in it, and nothing outside it is shown.
        host: address to bind. Any but a loopback address asks everybody for a token.
        port: to bind; None takes the first free one from 7860.
        browser: open the page in the person's browser.
        defaults: what the page proposes for a new session.

    Raises:
        MissingExtraError: Gradio is not installed.
        ConfigError: as `free_port`.
    """
    server, address = serve(runs, host=host, port=port, defaults=defaults)
    typer.echo(f"Choose images at {address}")
    if _is_everywhere(host):
        typer.echo("From other machines, put this machine's name in the place of localhost.")
    if host not in LOOPBACK:
        typer.echo(
            "Whoever has this address can use the page. It is not encrypted: beyond a network "
            "that you trust, put it behind an SSH tunnel or a server with TLS."
        )
    typer.echo("Sessions are kept: stop with Ctrl+C and start again whenever you like.")
    if browser:
        webbrowser.open(address)
    try:
        Event().wait()
    except KeyboardInterrupt:
        typer.echo("Stopped.")
    finally:
        server.blocks.close(verbose=False)


def serve(
    runs: Path, *, host: str, port: int | None, defaults: EvolutionSettings
) -> tuple[Any, str]:
    """Start the server in threads of this process; see `launch`.

    Returns:
        The Gradio server, to be ended by its `blocks.close()`, and the page's address with the
        token where one is needed.
    """
    # Gradio reads them on import: it tells its makers of each start, and checks for updates.
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    extra_package("gradio", "evolve")
    from pipeline.evolution.page.server import build_server

    token = None if host in LOOPBACK else secrets.token_urlsafe(24)
    server = build_server(runs, defaults, hosts=LOOPBACK if token is None else None, token=token)
    port = free_port(host, port)
    _go_round_proxies(host)
    server.launch(
        server_name=host,
        server_port=port,
        prevent_thread_lock=True,
        quiet=True,
        inbrowser=False,
        share=False,
        ssr_mode=False,
        mcp_server=False,
        enable_monitoring=False,
        run_history=False,
        footer_links=[],
        # Else it asks its own page once, and fails where a busy machine takes over three seconds.
        _frontend=False,
    )
    address = page_address(host, port)
    return server, address if token is None else f"{address}/?token={token}"


def _go_round_proxies(host: str) -> None:
    """Gradio asks its own server once, which no proxy of this environment could reach."""
    for name in ("NO_PROXY", "no_proxy"):
        known = [each for each in os.environ.get(name, "").split(",") if each]
        os.environ[name] = ",".join(dict.fromkeys([*known, *sorted(LOOPBACK), host]))


def page_address(host: str, port: int) -> str:
    """Where a browser of this machine finds the page, but for its token."""
    host = "localhost" if _is_everywhere(host) else host
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _is_everywhere(host: str) -> bool:
    """Whether it stands for all addresses of this machine, as 0.0.0.0 does."""
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False


def free_port(host: str, port: int | None) -> int:
    """The port if it is free, or the first free one.

    Gradio tries a hundred ports of an address that is not this machine's, and complains of each.

    Raises:
        ConfigError: there is none, or no such address here.
    """
    for tried in PORTS if port is None else (port,):
        try:
            with socket.create_server((host, tried), family=_family(host)):
                return tried
        except OSError as error:
            failed: Exception = error
            if error.errno != errno.EADDRINUSE:
                break
        except OverflowError as error:
            failed = error
            break
    raise ConfigError(
        f"The page cannot be served at {host}, port {port or f'{PORTS[0]} to {PORTS[-1]}'} "
        f"({failed}). Choose another --port or --host."
    ) from failed


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET
