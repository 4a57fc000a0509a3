"""The generators that a configuration can name: how each is loaded, trained and measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from pipeline.configuration.settings import ExperimentConfig, GeneratorConfig
from pipeline.parts.diffusion import ddim_space, load_ddim, trained_ddim
from pipeline.parts.part import Latents
from pipeline.parts.pgan import load_pgan
from pipeline.parts.training import Train, found_or_trained
from pipeline.runs.shelf import PACKAGED, Shelf
from vqlso.checkpoints import kind_of
from vqlso.contracts import Generator, LatentSpace
from vqlso.data.image_set import ImageSet
from vqlso.errors import CheckpointError, ConfigError
from vqlso.generators import load_generator
from vqlso.generators.diffusion.settings import DDIMSettings
from vqlso.generators.pgan.settings import COARSEST
from vqlso.generators.quantizer import CodebookSettings, CodebookUpdate
from vqlso.generators.vae import DOWNSAMPLING as VAE_DOWNSAMPLING
from vqlso.generators.vae import VAE, VAESettings
from vqlso.generators.vqvae import VQVAE, VQVAESettings
from vqlso.progress import Progress
from vqlso.spaces import CodeGrid, RealVectors
from vqlso.training.fitting import Decay, Optimisation
from vqlso.training.vae import RECIPE_VERSION as VAE_RECIPE_VERSION
from vqlso.training.vae import VAETraining, reconstruction_error, train_vae
from vqlso.training.vqvae import RECIPE_VERSION, VQVAETraining, reconstruction_quality, train_vqvae

PACKAGED_GAN = PACKAGED / "stylegan2-faces.safetensors"
PACKAGED_DISCRIMINATOR = PACKAGED / "stylegan2-faces-discriminator.safetensors"
# Of the kinds that are not trained for a run.
PACKAGED_FILES = {"stylegan2": PACKAGED_GAN, "pgan": PACKAGED / "pgan-textures.safetensors"}
# Kinds of files that one choice of generator reads.
FAMILIES = {"stylegan3-t": "stylegan2", "stylegan3-r": "stylegan2"}


@dataclass(frozen=True)
class GeneratorPart:
    """One kind of generator.

    Attributes:
        line: what it is, in one line.
        latents: what a solver sees of them.
        encodes: whether it maps images to latents, without which it cannot be retrained here.
        multiple: of which its images' sides must be multiples.
        space: where its latents live, known before it is trained.
        load: reads it from a file.
        train: makes it for the restricted training set, or finds it, with its origin.
        quality: figures about it, by name, measured on images.
    """

    line: str
    latents: Latents
    encodes: bool
    multiple: Callable[[GeneratorConfig], int]
    space: Callable[[ExperimentConfig], LatentSpace]
    load: Callable[[GeneratorConfig, Path], Generator]
    train: Train
    quality: Callable[[Any, NDArray[np.uint8]], Mapping[str, float]]


def vqvae_recipe(config: GeneratorConfig, image_size: int) -> tuple[VQVAESettings, VQVAETraining]:
    """The configured architecture for images of this size, and how it is trained."""
    settings = VQVAESettings(
        image_size=image_size,
        width=config.width,
        categories=config.categories,
        dimension=config.dimension,
        residual_blocks=config.residual_blocks,
        codebook=CodebookSettings(
            update=cast(CodebookUpdate, config.codebook.update),
            data_init=config.codebook.data_init,
            revival=config.codebook.revival,
        ),
        downsampling=config.downsampling,
    )
    optimisation = Optimisation(config.learning_rate, cast(Decay, config.decay))
    return settings, VQVAETraining(config.epochs, config.batch_size, optimisation)


def _code_grid(config: ExperimentConfig) -> CodeGrid:
    side = config.data.size // config.generator.downsampling
    return CodeGrid(config.generator.categories, side, side)


def _trained_vqvae(
    config: GeneratorConfig,
    data: ImageSet,
    training: NDArray[np.int64],
    shelf: Shelf,
    progress: Progress,
) -> tuple[VQVAE, str]:
    settings, how = vqvae_recipe(config, data.images.shape[-1])
    version = RECIPE_VERSION
    return found_or_trained(
        VQVAE, train_vqvae, version, settings, how, config, data, training, shelf, progress
    )


def _vqvae_quality(generator: VQVAE, images: NDArray[np.uint8]) -> dict[str, float]:
    measured = reconstruction_quality(generator, images)
    return {"categories": generator.settings.categories, **measured}


def vae_recipe(config: GeneratorConfig, image_size: int) -> tuple[VAESettings, VAETraining]:
    """The configured architecture for images of this size, and how it is trained."""
    settings = VAESettings(image_size, width=config.width, dimension=config.dimension)
    optimisation = Optimisation(config.learning_rate, cast(Decay, config.decay))
    return settings, VAETraining(config.epochs, config.batch_size, optimisation)


def _vectors(config: ExperimentConfig) -> RealVectors:
    return RealVectors("z", (config.generator.dimension,))


def _trained_vae(
    config: GeneratorConfig,
    data: ImageSet,
    training: NDArray[np.int64],
    shelf: Shelf,
    progress: Progress,
) -> tuple[VAE, str]:
    settings, how = vae_recipe(config, data.images.shape[-1])
    version = VAE_RECIPE_VERSION
    return found_or_trained(
        VAE, train_vae, version, settings, how, config, data, training, shelf, progress
    )


def _vae_quality(generator: VAE, images: NDArray[np.uint8]) -> dict[str, float]:
    return {"reconstruction_error": reconstruction_error(generator, images)}


def _load(config: GeneratorConfig, path: Path) -> Generator:  # noqa: ARG001
    return load_generator(path)


def _load_gan(config: GeneratorConfig, path: Path) -> Generator:
    return _gan(path, config.truncation, config.space or "w")


@lru_cache(maxsize=4)
def _gan(path: Path, truncation: float, space: str) -> Generator:
    """A GAN; kept, because its latent space is asked for before the run and again in it."""
    return load_generator(path, truncation_psi=truncation, searched=space)


def _own_space(config: ExperimentConfig) -> LatentSpace:
    """Of the file itself: what is not trained for a run is there before it."""
    return stored_generator(config)[0].space


def _packaged_gan(
    config: GeneratorConfig,
    data: ImageSet,
    training: NDArray[np.int64],  # noqa: ARG001
    shelf: Shelf,  # noqa: ARG001
    progress: Progress,  # noqa: ARG001
) -> tuple[Generator, str]:
    generator = GENERATORS[config.kind].load(config, PACKAGED_FILES[config.kind])
    _require_size(generator, data.images.shape[-1], f"the packaged {config.kind}")
    return generator, "packaged weights, trained on procedural images of all labels"


def _no_quality(generator: Any, images: NDArray[np.uint8]) -> dict[str, float]:  # noqa: ARG001
    """What cannot encode has no reconstructions to measure."""
    return {}


GENERATORS: dict[str, GeneratorPart] = {
    "vqvae": GeneratorPart(
        "discrete: grids of codes, an encoder and a decoder",
        latents="codes",
        encodes=True,
        multiple=lambda config: config.downsampling,
        space=_code_grid,
        load=_load,
        train=_trained_vqvae,
        quality=_vqvae_quality,
    ),
    "vae": GeneratorPart(
        "continuous: normal latents, an encoder and a decoder",
        latents="vectors",
        encodes=True,
        multiple=lambda _: VAE_DOWNSAMPLING,
        space=_vectors,
        load=_load,
        train=_trained_vae,
        quality=_vae_quality,
    ),
    "ddim": GeneratorPart(
        "continuous: a diffusion model, searched by its initial noise; not retrained here",
        latents="vectors",
        encodes=False,
        multiple=lambda _: DDIMSettings().downsampling,
        space=ddim_space,
        load=load_ddim,
        train=trained_ddim,
        quality=_no_quality,
    ),
    "stylegan2": GeneratorPart(
        "continuous: a StyleGAN2 or 3, trained before; no encoder, so no retraining",
        latents="vectors",
        encodes=False,
        multiple=lambda _: 1,
        space=_own_space,
        load=_load_gan,
        train=_packaged_gan,
        quality=_no_quality,
    ),
    "pgan": GeneratorPart(
        "continuous: a progressive GAN with classes, trained before; no encoder, so no retraining",
        latents="vectors",
        encodes=False,
        multiple=lambda _: COARSEST,
        space=_own_space,
        load=load_pgan,
        train=_packaged_gan,
        quality=_no_quality,
    ),
}


def given_generator(config: ExperimentConfig) -> tuple[Generator, str] | None:
    """The generator of `generator.checkpoint`, if one is given, with its origin.

    Raises:
        CheckpointError: the file is missing, damaged or of another kind.
        ConfigError: it makes images of another size.
    """
    if config.generator.checkpoint is None:
        return None
    generator, origin = _loaded(config.generator, config.generator.checkpoint)
    what = f"generator.checkpoint={config.generator.checkpoint}"
    _require_size(generator, config.data.size, what)
    return generator, origin


def stored_generator(config: ExperimentConfig) -> tuple[Generator, str]:
    """The generator of a task that trains none, for images of its own size, with its origin.

    Raises:
        CheckpointError: the file is missing or damaged.
        ConfigError: it is of another kind, or there is no file.
    """
    chosen = config.generator
    if chosen.checkpoint is not None:
        return _loaded(chosen, chosen.checkpoint)
    if chosen.kind in PACKAGED_FILES:
        return GENERATORS[chosen.kind].load(chosen, PACKAGED_FILES[chosen.kind]), "packaged weights"
    raise ConfigError(
        f"task={config.task} trains no generator={chosen.kind}: give generator.checkpoint=FILE, "
        "such as networks/generator.safetensors of a finished run, or use generator=stylegan2."
    )


def _loaded(config: GeneratorConfig, given: str) -> tuple[Generator, str]:
    path = Path(given).expanduser()
    kind = kind_of(path)
    if config.kind != FAMILIES.get(kind, kind):
        raise CheckpointError(
            f"generator.checkpoint={given} is of kind '{kind}', but generator={config.kind} was "
            "chosen."
        )
    return GENERATORS[config.kind].load(config, path), path.name


def _require_size(generator: Generator, size: int, what: str) -> None:
    own = generator.image_shape[-1]
    if own != size:
        raise ConfigError(
            f"{what} makes images of {own} pixels, but data.size is {size}: set data.size={own}."
        )


def trained_generator(
    config: GeneratorConfig,
    data: ImageSet,
    training: NDArray[np.int64],
    shelf: Shelf,
    progress: Progress,
) -> tuple[Generator, str]:
    """The configured generator for the training rows of the data, and where it came from."""
    return GENERATORS[config.kind].train(config, data, training, shelf, progress)


def quality(
    config: GeneratorConfig, generator: Generator, images: NDArray[np.uint8]
) -> dict[str, float]:
    """Figures about the generator by name, measured on (n, 3, H, W) uint8 images."""
    return dict(GENERATORS[config.kind].quality(generator, images))
