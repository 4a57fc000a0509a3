"""The command line: one function a command, thin over what does the work."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from contextlib import nullcontext, redirect_stdout
from dataclasses import asdict
from pathlib import Path
from time import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipeline.commands.apply_edit import apply_edit
from pipeline.commands.evolve import evolve
from pipeline.commands.import_gan import import_gan
from pipeline.commands.studies import compare, sweep
from pipeline.commands.terminal import (
    SMOKE_TEST,
    Command,
    DebugOption,
    Group,
    JsonOption,
    QuietOption,
    complain,
    console,
    one_paragraph,
    progress,
)
from pipeline.commands.trees import app as trees

if TYPE_CHECKING:
    from pipeline.runs.folder import RunFolder

app = typer.Typer(
    help="Discrete latent-space optimisation: search images that score higher than any seen.",
    no_args_is_help=True,
    add_completion=False,
    cls=Group,
    pretty_exceptions_enable=False,
)
app.add_typer(trees, name="trees")

ForceOption = Annotated[
    bool,
    typer.Option("--force", help="Continue although something changed, or the run is another's."),
]
RunArgument = Annotated[Path, typer.Argument(help="A run folder.")]


@app.command(cls=Command)
def run(
    experiment: Annotated[str, typer.Argument(help="Its name; `vqlso list` shows all.")],
    overrides: Annotated[
        list[str] | None, typer.Argument(help="Settings as key=value, such as queries=100.")
    ] = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    debug: DebugOption = False,
) -> None:
    """Run an experiment: size=tiny|demo|paper seed=N queries=N out=DIR data=faces|celeba|..."""

    def go() -> RunFolder:
        from pipeline.configuration.composition import composed

        config = composed(experiment, overrides or [])
        # It imports torch, which takes seconds: a misspelt setting is told before.
        from pipeline.experiment import start

        command = ["vqlso", "run", experiment, *(overrides or [])]
        began = time()
        folder = start(config, command, progress(as_json or quiet), complain)
        if folder.summary.stat().st_mtime < began:
            complain(
                "This run was finished before, and nothing was computed now. "
                "For a new one choose another seed=N or out=DIR."
            )
        return folder

    _finish(go, as_json, debug)


@app.command(cls=Command)
def resume(
    folder: RunArgument,
    force: ForceOption = False,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    debug: DebugOption = False,
) -> None:
    """Continue an interrupted run: the finished journal equals an uninterrupted run's."""

    def go() -> RunFolder:
        from pipeline.experiment import resume as resume_run
        from pipeline.origin import require_own
        from pipeline.runs.folder import RunFolder

        if not force:
            require_own(RunFolder.existing(folder))
        return resume_run(folder, progress(as_json or quiet), force=force, tell=complain)

    _finish(go, as_json, debug)


@app.command(cls=Command)
def report(folder: RunArgument, as_json: JsonOption = False, debug: DebugOption = False) -> None:
    """Write a run's report.html anew."""

    def go() -> RunFolder:
        from pipeline.experiment import report as report_run

        return report_run(folder)

    _finish(go, as_json, debug)


app.command(cls=Command)(sweep)
app.command(cls=Command)(compare)
app.command(cls=Command)(import_gan)
app.command(cls=Command)(apply_edit)
app.command(cls=Command)(evolve)


@app.command("list", cls=Command)
def list_parts(as_json: JsonOption = False) -> None:
    """List what can be plugged in, and what needs installing."""
    from pipeline.commands.listing import listing, listing_table, matrix_table

    if as_json:
        typer.echo(json.dumps(listing(), indent=2))
    else:
        console().print(listing_table())
        console().print(matrix_table())


@app.command(cls=Command)
def settings(
    experiment: Annotated[str, typer.Argument(help="Its name; `vqlso list` shows all.")],
    overrides: Annotated[
        list[str] | None, typer.Argument(help="Choices as key=value, such as solver=genetic.")
    ] = None,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Explain every setting that an experiment reads, with its value there."""
    with one_paragraph(debug):
        from pipeline.configuration.composition import composed
        from pipeline.configuration.explained import explained

        found = explained(composed(experiment, overrides or []))
    if as_json:
        typer.echo(json.dumps([asdict(each) for each in found], indent=2))
    else:
        from pipeline.commands.listing import settings_table

        console().print(settings_table(experiment, found))


def main() -> None:
    """Entry point of the `vqlso` command, which torchrun starts several times over."""
    # Read once, when torch or LightGBM loads libgomp. By default its threads wait spinning for
    # milliseconds, on cores that the threads they wait for may need.
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    if "TORCHELASTIC_RUN_ID" in os.environ and int(os.environ["WORLD_SIZE"]) > 1:
        from vqlso.training.distributed import lead_or_follow

        lead_or_follow(app)
    else:
        app()


def _finish(go: Callable[[], RunFolder], as_json: bool, debug: bool) -> None:
    """Run a command, show its result, and turn known failures into one paragraph."""
    with one_paragraph(debug):
        # With --json only the summary is printed to stdout, whatever an objective prints.
        with redirect_stdout(sys.stderr) if as_json else nullcontext():
            folder = go()
        summary = _summary(folder)
    if as_json:
        typer.echo(json.dumps(summary, indent=2))
    else:
        from pipeline.report.table import summary_table

        if summary:
            console().print(summary_table(summary))
        if summary.get("smoke_test"):
            console().print(SMOKE_TEST)
        console().print(f"Report: {folder.report}", soft_wrap=True)


def _summary(folder: RunFolder) -> dict[str, Any]:
    return folder.read_json(folder.summary.name) if folder.summary.is_file() else {}


if __name__ == "__main__":
    main()
