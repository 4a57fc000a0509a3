"""A diffusion model as a generator: trained here like a VAE, searched like a GAN."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray

from pipeline.configuration.settings import ExperimentConfig, GeneratorConfig
from pipeline.parts.training import found_or_trained
from pipeline.runs.shelf import Shelf
from vqlso.data.image_set import ImageSet
from vqlso.generators.diffusion.generator import DDIM
from vqlso.generators.diffusion.settings import DDIMSettings, Sampling
from vqlso.progress import Progress
from vqlso.spaces import RealVectors
from vqlso.training.diffusion import RECIPE_VERSION, DiffusionTraining, train_ddim
from vqlso.training.fitting import Decay, Optimisation

# Of the two spaces the one that a search without gradients can cover.
SEARCHED = "coarse"


def ddim_recipe(config: GeneratorConfig, image_size: int) -> tuple[DDIMSettings, DiffusionTraining]:
    """The configured architecture for images of this size, and how it is trained."""
    settings = DDIMSettings(image_size=image_size, width=config.width)
    optimisation = Optimisation(config.learning_rate, cast(Decay, config.decay))
    return settings, DiffusionTraining(config.epochs, config.batch_size, optimisation)


def ddim_space(config: ExperimentConfig) -> RealVectors:
    """The space that is searched: 3 numbers a cell of the coarse grid, or all of the noise."""
    name, size = config.generator.space or SEARCHED, config.data.size
    side = size if name == "z" else Sampling().coarse_side
    return RealVectors(name, (3 * side**2,))


def load_ddim(config: GeneratorConfig, path: Path) -> DDIM:
    """As its file says, but sampled by the configured number of steps."""
    return _searched(DDIM.load(path), config)


def trained_ddim(
    config: GeneratorConfig,
    data: ImageSet,
    training: NDArray[np.int64],
    shelf: Shelf,
    progress: Progress,
) -> tuple[DDIM, str]:
    """Trained for the restricted training set, or found, with its origin."""
    settings, how = ddim_recipe(config, data.images.shape[-1])
    found, origin = found_or_trained(
        DDIM, train_ddim, RECIPE_VERSION, settings, how, config, data, training, shelf, progress
    )
    return _searched(found, config), origin


def _searched(found: DDIM, config: GeneratorConfig) -> DDIM:
    sampling = Sampling(config.sampling_steps)
    return DDIM(found.network, sampling, searched=config.space or SEARCHED)
