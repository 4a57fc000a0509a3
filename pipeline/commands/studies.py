"""The commands `vqlso sweep` and `vqlso compare`."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipeline.commands.terminal import (
    SMOKE_TEST,
    DebugOption,
    JsonOption,
    QuietOption,
    complain,
    console,
    one_paragraph,
    progress,
)
from vqlso.errors import ConfigError, MissingExtraError, StudyError

if TYPE_CHECKING:
    from pipeline.comparison.methods import Comparison
    from pipeline.comparison.results import Results
    from pipeline.studies.contracts import Watch, Workers
    from pipeline.studies.folder import StudyFolder
    from pipeline.studies.study import PlannedRun
    from vqlso.metrics.frechet import FeatureNetwork


def sweep(
    study: Annotated[str, typer.Argument(help="Its name, or the path of a YAML file.")],
    overrides: Annotated[
        list[str] | None, typer.Argument(help="Settings of every run, such as queries=100.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="The study's folder; else studies/NAME.")] = None,
    seeds: Annotated[
        str | None, typer.Option(help="Instead of the study's: 0,1,2 or 0-19.")
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(min=0, help="Runs at once; 0: one after the other, without Ray."),
    ] = None,
    address: Annotated[
        str | None, typer.Option(help="HOST:PORT of a Ray cluster's head, or auto.")
    ] = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    debug: DebugOption = False,
) -> None:
    """Run methods x settings x seeds and compare them; the same command continues a study."""
    with one_paragraph(debug), redirect_stdout(sys.stderr) if as_json else nullcontext():
        reasons, runs, folder = _swept(
            study, overrides or [], out, seeds, workers, address, as_json or quiet
        )
        comparison = _tabulated(folder, as_json or quiet) if len(reasons) < len(runs) else None
    if as_json:
        typer.echo(json.dumps(_told(runs, folder, reasons, comparison), indent=2))
    elif comparison:
        _show(comparison, folder.named)
    with one_paragraph(debug):
        if reasons:
            raise StudyError(
                f"{len(reasons)} of {len(runs)} runs failed, for the reasons in "
                f"{folder.named / 'study.json'}; the others are kept. The same command tries what "
                "failed again."
            )


def compare(
    folders: Annotated[
        list[Path], typer.Argument(help="A study's folder, or several run folders.")
    ],
    out: Annotated[
        Path | None,
        typer.Option(help="Where the page goes; else into a study's folder or comparison/."),
    ] = None,
    no_distances: Annotated[
        bool,
        typer.Option("--no-distances", help="Without those of pooled queries, which take minutes."),
    ] = False,
    features: Annotated[
        Path | None, typer.Option(help="MobileNetV2 weights to measure distances with as well.")
    ] = None,
    inception: Annotated[
        Path | None, typer.Option(help="torch-fidelity's Inception weights, likewise: FID.")
    ] = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    debug: DebugOption = False,
) -> None:
    """Compare finished runs: means over seeds, paired tests, curves; as a table and a page."""
    with one_paragraph(debug):
        from pipeline.comparison.methods import as_json as figures
        from pipeline.comparison.methods import compared
        from pipeline.comparison.results import results_of
        from pipeline.studies.folder import is_study

        found = results_of(folders)
        comparison = compared(found)
        if not no_distances:
            networks = _networks(features, inception)
            comparison = _with_distances(comparison, found, as_json or quiet, networks)
        alone = len(folders) == 1 and is_study(folders[0])
        target = out or (folders[0] if alone else Path("comparison"))
        _write(comparison, target)
    if as_json:
        typer.echo(json.dumps(figures(comparison), indent=2))
    else:
        _show(comparison, target)


def _swept(
    name: str,
    overrides: Sequence[str],
    out: Path | None,
    seeds: str | None,
    count: int | None,
    address: str | None,
    silent: bool,
) -> tuple[dict[str, str], list[PlannedRun], StudyFolder]:
    from dataclasses import replace

    from pipeline.studies.folder import StudyFolder
    from pipeline.studies.study import planned, read_study
    from pipeline.studies.sweep import sweep as run

    study = read_study(name)
    if seeds is not None:
        study = replace(study, seeds=_seeds(seeds))
    runs = planned(study, overrides)
    workers = _workers(count, address, silent)
    folder = StudyFolder(out or Path("studies") / study.name)
    command = ["vqlso", *sys.argv[1:]]
    with _watch(silent, count) as watch:
        return run(study.name, runs, folder, workers, watch, command), runs, folder


def _seeds(text: str) -> tuple[int, ...]:
    from pipeline.studies.study import check_seeds

    found: list[int] = []
    try:
        for part in text.split(","):
            first, dash, last = part.partition("-")
            found += range(int(first), int(last) + 1) if dash else [int(first)]
    except ValueError as error:
        raise ConfigError(f"--seeds {text} is neither like 0,1,2 nor like 0-19.") from error
    check_seeds(found)
    return tuple(found)


def _workers(count: int | None, address: str | None, silent: bool) -> Workers:
    from pipeline.studies.sweep import InThisProcess, ray_workers

    if count != 0:
        return ray_workers(count, address)
    if address is not None:
        raise ConfigError("--workers 0 uses no Ray: leave --address out, or give more workers.")
    return InThisProcess(progress(silent))


def _watch(silent: bool, count: int | None) -> AbstractContextManager[Watch]:
    """Bars, unless nobody sees them, or each run in this process draws its own."""
    from rich.console import Console

    from pipeline.studies.console import Bars, Lines, Quiet

    if silent:
        return nullcontext(Quiet(complain))
    if count != 0 and sys.stderr.isatty():
        return Bars(complain, Console(stderr=True))
    return nullcontext(Lines(complain, lambda line: typer.echo(line, err=True)))


def _tabulated(folder: StudyFolder, silent: bool) -> Comparison:
    """The study's tables, page and charts; without pyarrow no tables."""
    from pipeline.comparison.methods import compared
    from pipeline.comparison.parquet import write_tables
    from pipeline.comparison.results import results_of

    found = results_of([folder.path])
    try:
        write_tables(found.results, folder)
    except MissingExtraError as error:
        complain(str(error))
    comparison = _with_distances(compared(found), found, silent)
    _write(comparison, folder.named)
    return comparison


def _networks(features: Path | None, inception: Path | None) -> list[FeatureNetwork]:
    from vqlso.metrics.inception import InceptionFeatures
    from vqlso.metrics.mobilenet import MobileNetFeatures

    networks: list[FeatureNetwork] = []
    if inception is not None:
        networks.append(InceptionFeatures(inception))
    if features is not None:
        networks.append(MobileNetFeatures(features))
    return networks


def _with_distances(
    comparison: Comparison,
    found: Results,
    silent: bool,
    networks: Sequence[FeatureNetwork] = (),
) -> Comparison:
    """The same with the distances of its methods' pooled queries."""
    from dataclasses import replace

    from pipeline.comparison.pooled import pooled_distances

    distances = pooled_distances(found.results, progress(silent), networks)
    return replace(comparison, distances=distances)


def _write(comparison: Comparison, folder: Path) -> None:
    from pipeline.comparison.page import files_of
    from pipeline.studies.folder import StudyFolder

    target = StudyFolder(folder)
    for name, content in files_of(comparison).items():
        target.write(name, content)


def _show(comparison: Comparison, folder: Path) -> None:
    from pipeline.comparison.page import PAGE
    from pipeline.comparison.table import comparison_tables, distances_shown, notes

    for table in (*comparison_tables(comparison), *distances_shown(comparison)):
        console().print(table)
    if comparison.smoke_test:
        console().print(SMOKE_TEST)
    for note in (*notes(comparison), *comparison.missing):
        console().print(note, highlight=False, markup=False)
    console().print(f"Comparison: {folder / PAGE}", soft_wrap=True)


def _told(
    runs: Sequence[PlannedRun],
    folder: StudyFolder,
    reasons: dict[str, str],
    comparison: Comparison | None,
) -> dict[str, Any]:
    from pipeline.comparison.methods import as_json

    return {
        "folder": str(folder.named),
        "runs": [
            {
                "method": run.method,
                "settings": dict(run.settings),
                "seed": run.config.seed,
                "folder": str(folder.run_of(run)),
                "state": "failed" if run.name in reasons else "finished",
                "reason": reasons.get(run.name),
            }
            for run in runs
        ],
        "comparison": as_json(comparison) if comparison else None,
    }
