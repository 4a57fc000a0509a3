"""One of several processes that each check what they learn of whole batches from portions."""

import copy
import os

import torch
import torch.distributed as dist
from torch import nn
from torch.nn import functional as F
from torch.nn.parallel import DistributedDataParallel

from vqlso.generators.quantizer import CodebookSettings, VectorQuantizer
from vqlso.objectives.scorer_networks import ARCHITECTURES
from vqlso.portions import Portion, dividing


def portion(whole: int) -> Portion:
    return Portion.of(whole, dist.get_rank(), dist.get_world_size())


def check_sums_means_and_picks(whole: int) -> None:
    values = torch.randn(whole, 4, dtype=torch.float64)
    mine = portion(whole)
    own = values[mine.own]
    torch.testing.assert_close(mine.sum(own.sum(0)), values.sum(0))
    torch.testing.assert_close(mine.mean(own.mean(0)), values.mean(0))
    picks = torch.randint(whole, (9,))
    assert torch.equal(mine.pick(own, picks), values[picks])
    assert torch.equal(mine.drawn(lambda n: values[:n]), own)


def check_gradients(architecture: str, whole: int) -> None:
    """The averaged gradients of all portions are those of the batch, to float64's precision."""
    one: nn.Module = ARCHITECTURES[architecture]().double()
    network = copy.deepcopy(one)
    several = DistributedDataParallel(network)
    pixels = torch.randn(whole, 3, 32, 32, dtype=torch.float64)
    classes = torch.randint(6, (whole,))
    state = torch.get_rng_state()
    F.cross_entropy(one(pixels), classes).backward()
    torch.set_rng_state(state)  # dropout
    mine = portion(whole)
    with dividing(mine):
        loss = F.cross_entropy(several(pixels[mine.own]), classes[mine.own])
    (loss * mine.weight).backward()
    for (name, expected), found in zip(one.named_parameters(), network.parameters(), strict=True):
        distance = (expected.grad - found.grad).norm()
        assert distance <= 1e-10 * expected.grad.norm(), (architecture, whole, name)
    for expected, found in zip(one.buffers(), network.buffers(), strict=True):
        torch.testing.assert_close(found, expected)


def check_codebook(settings: CodebookSettings, whole: int) -> None:
    """Start, running means, revival and random choices are those of one process."""
    one = VectorQuantizer(16, 4, settings)
    several = copy.deepcopy(one)
    for step in range(3):
        for module in (one, several):
            if step:
                module.usage[::3] = 1e-6  # to be revived
        encoded = torch.randn(whole, 4, 5, 5)
        state = torch.get_rng_state()
        expected = one(encoded)
        after = torch.get_rng_state()
        torch.set_rng_state(state)
        mine = portion(whole)
        with dividing(mine):
            found = several(encoded[mine.own])
        assert torch.equal(torch.get_rng_state(), after)
        assert torch.equal(found.codes, expected.codes[mine.own])
        for name, tensor in one.state_dict().items():
            torch.testing.assert_close(several.state_dict()[name], tensor, msg=name)
        if settings.revival:
            assert not step or (one.usage > 1e-6).all()


def check_divergence_is_known_to_all() -> None:
    mine = portion(9)
    own = torch.tensor(torch.inf if mine.start == 0 else 1.0)
    assert mine.mean(own).isinf()


def main() -> None:
    dist.init_process_group("gloo")
    torch.manual_seed(0)
    # Among three processes: equal portions, unequal ones, and one or two that are empty.
    for whole in (9, 7, 2, 1):
        check_sums_means_and_picks(whole)
        for settings in (
            CodebookSettings(),
            CodebookSettings("gradient"),
            CodebookSettings(data_init=False, revival=False),
        ):
            check_codebook(settings, whole)
        for architecture in ARCHITECTURES:
            check_gradients(architecture, whole)
    check_divergence_is_known_to_all()
    dist.destroy_process_group()
    # Taking Python down while a thread of gloo lets go of its last tensor aborts the process.
    os._exit(0)


if __name__ == "__main__":
    main()
