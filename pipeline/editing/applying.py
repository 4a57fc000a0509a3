"""Edit directions on other faces: a photo that is inverted first, or the generator's samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.configuration.composition import composed, saved
from pipeline.configuration.settings import ExperimentConfig
from pipeline.editing.problem import editing_problem, is_callable
from pipeline.editing.record import KEEP, EditDirection
from pipeline.parts.generators import stored_generator
from pipeline.photos import climbed_space, moved_from_z, read_photo
from solvers.gradient import LBFGS
from solvers.inversion import invert
from vqlso.contracts import Generator, LatentSpace
from vqlso.editing import edited_together, moved, towards
from vqlso.errors import ConfigError, DataError
from vqlso.images import to_bytes
from vqlso.objectives.criteria import inspirational
from vqlso.objectives.feature_networks import RandomTaps, resized
from vqlso.problems.target_image import TargetImage
from vqlso.progress import SILENT, Advance, Progress
from vqlso.randomness import stream
from vqlso.records import Context, Proposal, Scores

CONFIG = "config.yaml"
STARTS = 16


@dataclass(frozen=True)
class Directions:
    """Directions that can be added to the same latents.

    Attributes:
        all: at least one, in the order they were given.
        generator: that all belong to.
        config: of the first run among them; the packaged generator's without one.
        paths: where each was read from.
    """

    all: tuple[EditDirection, ...]
    generator: Generator
    config: ExperimentConfig
    paths: tuple[Path, ...]

    @property
    def space(self) -> LatentSpace:
        """That all are added in."""
        return self.generator.spaces[self.all[0].space]

    @classmethod
    def read(cls, paths: Sequence[Path], checkpoint: Path | None = None) -> Directions:
        """Directions from folders of runs or from files.

        Args:
            paths: at least one.
            checkpoint: the generator; None for that of the first run, else the packaged one.

        Raises:
            DataError: there is no direction.
            LatentSpaceError: they belong to different generators or spaces.
            CheckpointError: the generator cannot be loaded.
        """
        found = tuple(EditDirection.read(path) for path in paths)
        config = _config_of(paths)
        chosen = replace(config.generator, space=found[0].space)
        if checkpoint is not None:
            chosen = replace(chosen, checkpoint=str(checkpoint))
        config = replace(config, generator=chosen)
        generator, _ = stored_generator(config)
        if found[0].space not in generator.spaces:
            known = ", ".join(generator.spaces)
            raise DataError(
                f"The direction of '{found[0].attribute}' lies in space '{found[0].space}', but "
                f"this generator has only {known}: give its own by --generator FILE."
            )
        for each in found:
            each.require_fit(generator.spaces[found[0].space], generator.version)
        return cls(found, generator, config, tuple(paths))


@dataclass(frozen=True)
class Subject:
    """What is edited.

    Attributes:
        latents: (n, *shape).
        photo: (3, H, W) uint8, what the latent was found for; None for samples.
        criterion: between the photo and its latent's image; None for samples.
    """

    latents: NDArray[np.float64]
    photo: NDArray[np.uint8] | None = None
    criterion: float | None = None


@dataclass(frozen=True)
class _Shown(TargetImage):
    """A target whose evaluations are counted where somebody sees them."""

    advance: Advance = lambda _steps: None

    def evaluate(self, proposal: Proposal, context: Context) -> Scores:
        scores = super().evaluate(proposal, context)
        self.advance(len(proposal))
        return scores


def inverted(
    photo: Path,
    directions: Directions,
    *,
    evaluations: int = 150,
    seed: int = 0,
    progress: Progress = SILENT,
) -> Subject:
    """The latent whose image is near a photo, by LBFGS from the best of some samples.

    Args:
        photo: any picture.
        directions: whose generator is searched, a StyleGAN's in z, for a latent of their space.
        evaluations: images that are made for it, above 16.
        seed: of the samples.
        progress: shows the search.

    Raises:
        DataError: it is missing or no picture.
        ConfigError: too few evaluations, or latents that are codes.
    """
    if evaluations <= STARTS:
        raise ConfigError(
            f"An inversion takes more than the {STARTS} images that it begins from; got "
            f"{evaluations}: give more --evaluations."
        )
    generator = directions.generator
    space = climbed_space(generator, directions.space)
    size = generator.image_shape[1:]
    wanted = read_photo(photo, size=max(256, *size))[None]
    criterion = inspirational(
        "l2+features", features=RandomTaps(), norm_weight=1.0 if space.name == "z" else 0.0
    )
    with progress.task("inversion", evaluations) as advance:
        problem = _Shown(generator, criterion, wanted, space.name, advance=advance)
        found = invert(
            problem,
            LBFGS(problem, evaluations=evaluations - STARTS, start="best", seed=seed),
            evaluations=evaluations,
            starts=space.sample(STARTS, stream(seed, "inversion starts")),
            seed=seed,
        )
    latents = moved_from_z(generator, found.z, directions.space.name)
    return Subject(latents, to_bytes(resized(wanted.float(), size))[0], -float(found.value[0]))


def sampled(n: int, directions: Directions, *, seed: int = 0) -> Subject:
    """n faces of the generator itself."""
    return Subject(directions.space.sample(n, stream(seed, "edited samples")))


def edits(
    latents: NDArray[np.float64],
    directions: Directions,
    strengths: Sequence[float],
    *,
    in_turn: bool = False,
) -> NDArray[np.float64]:
    """(n, *shape) latents -> (n, k, *shape), k edits of each.

    Args:
        latents: of the originals.
        directions: one, or several.
        strengths: of one direction a factor for each edit; of several, one for each direction,
            and there is one edit by all at once.
        in_turn: take strengths for levels that the attributes are brought to one after the other,
            w + (level - own) d, each from what the one before has left (Zhuang et al. 2021); then
            k is the number of directions, and edit i has gone through the first i + 1.

    Raises:
        ConfigError: another number of strengths, an attribute that has no level here, or one
            whose function is not that of the direction's own run.
    """
    found = [each.d for each in directions.all]
    _require_strengths(len(found), len(strengths), in_turn)
    if in_turn:
        return _edited_in_turn(latents, directions, strengths)
    if len(found) > 1:
        return edited_together(latents, found, strengths)[:, None]
    return moved(latents, found[0], strengths)


def _config_of(paths: Sequence[Path]) -> ExperimentConfig:
    for path in paths:
        if (path / CONFIG).is_file():
            return saved(path / CONFIG)
    return composed("edit_smile")


def _require_strengths(directions: int, strengths: int, in_turn: bool) -> None:
    if strengths == directions or (directions == 1 and not in_turn):
        return
    if not in_turn:
        raise ConfigError(
            f"{directions} directions at once take {directions} strengths, in the same order; got "
            f"{strengths}: give one --strength for each direction."
        )
    raise ConfigError(
        "With --in-turn a strength is the level from 0 to 1 that an attribute is brought to, one "
        f"for each direction in the same order; got {strengths} for {_counted(directions)}: give "
        "one --strength for each direction"
        + (", or leave --in-turn out to see one direction at several." if directions == 1 else ".")
    )


def _counted(directions: int) -> str:
    return f"{directions} direction" if directions == 1 else f"{directions} directions"


def _require_own_function(direction: EditDirection, path: Path) -> None:
    """A file's header alone may be anybody's: what it names is imported only if its run says so."""
    if not is_callable(direction.attribute):
        return
    folder = (path if path.is_dir() else path.parent).absolute()
    runs = [folder, *([folder.parent.parent] if folder.parent.name == KEEP else [])]
    configs = [run / CONFIG for run in runs if (run / CONFIG).is_file()]
    named = [[own.attribute, *own.keep] for own in (saved(each).edit for each in configs)]
    if not any(direction.attribute in each for each in named):
        raise ConfigError(
            f"The direction at {path} says that '{direction.attribute}' reads its attribute, and "
            "--in-turn would import and run that function. This is done only for a direction in "
            "the folder of a run whose config.yaml names it in edit.attribute or edit.keep: give "
            "that folder, or leave --in-turn out."
        )


def _edited_in_turn(
    latents: NDArray[np.float64], directions: Directions, levels: Sequence[float]
) -> NDArray[np.float64]:
    for each, path in zip(directions.all, directions.paths, strict=True):
        _require_own_function(each, path)
    config = directions.config
    # The run's own attribute may be a function that no direction here asks for.
    chosen = replace(config.edit, attribute=directions.all[0].attribute)
    edited = editing_problem(replace(config, edit=chosen))
    stages = []
    for each, level in zip(directions.all, levels, strict=True):
        own = edited.of(each.attribute).problem.levels(latents)
        if not np.isfinite(own).all():
            raise ConfigError(
                f"'{each.attribute}' has no level for some of the faces, so they cannot be "
                "brought to one: leave --in-turn out."
            )
        latents = towards(latents, each.d, own, level)
        stages.append(latents)
    return np.stack(stages, axis=1)
