"""Trust-region Bayesian optimisation over real latents (TuRBO, Eriksson et al. 2019)."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import ceil, prod
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import qmc

from solvers.extras import extra_package
from solvers.history import History
from vqlso.archive import Archive
from vqlso.errors import SolverError
from vqlso.randomness import stream, torch_seed
from vqlso.records import Proposal, Scores
from vqlso.spaces import RealVectors

# Eriksson et al. 2019, appendix D: lengths in the unit cube, and the coordinates that a candidate
# changes on average.
FIRST_LENGTH = 0.8
LONGEST = 1.6
SHORTEST = 2**-7
SUCCESSES = 3
CHANGED = 20
# The authors' code counts no smaller share of the best value as an improvement.
IMPROVEMENT = 1e-3
# As many as the authors' steps of Adam; here of L-BFGS.
FIT_STEPS = 50
# The unit cube reaches so many deviations of the training latents to either side of their mean.
DEVIATIONS = 3.0


@dataclass
class TrustRegion:
    """How far the search ventures from the best latent, and the luck it had so far.

    Attributes:
        first_row: of the history; earlier points belong to regions that were given up.
        best: the highest score in it.
        patience: groups of failures in a row that halve the length.
        length: of the region's side, in units of the cube.
    """

    first_row: int
    best: float
    patience: int
    length: float = FIRST_LENGTH
    _in_a_row: int = field(default=0, repr=False)  # successes; failures if negative

    def count(self, values: NDArray[np.float64]) -> None:
        """Grow or shrink by the answers to one group of proposals."""
        highest = float(values.max())
        improved = highest > self.best + IMPROVEMENT * abs(self.best)
        self.best = max(self.best, highest)
        if improved:
            self._in_a_row = max(self._in_a_row, 0) + 1
        else:
            self._in_a_row = min(self._in_a_row, 0) - 1
        if self._in_a_row == SUCCESSES:
            self.length, self._in_a_row = min(2 * self.length, LONGEST), 0
        elif self._in_a_row == -self.patience:
            self.length, self._in_a_row = self.length / 2, 0


class TuRBO:
    """A Gaussian process near the best latent proposes by Thompson sampling within a box.

    TuRBO-1 with three departures, for it starts from an archive. The first region begins with all
    that is known; a later one, after the length has fallen below 2^-7, with samples of the
    space's own distribution. The process is fitted to the points nearest the region's centre.
    Its kernel and priors are those of BoTorch's SingleTaskGP, which stay sound in hundreds of
    dimensions (Hvarfner et al. 2024).

    The unit cube spans 3 deviations of the training latents to either side of their mean, in each
    coordinate; proposals do not leave it. All state follows from the archive and the answers:
    these are counted in groups of `batch`, in the order in which they were told.

    Args:
        space: real latents of any shape.
        batch: how many are asked for at a time; as one group they succeed or fail.
        most_points: that the process is fitted to, >= 2; the time of a fit grows with its cube.
        candidates: points of a scrambled Sobol sequence that each sample is compared on; best a
            power of 2.
        initial: samples that a region after the first begins with, >= 1; by default twice the
            number of dimensions, at most `most_points`.
        seed: of candidates and samples.

    Raises:
        SolverError: a setting outside its range.
        MissingExtraError: BoTorch is not installed.
    """

    def __init__(
        self,
        space: RealVectors,
        *,
        batch: int = 1,
        most_points: int = 256,
        candidates: int = 2048,
        initial: int | None = None,
        seed: int = 0,
    ) -> None:
        self._models = extra_package("botorch.models", "bayes")
        self._mlls = extra_package("gpytorch.mlls", "bayes")
        self._fitting = extra_package("botorch.fit", "bayes")
        self.space = space
        self.dimensions = prod(space.shape)
        self.batch = batch
        self.most_points = most_points
        self.candidates = candidates
        self.initial = min(2 * self.dimensions, most_points) if initial is None else initial
        self.seed = seed
        self._history = History(space)
        self._rows_at_rebase = 0
        self._low: NDArray[np.float64] = np.empty(0)
        self._width: NDArray[np.float64] = np.empty(0)
        self._model: Any = None
        if min(batch, candidates, self.initial) < 1 or most_points < 2:
            raise SolverError(
                "TuRBO needs batch, candidates and initial >= 1 and most_points >= 2; got "
                f"{batch}, {candidates}, {self.initial} and {most_points}."
            )

    def rebase(self, archive: Archive) -> None:
        """Start afresh: a first region around the best latent as it is encoded now."""
        self._history.rebase(archive)
        self._rows_at_rebase = len(self._history)
        training = self._flat()[: self._history.training_rows]
        deviation = training.std(axis=0)
        # Where all training latents agree there is no scale but that of the prior.
        deviation[deviation == 0] = 1.0
        self._low = training.mean(axis=0) - DEVIATIONS * deviation
        self._width = 2 * DEVIATIONS * deviation
        self._model = None

    def tell(self, proposal: Proposal, scores: Scores) -> None:
        """Add the answered points; ids that were never proposed here are welcome.

        Raises:
            SolverError: as `History.tell`.
        """
        self._history.tell(proposal, scores)
        self._model = None

    def ask(self, n: int) -> Proposal:
        """n >= 1 Thompson samples around the region's best latent, which is the "reference".

        While a new region is begun, n samples of the space, which derive from nothing.

        Raises:
            SolverError: nothing is asked for, or before `rebase`.
        """
        ids = self._history.new_ids(n)
        region = self._region()
        if region is None:
            fresh = [self.space.sample(1, stream(self.seed, "turbo", int(id_))) for id_ in ids]
            return self._history.proposal(ids, np.concatenate(fresh))
        centre = region.first_row + int(self._history.y[region.first_row :].argmax())
        if self._model is None:
            self._model = self._fitted(region, centre)
        low, high = self._box(region, centre)
        drawn = [self._thompson_sample(low, high, centre, int(id_)) for id_ in ids]
        points, predicted, sampled = (np.array(each) for each in zip(*drawn, strict=True))
        z = (self._low + self._width * points).reshape(n, *self.space.shape)
        return self._history.proposal(
            ids,
            z,
            parents=np.full(n, centre, dtype=np.int64),
            predicted=predicted,
            acquisition=sampled,
            controls={"reference": np.repeat(self._history.z[centre][None], n, axis=0)},
            details={"length": region.length},
        )

    def _region(self) -> TrustRegion | None:
        """The current region by all answers since `rebase`; None while samples begin one."""
        y = self._history.y
        patience = ceil(max(4 / self.batch, self.dimensions / self.batch))
        first, row = 0, self._rows_at_rebase
        while row <= len(y):
            region = TrustRegion(first, float(y[first:row].max()), patience)
            while region.length >= SHORTEST:
                if row + self.batch > len(y):
                    return region
                region.count(y[row : row + self.batch])
                row += self.batch
            first, row = row, row + self.initial
        return None

    def _flat(self) -> NDArray[np.float64]:
        return self._history.z.reshape(len(self._history), -1)

    def _in_cube(self, rows: NDArray[np.int64]) -> NDArray[np.float64]:
        return (self._flat()[rows] - self._low) / self._width

    def _fitted(self, region: TrustRegion, centre: int) -> Any:
        """The process, fitted to what is known nearest the centre."""
        rows = np.arange(region.first_row, len(self._history))
        distance = np.linalg.norm(self._in_cube(rows) - self._in_cube(np.array([centre])), axis=1)
        rows = rows[np.sort(np.argsort(distance, kind="stable")[: self.most_points])]
        with _alone(torch_seed(self.seed, "turbo fit", len(self._history))):
            x = torch.from_numpy(self._in_cube(rows))
            model = self._models.SingleTaskGP(x, torch.from_numpy(self._history.y[rows, None]))
            self._fitting.fit_gpytorch_mll(
                self._mlls.ExactMarginalLogLikelihood(model.likelihood, model),
                optimizer_kwargs={"options": {"maxiter": FIT_STEPS}},
            )
        return model.eval()

    def _box(
        self, region: TrustRegion, centre: int
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(d,) lowest and highest coordinates: longer where the process varies more slowly."""
        scales = self._model.covar_module.lengthscale.detach().numpy().ravel()
        # Geometric mean 1: the volume is that of a cube of the region's length.
        weights = scales / np.exp(np.log(scales).mean())
        middle = self._in_cube(np.array([centre]))[0]
        half = weights * region.length / 2
        return np.clip(middle - half, 0, 1), np.clip(middle + half, 0, 1)

    def _thompson_sample(
        self, low: NDArray[np.float64], high: NDArray[np.float64], centre: int, id_: int
    ) -> tuple[NDArray[np.float64], float, float]:
        """The maximiser of one draw from the process, its mean there, and what was drawn."""
        rng = stream(self.seed, "turbo", id_)
        sobol = qmc.Sobol(self.dimensions, rng=rng).random(self.candidates)
        changes = rng.random(sobol.shape) < min(1, CHANGED / self.dimensions)
        # A candidate that changed nothing would be the centre itself.
        changes[np.arange(len(sobol)), rng.integers(self.dimensions, size=len(sobol))] = True
        middle = self._in_cube(np.array([centre]))
        points = np.where(changes, low + (high - low) * sobol, middle)
        with _alone(torch_seed(self.seed, "turbo", id_)), torch.no_grad():
            posterior = self._model.posterior(torch.from_numpy(points))
            values = posterior.rsample().numpy().ravel()
            means = posterior.mean.numpy().ravel()
        best = int(values.argmax())
        return points[best], float(means[best]), float(values[best])


@contextmanager
def _alone(seed: int) -> Iterator[None]:
    """BoTorch draws from torch's global stream, and warns of jitter that rounding asks for."""
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.manual_seed(seed)
        yield
