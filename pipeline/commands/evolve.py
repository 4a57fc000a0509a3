"""The command `vqlso evolve`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from pipeline.commands.terminal import DebugOption, one_paragraph
from vqlso.errors import ConfigError

_CHOICE = "generator="


def evolve(
    choice: Annotated[
        str | None,
        typer.Argument(metavar="[generator=NAME]", help="The same as --generator NAME."),
    ] = None,
    generator: Annotated[
        str,
        typer.Option(
            "--generator", "-g", help="stylegan2, pgan, vqvae, a generator's file, or a run folder."
        ),
    ] = "stylegan2",
    population: Annotated[int, typer.Option(help="Images a generation.")] = 28,
    picks: Annotated[int, typer.Option(help="Clicks a generation; 1 to follow one image.")] = 5,
    space: Annotated[str | None, typer.Option(help="Latent space of a GAN: z, w, w+ or s.")] = None,
    truncation: Annotated[float, typer.Option(help="Psi of a GAN's samples.")] = 0.7,
    seed: Annotated[int, typer.Option(help="Of everything drawn.")] = 0,
    runs: Annotated[Path, typer.Option(help="Folder of the sessions and runs.")] = Path("runs"),
    port: Annotated[int | None, typer.Option(help="Of the page; a free one by default.")] = None,
    host: Annotated[
        str, typer.Option(help="Address to serve at; beyond this machine with a token.")
    ] = "127.0.0.1",
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Open no browser.")] = False,
    debug: DebugOption = False,
) -> None:
    """Choose images in the browser until they look right; every click is kept."""
    with one_paragraph(debug):
        from pipeline.evolution.page.launching import free_port, page_address

        generator = generator if choice is None else _chosen(choice)
        port = free_port(host, port)
        if _is_watched():
            # What follows is imported for seconds, which without a word look like a failure.
            coming = f"Loading {generator}: the page will be at {page_address(host, port)} ..."
            typer.echo(coming, err=True)
        from pipeline.evolution.generators import require_suitable
        from pipeline.evolution.page import launch
        from pipeline.evolution.settings import EvolutionSettings

        defaults = EvolutionSettings(
            generator=generator,
            population=population,
            picks=picks,
            space=space,
            truncation=truncation,
            seed=seed,
        )
        require_suitable(defaults)
        launch(runs, host=host, port=port, browser=not no_browser, defaults=defaults)


def _chosen(choice: str) -> str:
    """Of `generator=NAME`, as other commands have it."""
    if choice.startswith(_CHOICE):
        return choice.removeprefix(_CHOICE)
    raise ConfigError(
        f"vqlso evolve does not know '{choice}'. Choose the generator by --generator NAME; "
        "`vqlso evolve --help` shows all options."
    )


def _is_watched() -> bool:
    return sys.stderr.isatty()
