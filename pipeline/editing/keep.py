"""Attributes that are to stay while another is edited (Shen et al. 2020, section 3.2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.configuration.settings import ExperimentConfig
from pipeline.editing.problem import Edited
from pipeline.editing.record import DIRECTION, KEEP, EditDirection
from pipeline.editing.search import find
from pipeline.runs.folder import RunFolder
from vqlso.errors import ConfigError
from vqlso.progress import Progress


@dataclass(frozen=True)
class Kept:
    """An attribute that is to stay.

    Attributes:
        direction: its own.
        edited: its problem; None where nothing here reads the attribute.
        images: that its search scored.
        seconds: of its search.
    """

    direction: EditDirection
    edited: Edited | None
    images: int = 0
    seconds: float = 0.0


def keep(
    config: ExperimentConfig, folder: RunFolder, edited: Edited, given: str, progress: Progress
) -> Kept:
    """Its direction as it was given, or found the same way in a folder of its own.

    Args:
        config: of the run.
        folder: the run's; the search lies in `keep/` there.
        edited: the attribute that is edited.
        given: one of `edit.keep`.
        progress: shows the search.

    Raises:
        VqlsoError: as `given_direction` and `find`.
    """
    before = given_direction(given, edited)
    if before is not None:
        known = before.attribute in edited.attributes and before.attribute != edited.name
        return Kept(before, edited.of(before.attribute) if known else None)
    other = edited.of(given)
    own = RunFolder(folder.path / KEEP / given.replace(":", "."))
    found = find(config, own, other.problem, progress)
    direction = other.direction(found.d)
    own.write(DIRECTION, direction.content)
    return Kept(direction, other, found.images, found.seconds)


def check_kept(given: Sequence[str], edited: Edited) -> None:
    """Find a mistake in `edit.keep` before any search is paid for.

    Raises:
        ConfigError: one is named twice, is what is edited, or is unknown.
        DataError, LatentSpaceError: as `given_direction`.
    """
    for place, each in enumerate(given):
        if each == edited.name:
            raise ConfigError(
                f"edit.keep names '{each}', which is what is edited, and nothing can both change "
                "and stay: leave it out of edit.keep, or choose another edit.attribute."
            )
        if each in given[:place]:
            raise ConfigError(f"edit.keep names '{each}' twice: name it once.")
        if given_direction(each, edited) is None:
            edited.of(each)


def given_direction(given: str, edited: Edited) -> EditDirection | None:
    """The direction at a path; None for an attribute whose direction is still to be found.

    Raises:
        DataError: what is there is no direction.
        LatentSpaceError: it belongs to another generator or space.
    """
    path = Path(given).expanduser()
    if given in edited.attributes or not path.exists():
        return None
    direction = EditDirection.read(path)
    direction.require_fit(edited.problem.edited_space, edited.problem.generator.version)
    return direction
