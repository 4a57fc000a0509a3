"""Memory and time of a step of local search and of Enjoy Your Editing, by resolution.

    make bench-editing_memory
    make bench-editing_memory ARGS='--resolutions 64,128 --steps 3'

The paper reports 12 GB for its local search and 39 GB for backpropagation (StyleGAN3, 1024 pixels,
batch 1). Here both edit the same StyleGAN2 of the paper's own widths with random weights: memory
and time do not depend on what the weights are. Each figure comes from a process of its own; its
memory is the most that the process held, minus what it held once the networks were loaded.
Backpropagation is measured with the regressor's term alone and with all three, as the paper has it.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from functools import partial
from itertools import product
from pathlib import Path
from statistics import median
from time import process_time
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.editing_parts import one_thread
from benchmarks.growth_point import peak
from benchmarks.kept_runs import KeptRuns
from benchmarks.options import command_of, frame_options, whole_numbers
from solvers.directions import DirectionSearch, EnjoyEditing, FindsDirection, start_from
from solvers.directions.enjoy_editing import EditingLoss
from vqlso.generators.stylegan2.discriminator import Discriminator, StyleGAN2Discriminator
from vqlso.generators.stylegan2.generator import StyleGAN2
from vqlso.generators.stylegan2.network import StyleGAN2Network
from vqlso.generators.stylegan2.settings import StyleGAN2Settings
from vqlso.objectives.factor_network import FactorNetwork
from vqlso.objectives.feature_networks import RandomTaps
from vqlso.problems.direction import Direction
from vqlso.records import Context

SEARCH, REGRESSOR, WHOLE = "local search", "backpropagation", "backpropagation, all terms"
# Of activations that a local search decodes at once.
DECODING_MIB = 64
SEEN = 64
# Pixels of a batch: backpropagation through more was not tried in 23 GiB.
MOST_PIXELS = 1024**2


class SmallRegressor(nn.Module):
    """The packaged regressor's architecture on pictures of any size, averaged to its 64 pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.network = FactorNetwork(1).eval().requires_grad_(False)

    def value(self, images: Tensor) -> Tensor:
        """(n, 3, H, W) -> (n,), differentiable."""
        levels: Tensor = self.network(F.adaptive_avg_pool2d(images, SEEN)).sigmoid()[:, 0]
        return levels

    def __call__(self, images: Tensor) -> np.ndarray[Any, np.dtype[np.float64]]:
        """(n, 3, H, W) -> (n,)."""
        with torch.inference_mode():
            return self.value(images).double().numpy()


def every_term(resolution: int) -> EditingLoss:
    """With content and realism, the latter by a discriminator of the official widths."""
    discriminator = StyleGAN2Discriminator(Discriminator(StyleGAN2Settings(resolution)))
    return EditingLoss(content=RandomTaps(), realism=discriminator)


def point(method: str, resolution: int, batch: int, steps: int) -> dict[str, float]:
    """MiB and seconds a step of one method, in this process."""
    one_thread()
    torch.manual_seed(0)
    generator = StyleGAN2(StyleGAN2Network(StyleGAN2Settings(resolution)), memory_mib=DECODING_MIB)
    problem = Direction(
        generator,
        SmallRegressor(),
        "w",
        anchors=batch if method == SEARCH else 1,
        baseline=False,
        batch_size=generator.chunk,
    )
    solver: FindsDirection
    if method == SEARCH:
        solver = DirectionSearch(problem)
    else:
        loss = every_term(resolution) if method == WHOLE else EditingLoss()
        solver = EnjoyEditing(problem, loss=loss, batch=batch, steps=1)
    solver.rebase(start_from(problem))
    loaded, seconds = peak(), []
    for _ in range(steps + 1):
        began = process_time()
        proposal = solver.ask(2 if method == SEARCH else 1)
        if method == SEARCH:
            solver.tell(proposal, problem.evaluate(proposal, Context(0, 0)))
        seconds.append(process_time() - began)
    return {"loaded": loaded, "memory": peak() - loaded, "seconds": median(seconds[1:])}


def apart(method: str, resolution: int, batch: int, steps: int) -> dict[str, float]:
    """The same in a process of its own."""
    call = [sys.executable, "-m", "benchmarks.editing_memory", "--point"]
    done = subprocess.run(
        [*call, json.dumps([method, resolution, batch, steps])],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[1],
    )
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    """Measure every point that is not kept yet."""
    parser = frame_options(__doc__, rounds=1)
    parser.add_argument("--point", type=json.loads, default=None, help=argparse.SUPPRESS)
    parser.add_argument("--resolutions", type=whole_numbers, default=[64, 128, 256, 512, 1024])
    parser.add_argument("--batches", type=whole_numbers, default=[1, 8])
    parser.add_argument("--steps", type=int, default=1, help="that count, after one that does not")
    options = parser.parse_args()
    if options.point is not None:
        print(json.dumps(point(*options.point)))
        return
    kept = KeptRuns(
        "editing_memory",
        command_of("editing_memory"),
        {"steps": options.steps},  # more points may be added to what is kept
        ("torch", "numpy"),
        options.results,
    )
    methods = (SEARCH, REGRESSOR, WHOLE)
    for batch, resolution, method in product(options.batches, options.resolutions, methods):
        if batch * resolution**2 > MOST_PIXELS:
            continue
        key = {"resolution": resolution, "batch": batch, "method": method}
        kept.run(key, partial(apart, method, resolution, batch, options.steps))


if __name__ == "__main__":
    main()
