"""Runs of Enjoy Your Editing that end in numbers that are none (Meißner et al. 2022, section 4.1).

    make bench-editing_failures
    make bench-editing_failures ARGS='--seeds 10 --batches 1,8'

The paper's regressor has linear outputs, which its cross-entropy takes for probabilities. The
packaged one has a sigmoid on its last layer. So both are run: "squashed" is the packaged one, and
"linear" is the same network with a linear output of its last features in place of the sigmoid,
fitted by least squares to the packaged one's levels of the generator's own samples. A run ends at
its first loss or gradient that is not finite.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from itertools import product
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from benchmarks.editing_parts import AT_ONCE, Faces, one_thread
from benchmarks.kept_runs import KeptRuns
from benchmarks.options import command_of, frame_options, settings_of, whole_numbers
from solvers.directions import EnjoyEditing, FoundDirection, find_direction
from solvers.directions.enjoy_editing import EditingLoss, RegressorLoss
from solvers.directions.finding import numerical_failures
from vqlso.objectives.face_attributes import FaceAttribute
from vqlso.objectives.factor_network import POOLED
from vqlso.problems.direction import Direction
from vqlso.randomness import stream

PLAIN: RegressorLoss = "cross_entropy"
# Finite for every level: they are run at the smallest batch alone, where the paper failed most.
SAFE: tuple[RegressorLoss, ...] = ("clamped_cross_entropy", "squared_error")
STEPS = 10


class LinearLevel:
    """One attribute's level as a linear function of the network's last features.

    Args:
        squashed: the packaged objective.
        images: (n, 3, H, W) that the linear output is fitted on.
    """

    def __init__(self, squashed: FaceAttribute, images: Tensor) -> None:
        self.squashed = squashed
        with torch.inference_mode():
            features = self._features(images).numpy()
        columns = np.column_stack([features, np.ones(len(features))]).astype(np.float64)
        slopes = np.linalg.lstsq(columns, squashed(images), rcond=None)[0]
        self.slopes = torch.tensor(slopes, dtype=torch.float32)

    def value(self, images: Tensor) -> Tensor:
        """(n, 3, H, W) float in [0, 1] -> (n,), unbounded and differentiable."""
        return self._features(images) @ self.slopes[:-1] + self.slopes[-1]

    def __call__(self, images: Tensor) -> NDArray[np.float64]:
        """(n, 3, H, W) float in [0, 1] -> (n,)."""
        with torch.inference_mode():
            return self.value(images).double().numpy()

    def _features(self, images: Tensor) -> Tensor:
        network = self.squashed.attributes.network
        maps = F.adaptive_avg_pool2d(network.convolutions(2 * images - 1), POOLED)
        return F.relu(network.dense(maps.flatten(1)))


def regressors(problem: Direction, samples: int) -> dict[str, Direction]:
    """The packaged regressor and the linear one."""
    latents = problem.edited_space.sample(samples, stream(0, "linear level"))
    parts = [latents[start : start + AT_ONCE] for start in range(0, samples, AT_ONCE)]
    images = torch.cat(
        [problem.generator.decode(part, problem.edited_space.name) for part in parts]
    )
    assert isinstance(problem.objective, FaceAttribute)
    return {
        "linear": replace(problem, objective=LinearLevel(problem.objective, images)),
        "squashed": problem,
    }


def counted(
    problem: Direction,
    loss: RegressorLoss,
    *,
    rate: float,
    batch: int,
    iterations: int,
    seeds: int,
) -> dict[str, Any]:
    """Runs that end in a loss or a gradient which is no finite number, and why each did."""

    def search(seed: int) -> FoundDirection:
        editing = EnjoyEditing(
            problem,
            loss=EditingLoss(loss),
            learning_rate=rate,
            batch=batch,
            steps=STEPS,
            seed=seed,
        )
        images = iterations * 2 * batch + iterations // STEPS * problem.images_of(1)
        return find_direction(problem, editing, images=images, batch=1, seed=seed)

    reasons = numerical_failures(search, range(seeds))
    return {
        "failed": sum(map(bool, reasons)),
        "reasons": [why.partition(". ")[0] for why in reasons],
    }


def main() -> None:
    """Count all that is not kept yet."""
    parser = frame_options(__doc__, rounds=1)
    parser.add_argument("--attribute", default="smile")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--iterations", type=int, default=50)
    parser.add_argument("--batches", type=whole_numbers, default=[1, 2, 4, 8])
    parser.add_argument("--rate", type=float, default=0.02, help="200 times the paper's")
    parser.add_argument("--samples", type=int, default=600, help="the linear output is fitted on")
    options = parser.parse_args()
    one_thread()
    kept = KeptRuns(
        "editing_failures",
        command_of("editing_failures"),
        settings_of(options),
        ("torch", "numpy"),
        options.results,
    )
    problems = regressors(Faces.packaged().problem(options.attribute, 1), options.samples)
    cases = [(PLAIN, batch, options.rate) for batch in options.batches]
    smallest = options.batches[0]
    cases.insert(1, (PLAIN, smallest, options.rate / 10))  # as the paper, a tenth of its rate
    cases += [(loss, smallest, options.rate) for loss in SAFE]
    for (name, problem), (loss, batch, rate) in product(problems.items(), cases):
        key = {"regressor": name, "loss": loss, "batch": batch, "rate": rate}
        how = {"iterations": options.iterations, "seeds": options.seeds}
        kept.run(key, partial(counted, problem, loss, rate=rate, batch=batch, **how))


if __name__ == "__main__":
    main()
