"""`vqlso trees`: the exact optimiser of tree ensembles, on files."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from pipeline.commands.terminal import Command, DebugOption, Group, console, one_paragraph

app = typer.Typer(
    help="Optimise fitted tree ensembles exactly: files of LightGBM, XGBoost or ONNX.",
    no_args_is_help=True,
    cls=Group,
)

ModelArgument = Annotated[
    Path, typer.Argument(help="LightGBM's text, XGBoost's JSON or UBJSON, or ONNX.")
]
ReferenceOption = Annotated[
    Path, typer.Option(help="The point that fixed features keep: .npy, or numbers as text.")
]
FreeOption = Annotated[
    str, typer.Option(help='Features that may change, counted from 0: "3,9", "0-7" or "all".')
]
RowOption = Annotated[
    int | None, typer.Option(help="Which point, counted from 0, where the reference holds several.")
]
CategoriesOption = Annotated[
    int | None, typer.Option(metavar="K", help="All features are categorical, of codes 0..K-1.")
]
FeaturesOption = Annotated[
    Path | None, typer.Option(help="JSON with kind and range of every feature.")
]
ConstraintsOption = Annotated[
    Path | None, typer.Option(help="JSON with allowed values, terms and constraints.")
]
IncumbentOption = Annotated[
    Path | None, typer.Option(help="A good point that is known, to start from.")
]
RawOption = Annotated[
    bool, typer.Option("--raw", help="Take the sum of the leaves, not its transform.")
]
BackendOption = Annotated[str, typer.Option(help="Its name; `vqlso trees backends` shows all.")]
KOption = Annotated[int, typer.Option("--k", help="How many distinct best points.")]
SecondsOption = Annotated[float | None, typer.Option(help="Stop after so many, without a proof.")]
NodesOption = Annotated[
    int | None,
    typer.Option(help="Stop after so many steps of the search, without a proof; repeatable."),
]
MegabytesOption = Annotated[
    float | None, typer.Option(help="Stop beyond so much memory, without a proof.")
]
OutOption = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Save the best point as .npy; with --k above 1 one a row."),
]
CertificateOption = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Write a proof that `vqlso trees check` can check."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as JSON only.")]


def _command(lowest: bool) -> Callable[..., None]:
    """Both directions take the same options."""

    def command(
        model: ModelArgument,
        reference: ReferenceOption,
        free: FreeOption,
        row: RowOption = None,
        categories: CategoriesOption = None,
        features: FeaturesOption = None,
        constraints: ConstraintsOption = None,
        incumbent: IncumbentOption = None,
        raw: RawOption = False,
        backend: BackendOption = "auto",
        k: KOption = 1,
        seconds: SecondsOption = None,
        nodes: NodesOption = None,
        megabytes: MegabytesOption = None,
        out: OutOption = None,
        certificate: CertificateOption = None,
        as_json: JsonOption = False,
        debug: DebugOption = False,
    ) -> None:
        with one_paragraph(debug):
            from pipeline.commands import trees_files, trees_output
            from solvers.trees import Limits, TreeEnsemble, maximize, minimize
            from solvers.trees.destinations import check_destination

            for destination in filter(None, (out, certificate)):
                check_destination(destination)
            limits = Limits(nodes, seconds, megabytes)
            stated = trees_files.read_features(features) if features else None
            ensemble = TreeEnsemble.from_model(model, features=stated, categories=categories)
            z = trees_files.read_point(reference, row)
            demands = trees_files.read_demands(constraints, z)
            optimum = (minimize if lowest else maximize)(
                ensemble.untransformed() if raw else ensemble,
                free=trees_files.free_features(free, ensemble.n_features),
                reference=z,
                backend=backend,
                k=k,
                **demands,
                incumbent=trees_files.read_point(incumbent) if incumbent else None,
                limits=limits,
                certificate=certificate,
            )
            if out:
                trees_output.save_points(optimum, out, several=k > 1)
        if as_json:
            typer.echo(json.dumps(trees_output.as_json(optimum, ensemble.features), indent=2))
        else:
            for table in trees_output.tables(optimum, z):
                console().print()
                console().print(table)

    return command


app.command("maximize", cls=Command, help="Points of highest prediction, proven or with a bound.")(
    _command(lowest=False)
)
app.command("minimize", cls=Command, help="Points of lowest prediction, proven or with a bound.")(
    _command(lowest=True)
)


@app.command(cls=Command)
def check(
    certificate: Annotated[Path, typer.Argument(help="What --certificate wrote.")],
    model: Annotated[
        Path | None, typer.Argument(help="The model that it should be about.", show_default=False)
    ] = None,
    categories: CategoriesOption = None,
    features: FeaturesOption = None,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Check a proof of optimality, without any engine."""
    with one_paragraph(debug):
        from pipeline.commands import trees_files
        from pipeline.report.headline import counted
        from solvers.trees import TreeEnsemble
        from solvers.trees.certificate_checker import check_certificate

        stated = trees_files.read_features(features) if features else None
        ensemble = None
        if model is not None:
            ensemble = TreeEnsemble.from_model(model, features=stated, categories=categories)
        checked = check_certificate(certificate, ensemble)
    if as_json:
        typer.echo(json.dumps(asdict(checked)))
        return
    better = "lower" if checked.minimised else "higher"
    typer.echo(
        f"The certificate holds: a point reaches {checked.value:.9g}, and none is {better} than "
        f"{checked.bound:.9g} ({counted(checked.nodes, 'node')})."
    )
    if ensemble is None:
        typer.echo("No model was given to compare with the one in the certificate.")


@app.command(cls=Command)
def backends(as_json: JsonOption = False) -> None:
    """List the engines, and what they need installed."""
    from pipeline.commands.listing import listing
    from pipeline.commands.trees_output import backend_table

    rows = [row for row in listing() if row["role"] == "solver.backend"]
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
    else:
        console().print(backend_table(rows))
