"""REINFORCE on a mapping: it climbs, it learns nothing from luck, and it can be held."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from solvers.policy_search import PolicySearch
from solvers.testing import SolverCase
from vqlso.errors import SolverError
from vqlso.records import Proposal, Scores, ScoreStatus
from vqlso.spaces import RealVectors

W = RealVectors("w", (4,))
ALONG = np.array([1.0, -1.0, 0.0, 0.5])


class Affine(nn.Module):
    """z + b."""

    def __init__(self) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(4))

    def forward(self, z: Tensor) -> Tensor:
        return z + self.bias


def told(proposal: Proposal, values: np.ndarray) -> Scores:
    images = np.zeros((len(values), 3, 1, 1), dtype=np.uint8)
    fine = (ScoreStatus.OK,) * len(values)
    return Scores(proposal.ids, values, fine, ("",) * len(values), images)


def searched(anchor: float, steps: int = 40, slope: np.ndarray = ALONG) -> tuple[np.ndarray, float]:
    """The bias that was learnt, and the mean score of the last batches."""
    solver = PolicySearch(W, Affine(), 4, batch=20, learning_rate=0.1, anchor=anchor)
    solver.rebase(SolverCase(W, lambda seed: solver, training=3).archive())
    means = []
    for _ in range(steps):
        proposal = solver.ask(20)
        values = proposal.z @ slope
        means.append(values.mean())
        solver.tell(proposal, told(proposal, values))
    bias = dict(solver.mapping.named_parameters())["bias"].detach().numpy()
    return bias, float(np.mean(means[-5:]))


def test_it_climbs_along_the_score() -> None:
    bias, reached = searched(anchor=0.0)
    assert reached > 3
    assert bias @ ALONG / np.linalg.norm(ALONG) / np.linalg.norm(bias) > 0.8


def test_the_anchor_holds_the_mapping() -> None:
    held, _ = searched(anchor=10.0)
    free, _ = searched(anchor=0.0)
    assert np.linalg.norm(held) < 0.2 * np.linalg.norm(free)


def test_equal_scores_teach_nothing() -> None:
    bias, _ = searched(anchor=0.0, steps=3, slope=np.zeros(4))
    assert not bias.any()


def test_its_step_is_the_gradient_of_the_likelihood() -> None:
    """One batch of two: the advantages are 1 and -1, Adam's first step has the gradient's signs."""
    solver = PolicySearch(W, Affine(), 4, batch=2, learning_rate=0.5, noise=0.3, anchor=0.0)
    solver.rebase(SolverCase(W, lambda seed: solver, training=3).archive())
    proposal = solver.ask(2)
    _, noise = solver._drawn(proposal.ids)
    solver.tell(proposal, told(proposal, np.array([2.0, 1.0])))
    bias = dict(solver.mapping.named_parameters())["bias"].detach().numpy()
    np.testing.assert_allclose(bias, 0.5 * np.sign((noise[0] - noise[1]).numpy()), rtol=1e-4)


@pytest.mark.parametrize("wrong", [{"batch": 1}, {"noise": 0.0}, {"anchor": -1.0}])
def test_settings_outside_their_range_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(SolverError, match="REINFORCE needs"):
        PolicySearch(W, Affine(), 4, **wrong)  # type: ignore[arg-type]
