"""The command `vqlso apply-edit`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from pipeline.commands.terminal import (
    DebugOption,
    JsonOption,
    QuietOption,
    console,
    one_paragraph,
    progress,
)


def apply_edit(
    directions: Annotated[
        list[Path], typer.Argument(help="Folders of `vqlso run edit_smile`, or their directions.")
    ],
    image: Annotated[Path | None, typer.Option(help="The photo to edit.")] = None,
    samples: Annotated[
        int | None, typer.Option(min=1, help="Edit so many faces of the generator instead.")
    ] = None,
    strength: Annotated[
        list[float] | None,
        typer.Option(
            "--strength",
            "-s",
            help="Factor of the direction, below 0 for less; may be repeated. Of several "
            "directions one each.",
        ),
    ] = None,
    in_turn: Annotated[
        bool,
        typer.Option(
            "--in-turn", help="One after the other; strengths are levels to reach, from 0 to 1."
        ),
    ] = False,
    generator: Annotated[
        Path | None, typer.Option(help="Its file, where a direction's run does not tell.")
    ] = None,
    evaluations: Annotated[int, typer.Option(help="Images that an inversion makes.")] = 150,
    seed: Annotated[int, typer.Option(min=0, help="Of samples and inversion.")] = 0,
    threads: Annotated[int | None, typer.Option(min=1, help="Of every library.")] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", help="Folder for the results; by default a new one, edited[-N]."
        ),
    ] = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    debug: DebugOption = False,
) -> None:
    """Edit a photo, or samples, along directions that were found before."""
    with one_paragraph(debug):
        from pipeline.editing.applying import Directions, edits, inverted, sampled
        from pipeline.editing.files import results_folder, write_edits
        from pipeline.threads import threads_of
        from vqlso.errors import ConfigError
        from vqlso.hardware import limit_threads

        if (image is None) == (samples is None):
            raise ConfigError("Give either --image PHOTO or --samples N.")
        folder = results_folder(out)
        known = Directions.read(directions, generator)
        limit_threads(threads or threads_of(known.config))
        if image is None:
            subject = sampled(samples or 1, known, seed=seed)
        else:
            shown = progress(as_json or quiet)
            subject = inverted(image, known, evaluations=evaluations, seed=seed, progress=shown)
        strengths = strength or [1.0] * len(known.all)
        edited = edits(subject.latents, known, strengths, in_turn=in_turn)
        facts = {**write_edits(folder, subject, edited, known), "strengths": strengths}
    if as_json:
        typer.echo(json.dumps(facts, indent=2))
    else:
        _show(facts)


def _show(facts: dict[str, Any]) -> None:
    from rich.table import Table

    table = Table("what", "", show_header=False)
    for attribute in facts["attributes"]:
        table.add_row("direction of", attribute)
    table.add_row("strengths", ", ".join(f"{each:g}" for each in facts["strengths"]))
    if facts["criterion"] is not None:
        table.add_row("criterion of the inversion", f"{facts['criterion']:.3g}")
    table.add_row("pictures", ", ".join(Path(each).name for each in facts["edited"]))
    console().print(table)
    console().print(f"Strip: {facts['strip']}", soft_wrap=True)
