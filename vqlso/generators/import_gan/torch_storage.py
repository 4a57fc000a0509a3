"""Tensors as PyTorch writes them, read without PyTorch: legacy streams and zip archives.

A legacy stream (`torch.save` before 1.6, and every tensor inside a pickled module) is four pickles,
a magic number, a version, facts on the writing machine and the object, then the keys of the
storages and their bytes. An archive holds the object as `data.pkl` and each storage as a file.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray

from vqlso.generators.import_gan.bounds import Budget, piece
from vqlso.generators.import_gan.refusal import RefusedError, counts, expect, shown
from vqlso.generators.import_gan.restricted_pickle import Name, Reduction, load
from vqlso.generators.import_gan.zip_archive import ZipArchive

MAGIC = 0x1950A86A20F9469CFC6C
STREAM_VERSION = 1001

# Storage class -> scalar and its bytes.
SCALARS = {
    "DoubleStorage": ("float64", 8),
    "FloatStorage": ("float32", 4),
    "HalfStorage": ("float16", 2),
    "BFloat16Storage": ("bfloat16", 2),
    "LongStorage": ("int64", 8),
    "IntStorage": ("int32", 4),
    "ShortStorage": ("int16", 2),
    "CharStorage": ("int8", 1),
    "ByteStorage": ("uint8", 1),
    "BoolStorage": ("bool", 1),
}
SIZES = dict(SCALARS.values())
LENGTH = struct.Struct("<q")


@dataclass(slots=True)
class Storage:
    """A run of scalars; a legacy stream gives the bytes after the object that refers to them."""

    scalar: str
    count: int
    content: memoryview | None = None


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """A strided view of a storage, checked to lie within it and not to repeat it."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    @property
    def scalar(self) -> str:
        """The name of the scalar type, such as "float32"."""
        return self.storage.scalar

    def array(self) -> NDArray[np.float32]:
        """A view of the file's bytes.

        Raises:
            RefusedError: it is empty, not float32, or the stream never gave its storage.
        """
        if self.scalar != "float32" or self.storage.content is None:
            raise RefusedError(
                f"a tensor is {self.scalar}, where float32 is needed, or has no content"
            )
        if 0 in self.shape:
            raise RefusedError(f"a tensor of shape {self.shape} is empty")
        flat = np.frombuffer(self.storage.content, "<f4", self.storage.count)
        strides = tuple(4 * stride for stride in self.strides)
        return np.ndarray(self.shape, "<f4", flat, 4 * self.offset, strides)


def tensor_vocabulary(budget: Budget, *, nested: bool) -> dict[Name, Reduction | None]:
    """The names of tensors and dictionaries.

    Args:
        budget: charged for nested streams.
        nested: whether storages are streams of their own, within the pickle.
    """
    vocabulary: dict[Name, Reduction | None] = {
        Name("collections", "OrderedDict"): empty_dictionary,
        Name("torch._utils", "_rebuild_parameter"): _parameter,
        Name("torch._utils", "_rebuild_tensor_v2"): _tensor,
    }
    if nested:
        return vocabulary | {
            Name("torch.storage", "_load_from_bytes"): lambda given: _nested(given, budget)
        }
    return vocabulary | {Name("torch", storage): None for storage in SCALARS}


def empty_dictionary(arguments: tuple[object, ...]) -> dict[object, object]:
    """A fresh dictionary, whose items follow.

    Raises:
        RefusedError: there are arguments.
    """
    if arguments:
        raise RefusedError("a dictionary is made from arguments")
    return {}


def _parameter(arguments: tuple[object, ...]) -> object:
    tensor = arguments[0] if arguments else None
    return expect(tensor, StoredTensor, "what a parameter wraps")


def _tensor(arguments: tuple[object, ...]) -> StoredTensor:
    if len(arguments) < 4:
        raise RefusedError("a tensor lacks its storage, offset, shape or strides")
    storage = expect(arguments[0], Storage, "what a tensor views")
    (offset,) = counts((arguments[1],), "a tensor's offset")
    shape, strides = counts(arguments[2], "a shape"), counts(arguments[3], "strides")
    if len(shape) != len(strides):
        raise RefusedError(f"a tensor has shape {shape} and strides {strides}")
    steps = [(size, stride) for size, stride in zip(shape, strides, strict=True) if size > 1]
    last = offset + sum((size - 1) * stride for size, stride in steps)
    if prod(shape) > 0 and last >= storage.count:
        raise RefusedError(
            f"a tensor of shape {shape} reaches element {last:,} of a storage of {storage.count:,}"
        )
    # An expanded view would unfold to far more than the file holds.
    if prod(shape) > storage.count or any(stride == 0 for _, stride in steps):
        raise RefusedError(f"a tensor of shape {shape} and strides {strides} repeats its storage")
    return StoredTensor(storage, offset, shape, strides)


def _nested(arguments: tuple[object, ...], budget: Budget) -> Storage:
    if len(arguments) != 1:
        raise RefusedError("a nested stream has other than one argument")
    stream = expect(arguments[0], memoryview, "a nested stream")
    value = read_legacy(stream, budget, tensor_vocabulary(budget, nested=False))
    return expect(value, Storage, "the content of a nested stream")


class _Storages:
    """The storages that a pickle refers to, by key."""

    def __init__(self, find: Callable[[str, int], memoryview] | None = None) -> None:
        self._find = find
        self.by_key: dict[str, Storage] = {}

    def __call__(self, reference: object) -> Storage:
        if not isinstance(reference, tuple) or len(reference) < 5 or reference[0] != "storage":
            raise RefusedError("a persistent id that is no storage")
        kind = expect(reference[1], Name, "the class of a storage")
        if kind.module != "torch" or kind.name not in SCALARS:
            raise RefusedError(f"a storage of class {shown(str(kind))}")
        if reference[5:] not in ((), (None,)):
            raise RefusedError("a view of a storage, as only PyTorch before 0.4 wrote")
        scalar, size = SCALARS[kind.name]
        key = expect(reference[2], str, "the key of a storage")
        (count,) = counts((reference[4],), "the length of a storage")
        known = self.by_key.get(key)
        if known is None:
            content = self._find(key, count * size) if self._find else None
            known = self.by_key[key] = Storage(scalar, count, content)
        if (known.scalar, known.count) != (scalar, count):
            raise RefusedError("two storages under one key")
        return known


def is_legacy(source: memoryview) -> bool:
    """Whether the bytes start as a legacy stream does."""
    return bytes(source[:15]) == b"\x80\x02\x8a\x0a" + MAGIC.to_bytes(10, "little") + b"."


def read_legacy(
    source: memoryview, budget: Budget, vocabulary: Mapping[Name, Reduction | None]
) -> object:
    """The object of a legacy stream, its tensors as `StoredTensor`.

    Args:
        source: the stream, from its first byte.
        budget: charged for all of its pickles.
        vocabulary: the names that the object may use.

    Raises:
        RefusedError: it is no such stream, is cut off, or holds what `vocabulary` does not name.
    """
    magic, position = load(source, 0, budget, {})
    version, position = load(source, position, budget, {})
    facts, position = load(source, position, budget, {})
    if magic != MAGIC or version != STREAM_VERSION:
        raise RefusedError("a stream that does not start as torch.save starts it")
    if expect(facts, dict, "the facts on the machine").get("little_endian") is not True:
        raise RefusedError("a stream of a big-endian machine")
    storages = _Storages()
    value, position = load(source, position, budget, vocabulary, storages)
    keys, position = load(source, position, budget, {})
    for key in expect(keys, list, "the list of storages"):
        storage = storages.by_key.get(expect(key, str, "the key of a storage"))
        if storage is None:
            raise RefusedError("a storage to which nothing refers")
        size = SIZES[storage.scalar] * storage.count
        (count,) = LENGTH.unpack(piece(source, position, LENGTH.size))
        if count != storage.count:
            raise RefusedError(f"a storage of {count:,} scalars, declared as {storage.count:,}")
        storage.content = piece(source, position + LENGTH.size, size)
        position += LENGTH.size + size
    return value


def read_archive(
    archive: ZipArchive, budget: Budget, vocabulary: Mapping[Name, Reduction | None]
) -> object:
    """The object of a zip archive that `torch.save` wrote, its tensors as `StoredTensor`.

    Raises:
        RefusedError: a file of the archive is missing or too short, or its object holds what
            `vocabulary` does not name.
    """

    def content(key: str, size: int) -> memoryview:
        return piece(archive.content(f"data/{key}"), 0, size)

    if "byteorder" in archive and bytes(archive.content("byteorder")[:6]) != b"little":
        raise RefusedError("an archive of a big-endian machine")
    value, _ = load(archive.content("data.pkl"), 0, budget, vocabulary, _Storages(content))
    return value
