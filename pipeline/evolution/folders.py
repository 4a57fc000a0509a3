"""The folders of sessions: begun, opened again, or received from elsewhere."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TypeVar

from pipeline.configuration.composition import as_yaml, saved
from pipeline.configuration.settings import ExperimentConfig
from pipeline.evolution.beginning import Beginning
from pipeline.evolution.generators import (
    FACTS,
    NAMED,
    file_of_version,
    generator_file,
    keep_generator,
    kept_generator,
)
from pipeline.evolution.loop import PreferenceLoop
from pipeline.evolution.packing import require_pictures, settings_from, unpacked
from pipeline.evolution.photos import square_of
from pipeline.evolution.record import PHOTO, TARGET
from pipeline.evolution.settings import TASK, EvolutionSettings
from pipeline.origin import FILE as ENVIRONMENT
from pipeline.provenance import environment
from pipeline.runs.folder import RunFolder
from solvers.preference import PreferenceEvolution
from vqlso.checkpoints import kind_of
from vqlso.contracts import Generator, LatentSpace
from vqlso.errors import DataError, RunFolderError, VqlsoError
from vqlso.problems.preference import Preference

S = TypeVar("S")

LOCK = ".lock"  # of `RunFolder.locked`


@dataclass(frozen=True)
class Opened:
    """A session as its folder tells of it.

    Attributes:
        settings: what it was begun with.
        loop: around the person, restored from the journal.
        journal_bytes: size of that journal, taken while nobody else could write to it.
    """

    settings: EvolutionSettings
    loop: PreferenceLoop
    journal_bytes: int


def begun(folder: RunFolder, settings: EvolutionSettings) -> Opened:
    """Make an empty folder a session's; see `EvolutionSession.create`."""
    with folder.locked():
        _require_empty(folder)
        settings = replace(
            settings,
            photo=_square(settings.photo, "photo"),
            target=_square(settings.target, "target"),
        )
        file = generator_file(settings.generator)
        kind = kind_of(file)
        config = settings.as_config(kind)
        keep_generator(file, folder)
        generator, space = kept_generator(config, folder)
        Beginning.found(settings, file, generator, space).save(folder)
        facts = {"kind": kind, "version": generator.version, "origin": settings.generator}
        opened = _restored(folder, generator, space, settings)
        _describe(folder, settings, config, facts)
        return opened


def reopened(folder: RunFolder) -> Opened:
    """Read a session's folder; see `EvolutionSession.open`."""
    if not folder.config.is_file():
        raise RunFolderError(f"There is no session in {folder.path}: begin a new one.")
    config = saved(folder.config)
    if config.task != TASK:
        raise RunFolderError(
            f"{folder.path} holds a run of task={config.task}, not a session of a person."
        )
    photo, target = (
        (folder.path / name).read_bytes() if (folder.path / name).is_file() else None
        for name in (PHOTO, TARGET)
    )
    settings = EvolutionSettings.of(config, photo, target)
    with folder.locked():
        return _restored(folder, *kept_generator(config, folder), settings)


def received(data: bytes, folder: RunFolder, shown: Callable[[Opened], S]) -> S:
    """Make an empty folder that of a zip file's session; see `EvolutionSession.from_zip`.

    Args:
        data: the file's content.
        folder: an empty one.
        shown: makes the session that is returned; what it cannot make is refused like the rest.
    """
    with folder.locked():
        _require_empty(folder)
        with _removed_if_refused(folder), _told_as_damage():
            about, files = unpacked(data)
            kind, version = str(about["generator"]["kind"]), str(about["generator"]["version"])
            file = file_of_version(version, kind, folder.path.parent)
            name = next((name for name, each in NAMED.items() if each == file), str(file))
            settings = settings_from(about, files, name)
            config = settings.as_config(kind)
            keep_generator(file, folder)
            generator, space = kept_generator(config, folder)
            require_pictures(files, generator.image_shape)
            for path, content in files.items():
                folder.write(path, content)
            facts = {"kind": kind, "version": version, "origin": "a session that was loaded"}
            session = shown(_restored(folder, generator, space, settings))
            _describe(folder, settings, config, facts)
            return session


@contextmanager
def _removed_if_refused(folder: RunFolder) -> Iterator[None]:
    """Leave nothing behind of what cannot be loaded; what lay in the folder before stays."""
    before = {path.name for path in folder.path.iterdir()} - {LOCK}
    try:
        yield
    except BaseException:
        for path in folder.path.iterdir():
            if path.name not in before:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        if not before:
            folder.path.rmdir()
        raise


@contextmanager
def _told_as_damage() -> Iterator[None]:
    """Whatever a stranger's file leads to is the file's fault."""
    try:
        yield
    except DataError:
        raise
    except (VqlsoError, KeyError, TypeError, ValueError, ArithmeticError, RuntimeError) as error:
        raise DataError(
            "This session was damaged or changed after it was downloaded, and cannot be "
            f"loaded: {error}"
        ) from error


def _square(picture: bytes | None, what: str) -> bytes | None:
    return None if picture is None else square_of(picture, what)


def _require_empty(folder: RunFolder) -> None:
    if folder.begun or folder.config.is_file():
        raise RunFolderError(f"{folder.path} already holds a run: choose another folder.")


def _restored(
    folder: RunFolder, generator: Generator, space: LatentSpace, settings: EvolutionSettings
) -> Opened:
    """The session where the journal has left it."""
    beginning = Beginning.load(folder, space)
    loop = PreferenceLoop(
        problem=Preference(generator, space_name=space.name),
        archive=beginning.archive(generator, space),
        solver=PreferenceEvolution(
            beginning.variation(space),
            first=None if settings.photo is None else beginning.z,
            seed=settings.seed,
        ),
        folder=folder,
        population=settings.population,
        seed=settings.seed,
    )
    try:
        loop.begin()
    except RunFolderError:
        raise
    except (VqlsoError, KeyError, TypeError, ValueError, IndexError) as error:
        raise RunFolderError(
            f"The journal of {folder.path} tells of no session that can be gone on with "
            f"({type(error).__name__}: {error}). Restore it from a copy."
        ) from error
    return Opened(settings, loop, loop.journal_bytes)


def _describe(
    folder: RunFolder,
    settings: EvolutionSettings,
    config: ExperimentConfig,
    generator: dict[str, str],
) -> None:
    """Write what the session is begun with; its configuration last, which makes it one."""
    for name, picture in ((PHOTO, settings.photo), (TARGET, settings.target)):
        if picture is not None:
            folder.write(name, picture)
    command = ["vqlso", "evolve", "--generator", settings.generator]
    folder.write_json(FACTS, {"generator": generator})
    folder.write_json(ENVIRONMENT, environment(config, command))
    folder.write(folder.config.name, as_yaml(config).encode())
