"""The shift itself: how the degrees of the generator's own samples move from round to round."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.scoring import scores_of
from vqlso.archive import Archive
from vqlso.contracts import EncodingGenerator, Generator, Objective
from vqlso.generators.code_prior import CodePrior
from vqlso.generators.latent_density import LatentDensity
from vqlso.images import to_bytes, to_unit
from vqlso.randomness import stream
from vqlso.spaces import CodeGrid

# Of a density that is fitted in every round.
DENSITY_ROWS = 5000


@dataclass(frozen=True)
class Samples:
    """What the generator's distribution looks like after one round.

    Attributes:
        images: (m, 3, H, W) uint8, decoded samples of the prior that the objective could score.
        degrees: (m,) float64, by the queried objective.
        judged: (m,) float64, by the judge; empty without one.
    """

    images: NDArray[np.uint8]
    degrees: NDArray[np.float64]
    judged: NDArray[np.float64]

    def facts(self) -> dict[str, float | None]:
        """Means and quantiles for the journal; empty without samples."""
        if not len(self.degrees):
            return {}
        low, middle, high = np.quantile(self.degrees, (0.05, 0.5, 0.95))
        return {
            "mean": float(self.degrees.mean()),
            "q05": float(low),
            "median": float(middle),
            "q95": float(high),
            "judge_mean": float(self.judged.mean()) if len(self.judged) else None,
        }


@dataclass(frozen=True)
class ShiftMonitor:
    """Fits a prior to the latents as the generator's training sees them, samples and scores it.

    The prior is fitted with the retraining weights, because the generator's distribution after
    weighted retraining is the weighted one. A generator without an encoder has its own
    distribution of latents instead. The samples are measured only: they are neither queries nor
    archive.

    Attributes:
        objective: the queried scorer.
        judge: the second scorer, if there is one.
        samples: images a round.
        components: mixture components of a prior over codes.
        seed: of fit and samples.
    """

    objective: Objective
    judge: Objective | None = None
    samples: int = 500
    components: int = 64
    seed: int = 0

    def observe(
        self,
        generator: Generator,
        archive: Archive,
        weights: NDArray[np.float64],
        round_: int,
    ) -> Samples:
        """Samples of the generator's distribution after `round_` retrainings."""
        z = self._drawn(generator, archive, weights, stream(self.seed, "shift", round_))
        images = to_bytes(generator.decode(z, generator.space.name))
        degrees, _ = scores_of(self.objective, to_unit(images))
        scored = np.isfinite(degrees)
        judged = self.judge(to_unit(images[scored])) if self.judge else np.empty(0)
        return Samples(images[scored], degrees[scored], judged)

    def _drawn(
        self,
        generator: Generator,
        archive: Archive,
        weights: NDArray[np.float64],
        rng: np.random.Generator,
    ) -> NDArray[Any]:
        """(samples, *space.shape) latents of the generator's own distribution."""
        space = generator.space
        if not isinstance(generator, EncodingGenerator):
            return space.sample(self.samples, rng)
        latents = archive.latents(generator.version)
        if isinstance(space, CodeGrid):
            prior = CodePrior.fit(
                latents,
                weights,
                categories=space.categories,
                components=self.components,
                rng=rng,
            )
            return prior.sample(self.samples, rng)
        return LatentDensity.fit(latents, weights, rng=rng, max_rows=DENSITY_ROWS).sample(
            self.samples, rng
        )


@dataclass(frozen=True)
class Settled:
    """Stop when the distribution no longer moves.

    Attributes:
        patience: rounds that are compared with as many rounds before them; 0 never stops.
        tolerance: least change of the mean degree that counts as movement.
    """

    patience: int = 0
    tolerance: float = 0.02

    def reached(self, means: list[float]) -> bool:
        """Whether the mean degree of the last rounds equals that of the rounds before."""
        if not self.patience or len(means) < 2 * self.patience:
            return False
        recent = np.mean(means[-self.patience :])
        before = np.mean(means[-2 * self.patience : -self.patience])
        return bool(abs(recent - before) < self.tolerance)
