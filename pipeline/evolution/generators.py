"""The generators of sessions: found by name, path or version, and kept in the session's folder."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from pipeline.configuration.composition import config_folder
from pipeline.configuration.settings import ExperimentConfig
from pipeline.evolution.settings import EvolutionSettings
from pipeline.parts.generators import GENERATORS, PACKAGED_FILES
from pipeline.runs.folder import RunFolder, writing
from pipeline.runs.shelf import PACKAGED
from vqlso.checkpoints import kind_of
from vqlso.contracts import Generator, LatentSpace
from vqlso.errors import (
    CheckpointError,
    ConfigError,
    DataError,
    LatentSpaceError,
    RunFolderError,
)
from vqlso.generators import load_generator

KEPT = "networks/generator.safetensors"
FACTS = "preparation.json"
PACKAGED_VQVAE = PACKAGED / "generator-ab83abfe7a7c24bd.safetensors"
NAMED = {"vqvae": PACKAGED_VQVAE, **PACKAGED_FILES}


def generator_file(given: str) -> Path:
    """The weights behind a name, a path, or the folder of the run that trained them.

    Raises:
        ConfigError: no such name, nothing packaged under it, or no such file.
    """
    if given in NAMED:
        return NAMED[given]
    if given in {path.stem for path in (config_folder() / "generator").glob("*.yaml")}:
        raise ConfigError(
            f"No trained {given} comes with vqlso. Train one, such as by `{_training(given)}`, and "
            "give its folder: --generator runs/RUN."
        )
    path = Path(given).expanduser()
    path = path / KEPT if path.is_dir() else path
    if not path.is_file():
        raise ConfigError(
            f"There is no generator '{given}': give {', '.join(NAMED)}, the path of a "
            f".safetensors file, or the folder of a run that has {KEPT}."
        )
    return path


def require_suitable(settings: EvolutionSettings) -> None:
    """Refuse what no session can be begun with, before anybody waits for one.

    Raises:
        ConfigError: no such generator, or one without such a latent space.
        CheckpointError: the file is damaged.
    """
    file = generator_file(settings.generator)
    _loaded(settings.as_config(kind_of(file)), file)


def keep_generator(file: Path, folder: RunFolder) -> None:
    """Copy the weights into the session's folder: it can be opened whatever becomes of the file.

    Raises:
        RunFolderError: the disk is full or the folder cannot be written.
    """
    kept = folder.path / KEPT
    with writing(kept, folder.path):
        kept.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, kept)


def kept_generator(config: ExperimentConfig, folder: RunFolder) -> tuple[Generator, LatentSpace]:
    """The session's generator and the space that it searches.

    Raises:
        RunFolderError: its file is missing or damaged.
        ConfigError: it has no such latent space.
    """
    try:
        return _loaded(config, folder.path / KEPT)
    except CheckpointError as error:
        raise RunFolderError(
            f"The generator of this session cannot be used: {error} Restore {KEPT} from a copy."
        ) from error


def file_of_version(version: str, kind: str, beside: Path) -> Path:
    """A generator that is here already: a packaged one, or one of another session.

    Weights that came with a stranger's session are never loaded: they may ask for any amount of
    memory.

    Args:
        version: of the weights.
        kind: of the file that the session was made with.
        beside: the folder of sessions.

    Raises:
        DataError: there is none of this version.
    """
    for file, known in _known(kind, beside):
        if known == version:
            return file
    raise DataError(
        f"This session was made with a {kind} generator of version {version}, which is not here. "
        "Begin a session with that generator's file first, and load this one again."
    )


def _known(kind: str, beside: Path) -> Iterator[tuple[Path, str]]:
    """Files of a kind of generator, with their versions."""
    for file in NAMED.values():
        if file.is_file() and kind_of(file) == kind:
            yield file, load_generator(file).version
    for facts in sorted(beside.glob(f"*/{FACTS}")):
        kept = facts.parent / KEPT
        if kept.is_file() and kind_of(kept) == kind:
            known = RunFolder(facts.parent).read_json(FACTS).get("generator")
            yield kept, str(known.get("version")) if isinstance(known, dict) else ""


def _loaded(config: ExperimentConfig, file: Path) -> tuple[Generator, LatentSpace]:
    """The generator and the space that is searched."""
    try:
        generator = GENERATORS[config.generator.kind].load(config.generator, file)
    except LatentSpaceError as error:
        raise ConfigError(f"{error} Choose one of them, or leave the space out.") from error
    chosen = config.generator.space
    if chosen is not None and chosen not in generator.spaces:
        raise ConfigError(
            f"A {config.generator.kind} has the latent spaces {', '.join(generator.spaces)}, not "
            f"'{chosen}'."
        )
    return generator, generator.space if chosen is None else generator.spaces[chosen]


def _training(name: str) -> str:
    """A command that trains such a generator."""
    if name.startswith("vae"):
        return f"vqlso run vae_baseline generator={name}"
    unretrained = " solver=cma_es retrainer=none" if name == "ddim" else ""
    return f"vqlso run smile_shift generator={name}{unretrained}"
