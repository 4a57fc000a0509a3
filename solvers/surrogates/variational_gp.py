"""The variational Gaussian process behind `SparseGP`; needs GPyTorch (extra `bayes`)."""

from __future__ import annotations

import gpytorch  # type: ignore[import-untyped]
import torch
from gpytorch.kernels import RBFKernel, ScaleKernel  # type: ignore[import-untyped]
from gpytorch.variational import (  # type: ignore[import-untyped]
    NaturalVariationalDistribution,
    VariationalStrategy,
)
from torch import Tensor

# Of the natural gradient: a step goes this share of the way to the batch's own optimum.
NATURAL_RATE = 0.1
# Share of the scores' variance that is noise before the fit.
FIRST_NOISE = 0.1


class VariationalGP(gpytorch.models.ApproximateGP):  # type: ignore[misc]
    """A sparse GP of standardised inputs and targets (Hensman et al. 2013), in float64.

    Args:
        inducing: (m, d) first inducing points.
        rows: how many samples it will be fitted to.
    """

    def __init__(self, inducing: Tensor, rows: int) -> None:
        super().__init__(
            VariationalStrategy(
                self, inducing.clone(), NaturalVariationalDistribution(len(inducing))
            )
        )
        self.dimensions = inducing.shape[1]
        self._rows = rows
        self.mean_module = gpytorch.means.ConstantMean()
        self.covar_module = ScaleKernel(RBFKernel(ard_num_dims=self.dimensions))
        # Standardised samples are sqrt(2 d) apart: shorter lengths would see them unrelated.
        self.covar_module.base_kernel.lengthscale = self.dimensions**0.5
        self.likelihood = gpytorch.likelihoods.GaussianLikelihood()
        self.likelihood.noise = FIRST_NOISE
        self.double()

    def forward(self, x: Tensor) -> gpytorch.distributions.MultivariateNormal:
        """(n, d) inputs -> the prior there, as GPyTorch asks for it."""
        return gpytorch.distributions.MultivariateNormal(self.mean_module(x), self.covar_module(x))

    def train_on(
        self,
        x: Tensor,
        y: Tensor,
        weight: Tensor,
        *,
        epochs: int,
        batch_size: int,
        learning_rate: float,
    ) -> None:
        """Maximise the weighted variational bound over batches drawn from torch's own stream."""
        steps = (
            gpytorch.optim.NGD(self.variational_parameters(), num_data=self._rows, lr=NATURAL_RATE),
            torch.optim.Adam(self.hyperparameters(), lr=learning_rate),
        )
        self.train()
        for _ in range(epochs):
            for rows in torch.split(torch.randperm(len(x)), batch_size):
                self.zero_grad()
                torch.autograd.backward(-self._bound(x[rows], y[rows], weight[rows]))
                for step in steps:
                    step.step()
        self.eval()
        self.requires_grad_(False)

    def moments(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(n, d) inputs -> (n,) means and standard deviations of the process."""
        process = self(x)
        return process.mean, process.variance.sqrt()

    def _bound(self, x: Tensor, y: Tensor, weight: Tensor) -> Tensor:
        """Hensman et al. 2013, eq. 4, a sample; GPyTorch's own has no place for weights."""
        fit: Tensor = (weight * self.likelihood.expected_log_prob(y, self(x))).mean()
        divergence: Tensor = self.variational_strategy.kl_divergence()
        return fit - divergence / self._rows
