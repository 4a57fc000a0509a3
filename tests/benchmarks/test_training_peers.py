"""The peers of training train the same model, on the same pixels."""

from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.training import unsharded
from benchmarks.training_peers import PlainTraining, PlainVQVAE, write_pngs
from vqlso.data.faces import procedural_faces
from vqlso.generators.vqvae import VQVAENetwork, VQVAESettings
from vqlso.training import sharding
from vqlso.training.vqvae import vqvae_loss

FACES = procedural_faces(32, seed=0, size=32).images
SMALL = VQVAESettings(image_size=32, width=8, categories=32, dimension=8)


@pytest.fixture
def network() -> VQVAENetwork:
    torch.manual_seed(0)
    return VQVAENetwork(SMALL)


def test_files_hold_the_pixels(tmp_path: Path) -> None:
    files = write_pngs(FACES, tmp_path)
    assert len(files) == len(FACES)
    assert torch.equal(files[7], torch.from_numpy(FACES[7]).float() / 127.5 - 1)


def test_the_plain_loss_is_ours(network: VQVAENetwork) -> None:
    network.eval()
    pixels = torch.from_numpy(FACES[:4]).float() / 127.5 - 1
    reconstruction, quantization = PlainVQVAE(network)(pixels)
    value, _ = vqvae_loss(network, pixels, np.arange(4))
    assert ((reconstruction - pixels).square().mean() + quantization).item() == pytest.approx(
        value.item(), rel=1e-5
    )


def test_the_plain_loop_learns(network: VQVAENetwork, tmp_path: Path) -> None:
    training = PlainTraining(PlainVQVAE(network), write_pngs(FACES, tmp_path), 8, 3e-3)
    pixels = torch.from_numpy(FACES).float() / 127.5 - 1

    def error() -> float:
        with torch.no_grad():
            return float((network(pixels)[0] - pixels).square().mean())

    before = error()
    for _ in range(6):
        training.epoch()
    assert error() < before


def test_without_shards_no_shard_is_made(
    network: VQVAENetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[object] = []
    monkeypatch.setattr(sharding, "_forward", lambda *given: calls.append(given))
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        unsharded(network, FACES, 8)()
    finally:
        torch.set_num_threads(threads)
    assert not calls
