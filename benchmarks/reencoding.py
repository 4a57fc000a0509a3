"""Need all images be encoded anew after a retraining?

    python -m benchmarks.reencoding --retrainings 5

Retrains as a run does and counts, after each retraining, the codes that differ from those of the
generator before it, and the images that hold any such code. An oracle that knew these images could
leave out the others. What is known without encoding is how clearly each code was chosen before:
its margin, the squared distance of the second nearest code less that of the nearest. Images are
then encoded anew in the order of their smallest margin; the table tells how many it takes until
99 % of the changed ones are among them, and until all are.

What old codes would cost is told by R^2 on a fifth of the images under their new codes: of a
surrogate that was fitted to new codes of the others, and of one that was fitted to old ones.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.extra_tables import printed, titled
from benchmarks.held_out import held_out_r2
from benchmarks.recording import RESULTS, Recording
from pipeline.configuration.composition import composed
from pipeline.parts import build_retrainer
from pipeline.preparation.preparing import prepare
from pipeline.runs.folder import RunFolder
from pipeline.threads import threads_of
from solvers.surrogates import GridBoosting
from vqlso.archive import Archive
from vqlso.generators.vqvae import VQVAE
from vqlso.hardware import autocast, limit_threads
from vqlso.images import to_unit
from vqlso.progress import SILENT

FOUND = (0.99, 1.0)


class Encoded(NamedTuple):
    """(n, h, w) codes, (n, h, w) margins, and the seconds that codes alone took."""

    codes: NDArray[np.int64]
    margins: NDArray[np.float32]
    seconds: float


class Change(NamedTuple):
    """What one retraining did to n images.

    Attributes:
        codes: share of codes that changed.
        images: share of images with a changed code.
        needed: share of images to encode, by the share of changed ones that it finds.
        seconds: of encoding all.
        fresh, stale: R^2 of surrogates fitted to the new codes, and to those before.
    """

    codes: float
    images: float
    needed: dict[str, float]
    seconds: float
    fresh: float
    stale: float


def encoded(generator: VQVAE, archive: Archive, chunk: int = 1024) -> Encoded:
    """The archive under a generator."""
    began = perf_counter()
    codes = [
        generator.encode(to_unit(archive.images(slice(start, start + chunk))))
        for start in range(0, len(archive), chunk)
    ]
    seconds = perf_counter() - began
    margins = [
        margins_of(generator, archive.images(slice(start, start + chunk)))
        for start in range(0, len(archive), chunk)
    ]
    return Encoded(np.concatenate(codes), np.concatenate(margins), seconds)


def margins_of(generator: VQVAE, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(n, 3, H, W) -> (n, h, w), how much nearer the nearest code is than the second."""
    network = generator.network
    with torch.inference_mode():
        pixels = to_unit(images).mul(2).sub(1).contiguous(memory_format=torch.channels_last)
        with autocast(pixels.device):
            vectors = network.encoder(pixels)
        flat = vectors.float().permute(0, 2, 3, 1)
        embedding = network.quantizer.embedding
        distances = embedding.square().sum(1) - 2 * flat @ embedding.t()
        nearest = distances.topk(2, dim=-1, largest=False).values
        margins: NDArray[np.float32] = (nearest[..., 1] - nearest[..., 0]).numpy()
    return margins


def change(before: Encoded, after: Encoded, scores: NDArray[np.float64], trees: int) -> Change:
    """What differs, how well margins told, and what it is to a surrogate of so many trees."""
    differs = before.codes != after.codes
    changed = differs.any(axis=(1, 2))
    order = np.argsort(before.margins.min(axis=(1, 2)), kind="stable")
    found = np.cumsum(changed[order])
    needed = {
        f"{share:.0%}": float((np.searchsorted(found, share * found[-1]) + 1) / len(order))
        if found[-1]
        else 0.0
        for share in FOUND
    }
    fresh, stale = (
        held_out_r2(GridBoosting(trees=trees), after.codes, scores, learnt_from=codes)
        for codes in (after.codes, before.codes)
    )
    return Change(float(differs.mean()), float(changed.mean()), needed, after.seconds, fresh, stale)


def table(changes: Sequence[Change]) -> dict[str, Any]:
    """A row a retraining; the first is a whole epoch."""
    heads = ["retraining", "codes changed", "images changed"]
    heads += [f"to encode for {share:.0%} of them" for share in FOUND]
    heads += ["encoding all, s", "R^2, new codes", "R^2, old codes"]
    rows = [
        [
            str(number),
            f"{each.codes:.1%}",
            f"{each.images:.1%}",
            *(f"{share:.1%}" for share in each.needed.values()),
            f"{each.seconds:.2f}",
            f"{each.fresh:.3f}",
            f"{each.stale:.3f}",
        ]
        for number, each in enumerate(changes, 1)
    ]
    return titled("What a retraining changes", heads, rows)


def main(arguments: Sequence[str] | None = None) -> None:
    """Retrain, encode and compare; write and print the shares."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--retrainings", type=int, default=5)
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the JSON")
    parser.add_argument("overrides", nargs="*", metavar="key=value")
    options = parser.parse_args(arguments)
    config = composed("demo", options.overrides)
    limit_threads(threads_of(config))
    with tempfile.TemporaryDirectory() as folder:
        start = prepare(config, RunFolder(Path(folder)), SILENT)
    told = sys.argv[1:] if arguments is None else arguments
    command = " ".join(["python -m benchmarks.reencoding", *told])
    settings = {"retrainings": options.retrainings, "images": len(start.archive)}
    retrainer = build_retrainer(config)
    with Recording("reencoding", command, settings, ("torch",), options.results) as recording:
        generator, before = start.generator, encoded(start.generator, start.archive)
        changes = []
        for number in range(1, options.retrainings + 1):
            retrained, _ = retrainer.retrain(
                generator, start.archive, seed=config.seed, round_=number
            )
            assert isinstance(retrained, VQVAE)
            generator, after = retrained, encoded(retrained, start.archive)
            scores = start.archive.scores
            changes.append(change(before, after, scores, config.surrogate.trees))
            before = after
        tables = [table(changes)]
        recording.extra = {"changes": [each._asdict() for each in changes], "tables": tables}
        print(printed(tables))


if __name__ == "__main__":
    main()
