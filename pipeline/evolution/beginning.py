"""What a session's first generation descends from, in a file of its folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from pipeline.configuration.composition import saved
from pipeline.evolution.generators import KEPT
from pipeline.evolution.photos import latent_of
from pipeline.evolution.settings import EvolutionSettings
from pipeline.preparation.sources import default_cache, load_data
from pipeline.runs.folder import RunFolder
from solvers.preference import CodeVariation, Variation, VectorVariation
from vqlso.archive import Archive
from vqlso.contracts import EncodingGenerator, Generator, LatentSpace
from vqlso.data.faces import procedural_faces
from vqlso.errors import ConfigError, RunFolderError
from vqlso.images import to_bytes, to_unit
from vqlso.progress import SILENT
from vqlso.randomness import stream
from vqlso.spaces import CodeGrid, RealVectors

FILE = "archive/start.safetensors"
GRIDS = 400  # some two seconds to draw and to encode; codes of 64 cells then number 25,600


class Beginning:
    """Where a session starts.

    Attributes:
        z: (*space.shape,) the photo's latent, or a sample that only stands for the start.
        grids: (m, h, w) what codes are drawn from; empty of a space of vectors.
    """

    def __init__(self, z: NDArray[Any], grids: NDArray[np.int64]) -> None:
        self.z = z
        self.grids = grids

    @classmethod
    def found(
        cls, settings: EvolutionSettings, file: Path, generator: Generator, space: LatentSpace
    ) -> Beginning:
        """Invert the photo, and encode what codes are drawn from.

        Args:
            settings: of the session.
            file: the generator's, as it was given.
            generator: what it holds.
            space: that is searched.

        Raises:
            ConfigError: the generator does not suit such a session.
        """
        grids = np.empty((0, 0, 0), dtype=np.int64)
        if isinstance(space, CodeGrid):
            grids = _encoded_data(file, generator)
        elif not isinstance(space, RealVectors):
            raise ConfigError(f"Latents of space '{space.name}' cannot be recombined.")
        if settings.photo is not None:
            return cls(latent_of(settings.photo, generator, space.name, seed=settings.seed), grids)
        drawn = _variation(space, grids).sample(1, stream(settings.seed, "start"))
        return cls(drawn[0], grids)

    def save(self, folder: RunFolder) -> None:
        """Write it into the session's folder.

        Raises:
            RunFolderError: the folder cannot be written.
        """
        folder.write(FILE, save({"z": np.ascontiguousarray(self.z), "grids": self.grids}))

    @classmethod
    def load(cls, folder: RunFolder, space: LatentSpace) -> Beginning:
        """Read it from there.

        Raises:
            RunFolderError: it is missing, damaged, or of another space.
        """
        try:
            held: Mapping[str, NDArray[Any]] = load((folder.path / FILE).read_bytes())
            z, grids = held["z"], held["grids"]
            space.validate(z[None])
            _variation(space, grids)
        except (OSError, SafetensorError, KeyError, ValueError) as error:
            raise damaged(FILE) from error
        return cls(z, grids)

    def variation(self, space: LatentSpace) -> Variation:
        """How latents of this session are varied."""
        return _variation(space, self.grids)

    def archive(self, generator: Generator, space: LatentSpace) -> Archive:
        """The start as the archive's only training image; nobody has picked it."""
        image = to_bytes(generator.decode(self.z[None], space.name))
        return Archive(image, np.zeros(1), self.z[None], generator.version)


def damaged(name: str) -> RunFolderError:
    """A file of a session that is not as it was written."""
    return RunFolderError(
        f"{name} of this session is missing or damaged. Restore it from a copy, or load a session "
        "that was downloaded before."
    )


def _variation(space: LatentSpace, grids: NDArray[np.int64]) -> Variation:
    if isinstance(space, CodeGrid):
        return CodeVariation(space, grids)
    assert isinstance(space, RealVectors)
    return VectorVariation(space)


def _encoded_data(file: Path, generator: Generator) -> NDArray[np.int64]:
    """(m, h, w) codes of images as the generator was trained on.

    Of a generator within a run's folder these are the run's own data; of any other file nobody
    knows them, and procedural faces stand in.
    """
    assert isinstance(generator, EncodingGenerator)
    config = file.absolute().parents[1] / "config.yaml"
    if file.name == Path(KEPT).name and config.is_file():
        data = load_data(saved(config).data, default_cache() / "images", SILENT)
        rows = stream(0, "codes of data").permutation(len(data))[:GRIDS]
        images = np.asarray(data.images[np.sort(rows)])
    else:
        images = procedural_faces(GRIDS, 0, generator.image_shape[-1]).images
    return generator.encode(to_unit(images))
