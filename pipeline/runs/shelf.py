"""Where trained networks are looked for before they are trained: run folder, package, cache."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, Self, TypeVar

import vqlso
from pipeline.runs.folder import writing
from vqlso.errors import CheckpointError
from vqlso.training.fitting import Checkpointing

PACKAGED = Path(vqlso.__file__).parent / "weights"
TRAINED_HERE = "trained in this run"


class Network(Protocol):
    """What can lie on the shelf."""

    def save(self, path: Path) -> None:
        """Write everything that `load` needs."""

    @classmethod
    def load(cls, path: Path) -> Self:
        """The network that was saved."""


N = TypeVar("N", bound=Network)


@dataclass(frozen=True)
class Shelf:
    """Trained networks by what they were made from.

    A run keeps a copy of its networks, so that it can be resumed and moved whatever becomes of
    the cache.

    Attributes:
        run: the run's own networks.
        cache: networks that runs of one machine share.
        from_scratch: ignore packaged and cached networks.
    """

    run: Path
    cache: Path
    from_scratch: bool = False

    def find_or_train(
        self,
        role: str,
        kind: type[N],
        recipe: Mapping[str, Any],
        train: Callable[[Checkpointing], N],
    ) -> tuple[N, str]:
        """A network and where it came from.

        Args:
            role: its part in the run, such as "generator"; names the run's copy.
            kind: the class that loads it.
            recipe: JSON values that decide the weights: data, settings, seed.
            train: makes it, continuing from the checkpoint if there is one.

        Raises:
            CheckpointError: a network that was found is damaged.
            RunFolderError: the run's folder cannot be written.
        """
        own = self.run / f"{role}.safetensors"
        origin_note = own.with_suffix(".origin")
        if own.is_file() and origin_note.is_file():
            return kind.load(own), origin_note.read_text()
        name = f"{role}-{recipe_key(recipe)}.safetensors"
        with writing(own, self.run.parent):
            self.run.mkdir(parents=True, exist_ok=True)
            origin = self._copied(name, own, kind) or self._trained(own, name, train)
            origin_note.write_text(origin)
            _state_of(own).unlink(missing_ok=True)
        return kind.load(own), origin

    def _copied(self, name: str, own: Path, kind: type[N]) -> str:
        """Where a trained network was copied from; empty if there is none."""
        for folder, origin in ((PACKAGED, "packaged weights"), (self.cache, "cached weights")):
            if not self.from_scratch and _loads(folder / name, kind):
                shutil.copyfile(folder / name, own)
                return origin
        return ""

    def _trained(self, own: Path, name: str, train: Callable[[Checkpointing], N]) -> str:
        network = train(Checkpointing(_state_of(own)))
        network.save(own)
        # A cache only spares later runs the time: that it is full or read-only harms no run.
        with suppress(OSError):
            _copy_whole(own, self.cache / name)
        return TRAINED_HERE


def recipe_key(recipe: Mapping[str, Any]) -> str:
    """Sixteen hexadecimal digits of a recipe."""
    text = json.dumps(recipe, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _loads(path: Path, kind: type[Network]) -> bool:
    """Whether the network is there; one that another version wrote is as good as none."""
    try:
        kind.load(path)
    except CheckpointError:
        return False
    return True


def _state_of(own: Path) -> Path:
    """Where the interrupted training of a network continues from."""
    return own.with_suffix(".state")


def _copy_whole(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f"{target.name}.{os.getpid()}.part")
    shutil.copyfile(source, temporary)
    os.replace(temporary, target)
