"""The solvers of score ascents keep the contract of every solver."""

import pytest
import torch
from linear_images import LinearImages
from torch import Tensor, nn
from tuned_images import Brightness, LinearNetworkImages

from solvers.conditional_search import ConditionalSearch
from solvers.policy_search import PolicySearch
from solvers.testing import SolverCase, SolverContract
from solvers.tuned_samples import TunedSamples
from vqlso.spaces import RealVectors
from vqlso.training.generator_ascent import AscentTraining, TunedGenerators

W = RealVectors("w", (3,))


class Doubled(nn.Module):
    """z -> 2 z, with weights."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(2 * torch.eye(3))

    def forward(self, z: Tensor) -> Tensor:
        return z @ self.weight


class TestPolicySearch(SolverContract):
    @pytest.fixture
    def case(self) -> SolverCase:
        return SolverCase(W, lambda seed: PolicySearch(W, Doubled(), 3, batch=2, seed=seed))


class TestConditionalSearch(SolverContract):
    @pytest.fixture(params=[None, 0.2], ids=["best known", "given"])
    def case(self, request: pytest.FixtureRequest) -> SolverCase:
        return SolverCase(
            W, lambda seed: ConditionalSearch(W, asked=request.param, refit=2, seed=seed)
        )


class TestTunedSamples(SolverContract):
    @pytest.fixture
    def case(self) -> SolverCase:
        training = AscentTraining(batch_size=2)
        original = LinearNetworkImages()
        space = TunedGenerators(original, Brightness(), training).space
        return SolverCase(
            space,
            lambda seed: TunedSamples(TunedGenerators(original, Brightness(), training, seed=seed)),
        )


def test_the_stand_in_is_not_a_network() -> None:
    with pytest.raises(Exception, match="fine-tuned"):
        TunedGenerators(LinearImages(), Brightness())
