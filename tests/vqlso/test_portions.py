"""Portions of batches: they divide them, alone they change nothing, together they are the whole."""

from pathlib import Path

import torch
from hypothesis import given
from hypothesis import strategies as st
from processes import ended, needs_gloo, started
from torch import nn

from vqlso.portions import BatchNorm2d, Dropout, Portion, dividing, portion_of

WORKER = Path(__file__).with_name("portions_worker.py")


@given(st.integers(1, 1000), st.integers(1, 64))
def test_portions_divide_a_batch_as_equally_as_can_be(whole: int, processes: int) -> None:
    portions = [Portion.of(whole, rank, processes) for rank in range(processes)]
    rows = [row for portion in portions for row in range(whole)[portion.own]]
    assert rows == list(range(whole))
    sizes = {len(portion) for portion in portions}
    assert max(sizes) - min(sizes) <= 1
    assert abs(sum(portion.weight for portion in portions) - processes) < 1e-9


def test_cells_of_a_portion_are_a_portion_of_the_cells() -> None:
    cells = Portion.of(7, 1, 3).cut(64)
    assert (cells.start, cells.stop, cells.whole) == (2 * 64, 4 * 64, 7 * 64)
    assert torch.equal(
        torch.arange(7 * 64)[cells.own], torch.arange(7 * 64).view(7, 64)[2:4].ravel()
    )


def test_alone_a_batch_is_whole_and_nothing_changes() -> None:
    portion = portion_of(5)
    assert portion.own == slice(0, 5)
    assert portion.weight == 1
    value = torch.randn(5)
    for same in (portion.sum(value), portion.mean(value), portion.agreed(value)):
        assert same is value


def test_an_empty_portion_is_not_taken_for_none() -> None:
    empty = Portion.of(1, 0, 2)
    assert len(empty) == 0
    with dividing(empty):
        assert portion_of(0) is empty
    assert portion_of(3) == Portion(0, 3, 3)


def test_alone_layers_are_torchs_to_the_last_bit() -> None:
    torch.manual_seed(0)
    x = torch.randn(6, 4, 5, 5)
    for ours, theirs in ((BatchNorm2d(4), nn.BatchNorm2d(4)), (Dropout(0.3), nn.Dropout(0.3))):
        for training in (True, False):
            state = torch.get_rng_state()
            found = ours.train(training)(x)
            torch.set_rng_state(state)
            assert torch.equal(found, theirs.train(training)(x))
        for a, b in zip(ours.buffers(), theirs.buffers(), strict=True):
            assert torch.equal(a, b)


def test_fixed_statistics_normalise_in_training_as_in_evaluation() -> None:
    layer = BatchNorm2d(4)
    layer(torch.randn(16, 4, 3, 3) * 3 + 1)
    state = {name: value.clone() for name, value in layer.state_dict().items()}
    x = torch.randn(8, 4, 3, 3)
    expected = layer.eval()(x)
    layer.fixed = True
    assert torch.equal(layer.train()(x), expected)
    assert all(torch.equal(value, state[name]) for name, value in layer.state_dict().items())
    layer.fixed = False
    assert not torch.allclose(layer.train()(x), expected)


@needs_gloo
def test_three_processes_know_of_whole_batches_what_one_would() -> None:
    for process in ended(started(WORKER, processes=3)):
        assert process.code == 0, process.output
