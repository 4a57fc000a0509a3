"""The degree is the probability-weighted mean of six levels."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vqlso.errors import ConfigError, ObjectiveError
from vqlso.objectives.degree import degree_from_logits

rows = st.lists(st.floats(-30, 30), min_size=6, max_size=6)


@given(logits=rows, temperature=st.floats(0.1, 10))
def test_equals_the_sum_written_out(logits: list[float], temperature: float) -> None:
    odds = [math.exp(value / temperature - max(logits) / temperature) for value in logits]
    by_hand = sum(level * p for level, p in enumerate(odds)) / sum(odds)
    computed = degree_from_logits(torch.tensor([logits], dtype=torch.float64), temperature)
    assert computed.shape == (1,)
    assert computed.item() == pytest.approx(by_hand, abs=1e-9)
    assert 0 <= computed.item() <= 5 + 1e-12


def test_a_certain_class_is_its_own_degree_and_none_is_the_middle() -> None:
    certain = torch.eye(6) * 1000
    assert torch.allclose(degree_from_logits(certain), torch.arange(6.0))
    assert degree_from_logits(torch.zeros(1, 6)).item() == pytest.approx(2.5)


def test_temperature_pulls_towards_the_middle() -> None:
    logits = torch.tensor([[0.0, 0, 0, 0, 0, 4]])
    cold, warm, hot = (degree_from_logits(logits, t).item() for t in (0.5, 1.0, 50.0))
    assert cold > warm > hot > 2.5


def test_gradient_favours_the_higher_levels() -> None:
    logits = torch.zeros(1, 6, requires_grad=True)
    degree_from_logits(logits).sum().backward()
    assert logits.grad is not None
    # d degree / d logit_k = p_k (k - degree) with p = 1/6 and degree = 2.5
    assert torch.allclose(logits.grad[0], (torch.arange(6.0) - 2.5) / 6)


@pytest.mark.parametrize("shape", [(6,), (2, 5), (2, 3, 6)])
def test_refuses_other_shapes(shape: tuple[int, ...]) -> None:
    with pytest.raises(ObjectiveError, match="shape"):
        degree_from_logits(torch.zeros(shape))


@pytest.mark.parametrize("temperature", [0.0, -1.0, float("nan")])
def test_refuses_a_temperature_that_is_not_positive(temperature: float) -> None:
    with pytest.raises(ConfigError, match="temperature"):
        degree_from_logits(torch.zeros(1, 6), temperature)
