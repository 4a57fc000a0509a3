"""Training a VQ-VAE, and fine-tuning copies of it that leave the original whole."""

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from vqlso.data.faces import procedural_faces
from vqlso.generators.quantizer import CodebookSettings, perplexity
from vqlso.generators.vqvae import VQVAE, VQVAENetwork, VQVAESettings
from vqlso.images import to_unit
from vqlso.training.fitting import Checkpointing, Optimisation
from vqlso.training.vqvae import (
    VQVAETraining,
    finetune_vqvae,
    reconstruction_quality,
    train_vqvae,
    vqvae_loss,
)
from vqlso.training.weighting import epochs

FACES = procedural_faces(192, seed=0, size=32).images
SMALL = VQVAESettings(image_size=32, width=8, categories=32, dimension=8)
SHORT = VQVAETraining(epochs=16, batch_size=32, optimisation=Optimisation(3e-3))


@pytest.fixture(scope="module")
def trained() -> VQVAE:
    return train_vqvae(FACES, SMALL, SHORT, seed=0)[0]


def test_defaults_are_the_papers_table_4() -> None:
    training = VQVAETraining()
    assert (training.epochs, training.batch_size) == (70, 128)
    assert training.optimisation == Optimisation(1e-3, "none", weight_decay=0.0)


@pytest.mark.parametrize("update", ["gradient", "ema"])
def test_the_loss_is_reconstruction_plus_codebook_plus_a_quarter_of_commitment(
    update: str,
) -> None:
    torch.manual_seed(0)
    codebook = CodebookSettings(update=update)  # type: ignore[arg-type]
    network = VQVAENetwork(VQVAESettings(32, 8, 32, 8, codebook=codebook)).eval()
    pixels = to_unit(FACES[:4]) * 2 - 1
    value, measures = vqvae_loss(network, pixels, np.arange(4))
    with torch.no_grad():
        encoded = network.encoder(pixels)
        codes = torch.cdist(
            encoded.permute(0, 2, 3, 1).reshape(-1, 8), network.quantizer.embedding
        ).argmin(1)
        vectors = network.quantizer.embedding[codes].view(4, 4, 4, 8).permute(0, 3, 1, 2)
        error = F.mse_loss(network.decoder(vectors), pixels).item()
        distance = F.mse_loss(encoded, vectors).item()
    assert value.item() == pytest.approx(error + 1.25 * distance, rel=1e-4)
    assert measures["reconstruction"].item() == pytest.approx(error, rel=1e-4)
    assert measures["commitment"].item() == pytest.approx(distance, rel=1e-3)


def test_training_reconstructs_better_than_the_mean_image(trained: VQVAE) -> None:
    held_out = procedural_faces(100, seed=1, size=32).images
    quality = reconstruction_quality(trained, held_out)
    mean = FACES.mean(0) / 127.5 - 1
    by_mean = np.square(held_out / 127.5 - 1 - mean).mean()
    assert quality["reconstruction_error"] < 0.8 * by_mean
    assert 8 < quality["perplexity"] <= 32


def test_quality_equals_its_definition_whatever_the_chunk(trained: VQVAE) -> None:
    images = to_unit(FACES[:50])
    codes = trained.encode(images)
    error = (2 * (trained.decode(codes) - images)).square().mean().item()
    for chunk in (7, 50, 2048):
        quality = reconstruction_quality(trained, FACES[:50], chunk)
        assert quality["reconstruction_error"] == pytest.approx(error, rel=1e-3)
        assert quality["perplexity"] == pytest.approx(perplexity(torch.from_numpy(codes), 32), 0.02)


def test_training_repeats_bitwise_and_can_be_interrupted(trained: VQVAE, tmp_path: Path) -> None:
    class StopError(Exception):
        pass

    class Fragile:
        """Raises once the training has come to its fiftieth step."""

        def __init__(self) -> None:
            self.steps = 0

        def task(self, description: str, total: int) -> "Fragile":
            assert total == 16 * 6
            return self

        def __enter__(self) -> "Fragile":
            return self

        def __exit__(self, *error: object) -> None:
            return None

        def __call__(self, steps: int) -> None:
            self.steps += steps
            if self.steps == 50:
                raise StopError

    checkpointing = Checkpointing(tmp_path / "vqvae.state", every=8)
    with pytest.raises(StopError):
        train_vqvae(
            FACES,
            SMALL,
            SHORT,
            seed=0,
            checkpointing=checkpointing,
            progress=Fragile(),  # type: ignore[arg-type]
        )
    resumed, _ = train_vqvae(FACES, SMALL, SHORT, seed=0, checkpointing=checkpointing)
    assert resumed.version == trained.version


def test_seeds_differ_from_the_first_weight_on() -> None:
    once = VQVAETraining(epochs=0)
    versions = {train_vqvae(FACES, SMALL, once, seed=seed)[0].version for seed in (0, 1, 0)}
    assert len(versions) == 2


def finetuned(generator: VQVAE, seed: int = 0) -> VQVAE:
    batches = epochs(len(FACES), 1, 32, np.random.default_rng(0))
    return finetune_vqvae(generator, lambda rows: FACES[rows], batches, seed=seed)[0]


def test_fine_tuning_leaves_the_given_generator_whole(trained: VQVAE) -> None:
    state = copy.deepcopy(trained.network.state_dict())
    version = trained.version
    codes = trained.encode(to_unit(FACES))
    images = trained.decode(codes)
    new = finetuned(trained)
    assert new.version != version
    assert VQVAE(trained.network).version == trained.version == version
    for name, value in trained.network.state_dict().items():
        assert torch.equal(value, state[name])
    np.testing.assert_array_equal(trained.encode(to_unit(FACES)), codes)
    torch.testing.assert_close(trained.decode(codes), images, atol=1e-5, rtol=0)
    assert not trained.network.training
    assert not any(p.requires_grad for p in trained.network.parameters())
    # Nothing is shared: what happens to the new one cannot reach the old.
    old = {value.data_ptr() for value in trained.network.state_dict().values()}
    assert old.isdisjoint(value.data_ptr() for value in new.network.state_dict().values())


def test_fine_tuning_moves_every_part_and_repeats(trained: VQVAE) -> None:
    new = finetuned(trained)
    before, after = trained.network.state_dict(), new.network.state_dict()
    for name in ("encoder.0.weight", "quantizer.embedding", "decoder.0.weight"):
        assert not torch.equal(before[name], after[name])
    assert finetuned(trained).version == new.version


def test_fine_tuning_improves_on_what_it_is_shown(trained: VQVAE) -> None:
    few = FACES[:16]
    batches = [np.arange(16)] * 40
    new, report = finetune_vqvae(trained, lambda rows: few[rows], batches, seed=0)
    before, after = (reconstruction_quality(g, few)["reconstruction_error"] for g in (trained, new))
    assert after < 0.9 * before
    assert report.rows == 16 * 40


def test_fine_tuning_revives_no_code_and_keeps_the_settings(trained: VQVAE) -> None:
    network = copy.deepcopy(trained.network)
    # Hardly ever used, and far from every encoder output.
    network.quantizer.usage[3] = 0.01
    network.quantizer.embedding[3] = 1000.0
    network.quantizer.sums[3] = 1000.0 * 0.01
    generator = VQVAE(network)
    assert generator.settings.codebook.revival
    new = finetuned(generator)
    assert (new.network.quantizer.embedding[3] > 900).all()
    assert new.network.quantizer.settings == generator.settings.codebook


def test_a_fine_tuned_gradient_codebook_learns_too() -> None:
    settings = VQVAESettings(32, 8, 32, 8, 1, CodebookSettings("gradient", False, False))
    generator, _ = train_vqvae(FACES, settings, VQVAETraining(epochs=0), seed=0)
    new = finetuned(generator)
    assert not torch.equal(generator.network.quantizer.embedding, new.network.quantizer.embedding)
    assert not new.network.quantizer.embedding.requires_grad


def test_neither_training_touches_the_global_random_stream(trained: VQVAE) -> None:
    before = torch.random.get_rng_state()
    train_vqvae(FACES, SMALL, VQVAETraining(epochs=1), seed=0)
    finetuned(trained)
    assert torch.equal(torch.random.get_rng_state(), before)
