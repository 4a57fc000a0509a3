"""Edit directions as files, and the course of the search that found one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from pipeline.runs.folder import RunFolder
from vqlso.contracts import LatentSpace
from vqlso.errors import DataError, LatentSpaceError

DIRECTION = "direction.safetensors"
FOUND = "before-keeping.safetensors"
COURSE = "course.npz"
STRIP = "strip.png"
KEEP = "keep"  # folder of the searches for attributes that are to stay
KIND = "edit direction"
FLOATS = ("F32", "F64")


@dataclass(frozen=True)
class EditDirection:
    """A vector, and what it can be added to.

    Attributes:
        d: (*shape) float64.
        attribute: that it raises.
        space: name of the latent space.
        version: of the generator.
    """

    d: NDArray[np.float64]
    attribute: str
    space: str
    version: str

    @property
    def length(self) -> float:
        """|d|, the Euclidean length over all entries."""
        return float(np.linalg.norm(self.d))

    @property
    def content(self) -> bytes:
        """Of its file."""
        header = {
            "kind": KIND,
            "attribute": self.attribute,
            "space": self.space,
            "generator": self.version,
            "length": f"{self.length:.6g}",
        }
        return save({"d": np.ascontiguousarray(self.d)}, header)

    @classmethod
    def read(cls, path: Path) -> EditDirection:
        """A direction from its file, or from the folder of the run that found it.

        Raises:
            DataError: there is none, its file is damaged, or its entries cannot be added.
        """
        file = path / DIRECTION if path.is_dir() else path
        if not file.is_file():
            raise DataError(
                f"There is no edit direction at {path}: give the folder of a finished `vqlso run "
                f"edit_smile`, or its {DIRECTION}."
            )
        try:
            with safe_open(file, framework="np") as held:
                header = held.metadata() or {}
                if header.get("kind") != KIND:
                    raise DataError(
                        f"{file} holds no edit direction: give a {DIRECTION} that `vqlso run "
                        "edit_smile` has written."
                    )
                d = _vector(held, file)
                return cls(d, header["attribute"], header["space"], header["generator"])
        except (SafetensorError, OSError, KeyError) as error:
            raise DataError(
                f"{file} is not a readable edit direction ({error}): it is damaged or was cut off. "
                "Find it again."
            ) from error

    def require_fit(self, space: LatentSpace, version: str) -> None:
        """Make sure that it can be added to the latents of a space.

        Raises:
            LatentSpaceError: it is another generator's or another space's.
        """
        if self.version != version:
            raise LatentSpaceError(
                f"The direction of '{self.attribute}' was found for generator {self.version}, but "
                f"{version} is here: find it again for this one, or give the generator that it "
                "belongs to."
            )
        if self.space != space.name or self.d.shape != space.shape:
            raise LatentSpaceError(
                f"The direction of '{self.attribute}' has shape {self.d.shape} in space "
                f"'{self.space}', but space '{space.name}' with {space.shape} is edited: find it "
                f"again with generator.space={space.name}."
            )


@dataclass(frozen=True)
class Course:
    """The effect of the vector as the search went on, on the same anchors at each point.

    Attributes:
        images: (p,) int64, scored so far.
        change: (p,) mean change in the wanted direction; NaN where the attribute has no level.
        half_width: (p,) of its 95 % interval.
        length: (p,) |d|.
    """

    images: NDArray[np.int64]
    change: NDArray[np.float64]
    half_width: NDArray[np.float64]
    length: NDArray[np.float64]

    def write(self, folder: RunFolder) -> None:
        """Into the run folder."""
        folder.write_arrays(COURSE, **vars(self))

    @classmethod
    def read(cls, folder: RunFolder) -> Course | None:
        """Of a run; None before its search has ended."""
        if not (folder.path / COURSE).is_file():
            return None
        return cls(**folder.read_arrays(COURSE))


def _vector(held: Any, file: Path) -> NDArray[np.float64]:
    """(*shape) d of an open file, whose length networks of single precision can hold."""
    stored = held.get_slice("d")
    kind, shape = stored.get_dtype(), tuple(stored.get_shape())
    if kind not in FLOATS or not shape or 0 in shape:
        raise DataError(
            f"The direction in {file} has entries of type {kind} and shape {shape}, but a vector "
            "of 32-bit or 64-bit floats is needed: save it as one, or find it again."
        )
    d = np.asarray(held.get_tensor("d"), dtype=np.float64)
    with np.errstate(over="ignore"):
        length = np.linalg.norm(d)
    if not length <= np.finfo(np.float32).max:  # also where it is NaN
        raise DataError(
            f"The direction in {file} has entries that are not finite or too large to be added "
            f"(its length is {length:.4g}): find it again."
        )
    return d
