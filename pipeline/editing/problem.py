"""The problem of an edit direction, from its configuration: generator, attribute, face networks."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipeline.configuration.settings import ExperimentConfig
from pipeline.editing.record import EditDirection
from pipeline.parts.generators import stored_generator
from pipeline.parts.part import latents_of
from pipeline.runs.shelf import PACKAGED
from pipeline.scoring import scores_of
from vqlso.checkpoints import kind_of
from vqlso.contracts import Generator, Objective
from vqlso.errors import ConfigError
from vqlso.generators.network_generators import weights_version
from vqlso.objectives.face_attributes import FaceAttributes
from vqlso.objectives.face_identity import (
    KIND,
    FaceEmbedding,
    FacenetIdentity,
    ProceduralIdentity,
)
from vqlso.objectives.python_callable import PythonObjective, source_hash
from vqlso.problems.direction import Direction

PACKAGED_ATTRIBUTES = "face-attributes-*.safetensors"
PACKAGED_IDENTITY = "face-identity-*.safetensors"
SAFETENSORS = ".safetensors"


@dataclass(frozen=True)
class Edited:
    """What is searched for.

    Attributes:
        problem: scores edit vectors by the attribute.
        name: of the attribute.
        regressor: reads all attributes; None where none fits the generator's images.
        identity: who is shown; None where no embedding fits.
        origin: where the generator came from.
        source: a hash of what the attribute is read by; None where it cannot be known.
    """

    problem: Direction
    name: str
    regressor: FaceAttributes | None
    identity: FaceEmbedding | None
    origin: str
    source: str | None

    @property
    def attributes(self) -> tuple[str, ...]:
        """Names of what `levels` reads, the edited attribute among them."""
        known = () if self.regressor is None else self.regressor.names
        return known if self.name in known else (self.name, *known)

    @property
    def target(self) -> int:
        """The column of the edited attribute."""
        return self.attributes.index(self.name)

    def levels(self, images: Tensor) -> NDArray[np.float64]:
        """(n, 3, H, W) in [0, 1] -> (n, attributes) levels; NaN where a function has none."""
        parts = [] if self.regressor is None else [self.regressor(images)]
        if self.regressor is None or self.name not in self.regressor.names:
            parts.insert(0, scores_of(cast(Objective, self.problem.objective), images)[0][:, None])
        return np.concatenate(parts, axis=1)

    def direction(self, d: NDArray[np.float64]) -> EditDirection:
        """A vector of (*shape) with what it can be added to."""
        problem = self.problem
        return EditDirection(d, self.name, problem.edited_space.name, problem.generator.version)

    def of(self, attribute: str) -> Edited:
        """The same for another attribute.

        Raises:
            ConfigError: the regressor does not know it, or it cannot be imported.
        """
        objective = _objective(attribute, self.regressor)
        return replace(
            self,
            problem=replace(self.problem, objective=objective),
            name=attribute,
            source=_source(attribute, self.regressor),
        )


def editing_problem(config: ExperimentConfig) -> Edited:
    """The configured problem.

    Raises:
        ConfigError: settings that do not fit together, or an unknown attribute.
        CheckpointError: generator, attributes or embedding cannot be loaded.
        DataError: networks that were given take images of another size.
    """
    generator, origin = stored_generator(config)
    if latents_of(generator.space) != "vectors":
        raise ConfigError(
            f"generator={config.generator.kind} has codes for latents, to which no vector can be "
            "added: use generator=stylegan2 or generator=vae."
        )
    chosen = config.edit
    regressor = _regressor(chosen.regressor, generator)
    problem = Direction(
        generator,
        _objective(chosen.attribute, regressor),
        longest=chosen.longest,
        anchors=chosen.anchors,
        # What algorithm 1 compares: R(w + d) and R(w + d'), without R(w).
        baseline=False,
    )
    return Edited(
        problem=problem,
        name=chosen.attribute,
        regressor=regressor,
        identity=_identity(chosen.identity, generator),
        origin=origin,
        source=_source(chosen.attribute, regressor),
    )


def is_callable(attribute: str) -> bool:
    """Whether an attribute is a function, "module:function", instead of a regressor's."""
    return ":" in attribute


def _objective(attribute: str, regressor: FaceAttributes | None) -> Objective:
    if is_callable(attribute):
        return PythonObjective(attribute)
    if regressor is None:
        raise ConfigError(
            f"The packaged attributes read faces of another size than this generator's: give "
            f"edit.regressor=FILE for '{attribute}', or edit.attribute=module:function."
        )
    return regressor.attribute(attribute)


def _regressor(given: str | None, generator: Generator) -> FaceAttributes | None:
    if given is not None:
        regressor = FaceAttributes.load(Path(given).expanduser())
        regressor(torch.zeros(1, *generator.image_shape))  # says what does not fit
        return regressor
    regressor = FaceAttributes.load(_packaged(PACKAGED_ATTRIBUTES))
    return regressor if generator.image_shape[-1] == regressor.image_size else None


def _identity(given: str | None, generator: Generator) -> FaceEmbedding | None:
    if given is None:
        packaged = ProceduralIdentity.load(_packaged(PACKAGED_IDENTITY))
        return packaged if generator.image_shape[-1] == packaged.image_size else None
    path = Path(given).expanduser()
    own = path.suffix == SAFETENSORS and kind_of(path) == KIND
    embedding = ProceduralIdentity.load(path) if own else FacenetIdentity(path)
    embedding(torch.zeros(1, *generator.image_shape))
    return embedding


def _packaged(pattern: str) -> Path:
    return next(PACKAGED.glob(pattern))


def _source(attribute: str, regressor: FaceAttributes | None) -> str | None:
    if is_callable(attribute) or regressor is None:
        return source_hash(attribute)
    return weights_version({"names": regressor.names}, regressor.network)
