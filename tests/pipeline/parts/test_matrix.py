"""Every listed combination of parts runs, and every other one is refused with the reason.

Both are made from the tables of parts, so that a new part cannot be forgotten here.
"""

from collections.abc import Callable
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipeline.checks import check
from pipeline.configuration.composition import composed
from pipeline.configuration.settings import ExperimentConfig
from pipeline.loop import Budget, Loop
from pipeline.parts import (
    GENERATORS,
    RETRAINERS,
    SOLVERS,
    SURROGATES,
    build_retrainer,
    build_solver,
)
from pipeline.parts.matrix import Combination, combinations, together
from pipeline.runs.folder import RunFolder
from vqlso.archive import Archive
from vqlso.contracts import EncodingGenerator, Generator
from vqlso.errors import ConfigError
from vqlso.generators.diffusion.generator import DDIM
from vqlso.generators.diffusion.network import DDIMNetwork
from vqlso.generators.diffusion.settings import DDIMSettings, Sampling
from vqlso.generators.pgan.generator import PGAN
from vqlso.generators.pgan.network import PGANNetwork
from vqlso.generators.pgan.settings import PGANSettings
from vqlso.generators.stylegan2.generator import StyleGAN2
from vqlso.generators.stylegan2.network import StyleGAN2Network
from vqlso.generators.stylegan2.settings import StyleGAN2Settings
from vqlso.generators.vae import VAE, VAENetwork, VAESettings
from vqlso.generators.vqvae import VQVAE, VQVAENetwork, VQVAESettings
from vqlso.images import to_bytes
from vqlso.problems.image_score import ImageScore

IMAGES = 60
TINY = (
    "surrogate.trees=5",
    "surrogate.min_samples_leaf=3",
    "surrogate.inducing=8",
    "surrogate.epochs=1",
    "surrogate.batch_size=20",
    "solver.t=2",
    "solver.samples=200",
    "solver.successes=1",
    "retrainer.batch_size=16",
    "retrainer.every=2",
    "queries=3",
    "generator.categories=8",
    "generator.dimension=4",
)


def vqvae() -> VQVAE:
    return VQVAE(VQVAENetwork(VQVAESettings(32, 2, 8, 4, 1)))


def vae() -> VAE:
    return VAE(VAENetwork(VAESettings(32, 2, 4)))


def stylegan2() -> StyleGAN2:
    return StyleGAN2(StyleGAN2Network(StyleGAN2Settings(32, 4, 4, 0, 1, 64, 8)))


def ddim() -> DDIM:
    return DDIM(
        DDIMNetwork(DDIMSettings(32, 8, (1, 1), 4)), Sampling(2, coarse_side=2), searched="coarse"
    )


def pgan() -> PGAN:
    return PGAN(PGANNetwork(PGANSettings(3, (3,), (4, 4, 4, 4))), class_values="nearest")


UNTRAINED: dict[str, Callable[[], Generator]] = {
    "vqvae": vqvae,
    "vae": vae,
    "ddim": ddim,
    "stylegan2": stylegan2,
    "pgan": pgan,
}


def brightness(images: Tensor) -> NDArray[np.float64]:
    return images.mean(dim=(1, 2, 3)).double().numpy()


def configured(combination: Combination) -> ExperimentConfig:
    """The combination in miniature; what it does not read may be set all the same."""
    config = composed("smile_shift", [*combination.overrides, "size=tiny"])
    for override in TINY:
        key, _, value = override.partition("=")
        group, _, name = key.rpartition(".")
        setattr(getattr(config, group) if group else config, name, int(value))
    config.data.size = 32
    return config


def start(generator: Generator) -> Archive:
    images = np.random.default_rng(0).integers(0, 256, (IMAGES, 3, 32, 32), dtype=np.uint8)
    if isinstance(generator, EncodingGenerator):
        return Archive.scored(images, generator, brightness)
    z = generator.space.sample(IMAGES, np.random.default_rng(0))
    made = generator.decode(z, generator.space.name)
    return Archive(to_bytes(made), brightness(made), z, generator.version)


@pytest.mark.parametrize(
    "combination", list(combinations()), ids=lambda each: " ".join(each.overrides)
)
def test_it_runs(combination: Combination, tmp_path: Path) -> None:
    config = configured(combination)
    torch.manual_seed(0)
    generator = UNTRAINED[combination.generator]()
    if isinstance(generator, StyleGAN2 | PGAN):
        config.generator.checkpoint = str(tmp_path / "gan.safetensors")
        generator.save(Path(config.generator.checkpoint))
    check(config)
    loop = Loop(
        problem=ImageScore(generator, brightness),
        generator=generator,
        archive=start(generator),
        solver=build_solver(config, generator.space, threads=1),
        retrainer=build_retrainer(config),
        folder=RunFolder(tmp_path),
        budget=Budget(config.queries),
    )
    loop.run()
    assert loop.queries == 3
    changed = RETRAINERS[combination.retrainer].retrains
    assert loop.round == (2 if changed else 0)
    assert (loop.generator.version != generator.version) == changed


def test_every_part_is_in_some_combination() -> None:
    listed = list(combinations())
    assert {each.generator for each in listed} == GENERATORS.keys() == UNTRAINED.keys()
    assert {each.solver for each in listed} == SOLVERS.keys()
    assert {each.surrogate for each in listed} == {*SURROGATES, ""}
    assert {each.retrainer for each in listed} == RETRAINERS.keys()


@pytest.mark.parametrize(
    ("generator", "solver"),
    [pair for pair in product(GENERATORS, SOLVERS) if together(*pair) == "–"],
)
def test_what_does_not_fit_is_refused_before_any_training(generator: str, solver: str) -> None:
    config = composed("smile_shift", [f"generator={generator}", f"solver={solver}"])
    with pytest.raises(ConfigError, match=rf"solver={solver} searches .* use one of \w+"):
        check(config)


def test_a_surrogate_of_the_wrong_kind_is_refused_with_those_that_fit() -> None:
    config = composed("smile_shift", ["surrogate=dngo"])
    with pytest.raises(ConfigError, match=r"trees that it can maximise exactly: .*lightgbm"):
        check(config)
    config = composed("vae_baseline", ["surrogate=lightgbm"])
    with pytest.raises(ConfigError, match=r"an uncertainty: use one of dngo, gp"):
        check(config)
