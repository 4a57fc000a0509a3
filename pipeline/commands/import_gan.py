"""The command `vqlso import-gan`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from pipeline.commands.terminal import DebugOption, JsonOption, console, one_paragraph


def import_gan(
    file: Annotated[
        Path,
        typer.Argument(
            help="NVIDIA's .pkl (StyleGAN2, -ADA, 3, TensorFlow's), rosinality's .pt or a PGAN's."
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="The .safetensors file to write.")],
    classes: Annotated[
        list[int] | None,
        typer.Option(help="Classes of each group of a PGAN whose file does not tell them."),
    ] = None,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Convert a GAN's checkpoint without running any code that is in it."""
    with one_paragraph(debug):
        from vqlso.generators.import_gan import describe
        from vqlso.generators.import_gan import import_gan as convert

        found = convert(file, out, tuple(classes) if classes else None)
        rows = describe(found)
    if as_json:
        typer.echo(json.dumps(dict(rows), indent=2))
        return
    table = Table("found", "", title=str(file), show_header=False)
    for name, value in rows:
        table.add_row(name, value)
    console().print(table)
    choice = "pgan" if found.kind == "pgan" else "stylegan2"
    console().print(f"Written: {out}. Use it: generator={choice} generator.checkpoint={out}")
