"""One of several processes that each compute a VAE's gradients from a portion of a batch."""

import copy
import os

import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

from vqlso.data.faces import procedural_faces
from vqlso.generators.vae import VAENetwork, VAESettings
from vqlso.images import to_unit
from vqlso.portions import Portion, dividing
from vqlso.training.vae import vae_loss


def check_gradients(whole: int) -> None:
    """The averaged gradients of all portions are those of the batch, to float64's precision."""
    one = VAENetwork(VAESettings(image_size=32, width=4, dimension=6)).double()
    network = copy.deepcopy(one)
    several = DistributedDataParallel(network)
    images = procedural_faces(whole, seed=0, size=32).images
    pixels = 2 * to_unit(images).double() - 1
    rows = torch.arange(whole).numpy()
    state = torch.get_rng_state()
    expected, _ = vae_loss(one, pixels, rows, beta=0.2)
    expected.backward()
    torch.set_rng_state(state)  # the posterior's samples
    mine = Portion.of(whole, dist.get_rank(), dist.get_world_size())
    with dividing(mine):
        loss, _ = vae_loss(several, pixels[mine.own], rows[mine.own], beta=0.2)
    (loss * mine.weight).backward()
    torch.testing.assert_close(mine.mean(loss.detach()), expected.detach())
    for (name, one_), several_ in zip(one.named_parameters(), network.parameters(), strict=True):
        distance = (one_.grad - several_.grad).norm()
        assert distance <= 1e-9 * one_.grad.norm() + 1e-12, (whole, name, float(distance))


if __name__ == "__main__":
    dist.init_process_group("gloo")
    torch.manual_seed(0)  # the same in all processes
    for size in (9, 2):  # of 2 images, one of three processes has none
        check_gradients(size)
    dist.destroy_process_group()
    # Taking Python down while a thread of gloo lets go of its last tensor aborts the process.
    os._exit(0)
