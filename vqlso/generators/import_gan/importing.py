"""From a stranger's checkpoint to one of the program's own."""

from __future__ import annotations

import json
from pathlib import Path

from safetensors.numpy import save

from vqlso.errors import CheckpointError
from vqlso.files import write_whole
from vqlso.generators.import_gan.detection import read_gan
from vqlso.generators.import_gan.found import FoundGenerator


def import_gan(
    source: Path, destination: Path, classes: tuple[int, ...] | None = None
) -> FoundGenerator:
    """Write the generator of a stranger's checkpoint as safetensors with a JSON header.

    The header holds `kind` and `settings`, as `vqlso.checkpoints.save_checkpoint` writes them.

    Args:
        source: a file of any kind that `read_gan` supports.
        destination: conventionally `*.safetensors`; overwritten unless it is the source.
        classes: as in `read_gan`.

    Returns:
        What was found and written.

    Raises:
        CheckpointError: the source cannot be read, or the destination is the source or cannot be
            written; nothing is written then.
    """
    if destination.exists() and source.exists() and destination.samefile(source):
        raise CheckpointError(
            f"{destination} is the file to import. Give another file to write to."
        )
    found = read_gan(source, classes)
    header = {"kind": found.kind, "settings": json.dumps(dict(found.settings))}
    try:
        write_whole(destination, save(dict(found.state), header))
    except OSError as error:
        raise CheckpointError(f"{destination} cannot be written ({error}).") from error
    return found


def describe(found: FoundGenerator) -> list[tuple[str, str]]:
    """(name, value) of everything worth printing about a generator."""
    weights = sum(array.size for array in found.state.values())
    return [
        ("kind", found.kind),
        *((name, str(value)) for name, value in found.settings.items()),
        ("tensors", f"{len(found.state):,}"),
        ("numbers", f"{weights:,}"),
        *(("note", note) for note in found.notes),
    ]
