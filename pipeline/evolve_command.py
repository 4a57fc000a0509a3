"""The command `vqlso evolve`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipeline.terminal import DebugOption, one_paragraph


def evolve(
    generator: Annotated[
        str,
        typer.Option("--generator", "-g", help="stylegan2, pgan, vqvae, or a generator's file."),
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
        from pipeline.evolution.generators import generator_file
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
        generator_file(generator)
        launch(runs, host=host, port=port, browser=not no_browser, defaults=defaults)
