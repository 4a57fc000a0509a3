"""The command `vqlso import-gan`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from pipeline.terminal import DebugOption, JsonOption, console, one_paragraph


def import_gan(
    file: Annotated[
        Path, typer.Argument(help="NVIDIA's .pkl (StyleGAN2, -ADA, 3, TensorFlow's) or a .pt.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="The .safetensors file to write.")],
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Convert a GAN's checkpoint without running any code that is in it."""
    with one_paragraph(debug):
        from vqlso.generators.import_gan import describe
        from vqlso.generators.import_gan import import_gan as convert

        rows = describe(convert(file, out))
    if as_json:
        typer.echo(json.dumps(dict(rows), indent=2))
        return
    table = Table("found", "", title=str(file), show_header=False)
    for name, value in rows:
        table.add_row(name, value)
    console().print(table)
    console().print(f"Written: {out}. Use it: generator=stylegan2 generator.checkpoint={out}")
